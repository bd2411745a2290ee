"""Manifests: files or objects become typed documents, and those one wanted value an account."""
