"""``sendroute.lock``: which store a tree of manifests is applied to.

It stands beside the manifests in git, so that an empty or another store is not taken for the
right one, and everyone stamped with today's default.
"""
