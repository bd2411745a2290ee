"""Modules that every front end uses: adapters, logs, signals, the name of the actor."""
