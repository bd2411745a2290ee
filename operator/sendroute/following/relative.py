"""Positions relative to the root of a checkout, whose own path is internal."""

import os

from msgspec.structs import replace

from sendroute.model.desired import Desired
from sendroute.model.finding import Locate, Position, Where


def locate_within(root: str | None, locate: Locate) -> Locate:
    """A ``Locate`` whose positions are relative to ``root``; the same one without a root."""
    if root is None:
        return locate

    def located(where: Where) -> Position | None:
        position = locate(where)
        return None if position is None else _relative(root, position)

    return located


def desired_within(root: str | None, desired: Desired) -> Desired:
    """The desired state with relative positions in the findings that already have one, for example
    about a syntax error; the same value without a root."""
    if root is None:
        return desired
    findings = tuple(
        finding
        if finding.position is None
        else replace(finding, position=_relative(root, finding.position))
        for finding in desired.findings
    )
    return replace(desired, findings=findings)


def _relative(root: str, position: Position) -> Position:
    return replace(position, file=os.path.relpath(position.file, root))
