"""Positions relative to the root of a checkout, whose own path is internal."""

import os
from pathlib import Path

from msgspec.structs import replace

from sendroute.model.codes import finding
from sendroute.model.desired import Desired
from sendroute.model.finding import WHOLE_FILE, Finding, Locate, Position, Where
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Perform, ReplaceEmptyStore, UseGit


def locate_within(root: str | None, locate: Locate) -> Locate:
    """Make the positions of a ``Locate`` relative to the top of a checkout.

    Args:
        root: the top of the checkout; None for a tree that is no checkout.
        locate: finds positions with the checkout's own path.

    Returns:
        A ``Locate`` with relative positions; the same one without a root.
    """
    if root is None:
        return locate

    def located(where: Where) -> Position | None:
        position = locate(where)
        return None if position is None else _relative(root, position)

    return located


def desired_within(root: str | None, desired: Desired) -> Desired:
    """Make the names and positions relative that findings already have, for example those about
    syntax errors.

    Args:
        root: the top of the checkout; None for a tree that is no checkout.
        desired: the desired state.

    Returns:
        The desired state with relative positions in its findings; the same value without a root.
    """
    if root is None:
        return desired
    return replace(
        desired,
        findings=tuple(finding_within(root, finding) for finding in desired.findings),
        unread=tuple(finding_within(root, finding) for finding in desired.unread),
        ill_formed={
            key: finding_within(root, finding) for key, finding in desired.ill_formed.items()
        },
    )


def check_ca_file(root: str, desired: Desired) -> None:
    """Check that a relative caFile of the platform is in the checkout. One that leads out of it
    would mean another file on each machine.

    Args:
        root: the top of the checkout.
        desired: the desired state, whose names are those in the checkout.

    Raises:
        ProblemError: it leads out of the checkout, or is not in it (``source-unreachable``).
    """
    platform = desired.platform
    name = platform.platform.ca_file if platform is not None else None
    if platform is None or name is None or name.startswith("/"):
        return
    path = os.path.normpath(Path(platform.where.file).parent / name)
    top = os.path.realpath(root)
    real = os.path.realpath(path)
    if os.path.commonpath([top, real]) != top:
        reason = "leads out of the repository"
    elif not Path(real).is_file():
        reason = "is not among the followed files"
    else:
        return
    raise ProblemError(
        finding(
            "source-unreachable",
            f"The platform's caFile {ascii(name)[1:-1]} {reason}.",
            hint="Put the file under the followed path, or write an absolute path.",
        )
    )


def finding_within(root: str | None, finding: Finding) -> Finding:
    """Make the names and the position of a finding relative.

    Args:
        root: the top of the checkout; None for a tree that is no checkout.
        finding: the finding.

    Returns:
        The finding with relative names; the same one without a root.
    """
    if root is None:
        return finding
    position, where, remedy = finding.position, finding.where, finding.remedy
    if where is not None and where.document == WHOLE_FILE:
        where = replace(where, file=_without(root, where.file))
    if isinstance(remedy, Perform) and remedy.subject is not None:
        remedy = replace(remedy, subject=_without(root, remedy.subject))
    elif isinstance(remedy, ReplaceEmptyStore):
        remedy = replace(remedy, file=_without(root, remedy.file))
    elif isinstance(remedy, UseGit) and remedy.top is not None:
        remedy = replace(remedy, top=_without(root, f"{remedy.top}/").removesuffix("/") or None)
    return replace(
        finding,
        message=_without(root, finding.message),
        hint=finding.hint and _without(root, finding.hint),
        position=position and _relative(root, position),
        where=where,
        remedy=remedy,
    )


def _without(root: str, text: str) -> str:
    """A text without the names of the checkout, which a lock file above the path is found under
    with every link resolved."""
    return text.replace(f"{root}/", "").replace(f"{os.path.realpath(root)}/", "")


def _relative(root: str, position: Position) -> Position:
    top = os.path.realpath(root)
    below_top = position.file.startswith(f"{top}/")
    return replace(position, file=os.path.relpath(position.file, top if below_top else root))
