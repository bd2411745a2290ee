"""What mail takes, decided from the record alone."""
