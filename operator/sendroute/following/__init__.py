"""A source of manifests that changes over time: a directory, or a git branch."""
