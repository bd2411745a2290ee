"""What a long-running process tells over HTTP: its metrics, that it is alive, that it is ready."""
