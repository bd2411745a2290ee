"""Which names Sendroute reads in a directory of manifests. What walks a tree, follows one, or asks
git about one goes by these rules alone: if they differed, an absent file would go unnoticed."""

ENDINGS = (".yaml", ".yml", ".json")


def is_hidden(path: str) -> bool:
    """Whether a part of a path begins with a dot, so that what it names is not read.

    Args:
        path: the path of a file or directory, from the directory that the user gave.
    """
    return path.startswith(".") or "/." in path
