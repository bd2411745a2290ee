"""A source of manifests that changes while one looks: a directory, or a branch of git."""
