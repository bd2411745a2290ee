"""The MailPlatform from a file, for an operator that may not read what has no namespace."""

from pathlib import Path
from typing import Any

import yaml

from sendroute.cluster.objects import PLATFORM_KIND, ClusterObject, ObjectKey
from sendroute.manifests import shapes
from sendroute.manifests.tree import read_tree
from sendroute.model.codes import finding
from sendroute.model.finding import Severity
from sendroute.model.problem import ProblemError


def read_platform(path: str) -> ClusterObject:
    """Read the MailPlatform of a file. It has no metadata of a cluster, so no status is written.

    Args:
        path: a manifest that holds the MailPlatform and nothing else of ours.

    Returns:
        The object.

    Raises:
        ProblemError: the file is unreadable, or its MailPlatform has errors.
    """
    desired = read_tree([path]).desired
    errors = [item for item in desired.findings if item.severity is Severity.ERROR]
    if errors:
        raise ProblemError(*errors)
    document: Any = None
    for value in yaml.safe_load_all(Path(path).read_text()):
        if isinstance(value, dict) and value.get("kind") == PLATFORM_KIND:
            document = shapes.decode(value)
    if document is None:
        raise ProblemError(
            finding("no-platform", f"The file {path} holds no MailPlatform.", hint="Add it.")
        )
    key = ObjectKey(PLATFORM_KIND, "", document.metadata.name)
    return ClusterObject(key, "", 0, "", None, document)
