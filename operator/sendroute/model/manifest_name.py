"""Which names Sendroute reads in a directory of manifests. What walks a tree, follows one, or asks
git about one goes by these rules alone: if they differed, an absent file would go unnoticed."""

_YAML = (".yaml", ".yml")
_ENDINGS = (*_YAML, ".json")


def is_manifest(path: str) -> bool:
    """Whether the name of a file ends like that of a manifest, in capitals too: some systems write
    ``A.YAML``, and what it holds must not seem to be deleted.

    Args:
        path: the name, or a path that ends with it.
    """
    return path.endswith(_ENDINGS) or path[-5:].lower().endswith(_ENDINGS)


def is_yaml(path: str) -> bool:
    """Whether :func:`is_manifest` says so of a name for YAML.

    Args:
        path: the name, or a path that ends with it.
    """
    return path[-5:].lower().endswith(_YAML)


def is_hidden(path: str) -> bool:
    """Whether a part of a path begins with a dot, so that what it names is not read.

    Args:
        path: the path of a file or directory, from the directory that the user gave.
    """
    return path.startswith(".") or "/." in path
