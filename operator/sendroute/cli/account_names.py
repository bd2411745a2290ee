"""Names of accounts as people type them."""

from collections.abc import Iterable, Sequence

from sendroute.cli.command_line import suggestion
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError


def accounts_named(names: Sequence[str], known: Iterable[AccountKey]) -> frozenset[AccountKey]:
    """The accounts that ``NAMESPACE/NAME``, or ``NAME`` if it is unambiguous, refer to.

    Raises :class:`ProblemError` with an ``unknown-account`` for each name that is unknown or
    ambiguous.
    """
    keys = sorted(set(known))
    chosen: set[AccountKey] = set()
    findings: list[Finding] = []
    for name in names:
        matching = [key for key in keys if name in (key.name, str(key))]
        if len(matching) == 1:
            chosen.update(matching)
        else:
            findings.append(_unclear(name, matching, keys))
    if findings:
        raise ProblemError(*findings)
    return frozenset(chosen)


def _unclear(name: str, matching: list[AccountKey], keys: list[AccountKey]) -> Finding:
    if matching:
        return finding(
            "unknown-account",
            f"More than one account is named `{name}`.",
            hint=f"Specify one of {', '.join(map(str, matching))}.",
        )
    near = suggestion(name, [*map(str, keys), *(key.name for key in keys)]).strip()
    return finding(
        "unknown-account",
        f"Neither the manifests nor the store have an account `{name}`.",
        hint=near or "Specify NAME or NAMESPACE/NAME.",
    )
