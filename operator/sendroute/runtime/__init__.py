"""What every front end needs to run: adapters, logs, signals, the name of the actor."""
