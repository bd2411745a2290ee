"""What a long-running process reports over HTTP: metrics, liveness and readiness."""
