"""The MailPlatform from a file, for an operator that may not read what has no namespace."""

from pathlib import Path
from typing import Any

import yaml

from sendroute.cluster.objects import PLATFORM_KIND, ClusterObject, ObjectKey
from sendroute.files.reason import reason_of
from sendroute.following.directory import DirectoryFollower
from sendroute.manifests import shapes
from sendroute.manifests.tree import read_tree
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Severity
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
    try:
        text = Path(path).read_text()
    except OSError as error:
        raise ProblemError(
            finding(
                "source-unreachable",
                f"The file {path} cannot be read: {reason_of(error)}.",
                hint="Check its path and its permissions.",
            )
        ) from error
    document: Any = None
    for value in yaml.safe_load_all(text):
        if isinstance(value, dict) and value.get("kind") == PLATFORM_KIND:
            document = shapes.decode(value)
    if document is None:
        raise ProblemError(
            finding("no-platform", f"The file {path} holds no MailPlatform.", hint="Add it.")
        )
    key = ObjectKey(PLATFORM_KIND, "", document.metadata.name)
    return ClusterObject(key, "", 0, "", None, document)


class PlatformFile:
    """The MailPlatform of a file that is followed, as a directory of manifests is: a mounted
    ConfigMap changes while the operator runs. For one thread.

    ``object`` is the last good one. ``findings`` are why the file is not in effect as it is now;
    empty if it is.

    Args:
        path: the file.

    Raises:
        ProblemError: as :func:`read_platform`.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._source = DirectoryFollower(path)
        self._seen = self._fingerprint()
        self.object = read_platform(path)
        self.findings: tuple[Finding, ...] = ()

    def poll(self) -> bool:
        """Read the file again if it changed since the last time.

        Returns:
            Whether there is another ``object``.
        """
        try:
            fingerprint = self._fingerprint()
            if fingerprint == self._seen:
                return False
            changed = read_platform(self._path)
        except ProblemError as problem:
            self._seen = ""  # it is read again until it is good
            kept = finding(
                "source-unreachable",
                f"The file {self._path} cannot be used now: the last good MailPlatform stays in"
                " effect.",
                hint="Fix the file. Sendroute reads it again.",
            )
            self.findings = (kept, *problem.findings)
            return False
        self._seen = fingerprint
        self.findings = ()
        before, self.object = self.object, changed
        return changed != before

    def _fingerprint(self) -> str:
        return self._source.poll(lambda: False).fingerprint
