"""Manifests: files or objects become typed documents, and these one desired value per account."""
