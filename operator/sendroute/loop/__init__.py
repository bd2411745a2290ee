"""The loop: a tree of manifests that is followed, and a store that is kept as it says."""
