"""Editing manifests in place: only the intended lines change, and the result is read again."""
