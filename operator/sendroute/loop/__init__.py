"""The loop: it follows a tree of manifests, and keeps the store as the tree declares."""
