"""Positions relative to the root of a checkout, whose own path is internal."""

import os

from msgspec.structs import replace

from sendroute.model.desired import Desired
from sendroute.model.finding import Finding, Locate, Position, Where


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
    findings = tuple(_finding_within(root, finding) for finding in desired.findings)
    return replace(desired, findings=findings)


def _finding_within(root: str, finding: Finding) -> Finding:
    position = finding.position and _relative(root, finding.position)
    return replace(finding, message=finding.message.replace(f"{root}/", ""), position=position)


def _relative(root: str, position: Position) -> Position:
    return replace(position, file=os.path.relpath(position.file, root))
