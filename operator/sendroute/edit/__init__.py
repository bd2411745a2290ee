"""Manifests changed in place: only the lines meant to change do, and the result is read again."""
