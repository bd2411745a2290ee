"""``--only ACCOUNT``: names of accounts, as people write them, to the accounts they mean."""

from collections.abc import Iterable, Sequence

from sendroute.cli.command_line import suggestion
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError


def accounts_named(names: Sequence[str], known: Iterable[AccountKey]) -> frozenset[AccountKey]:
    """``NAMESPACE/NAME``, or ``NAME`` where only one namespace has it.

    Raises :class:`ProblemError` with an ``unknown-account`` for each name that is unknown or
    ambiguous.
    """
    keys = sorted(set(known))
    chosen: set[AccountKey] = set()
    findings: list[Finding] = []
    for name in names:
        meant = [key for key in keys if name in (key.name, str(key))]
        if len(meant) == 1:
            chosen.update(meant)
        else:
            findings.append(_unclear(name, meant, keys))
    if findings:
        raise ProblemError(*findings)
    return frozenset(chosen)


def _unclear(name: str, meant: list[AccountKey], keys: list[AccountKey]) -> Finding:
    if meant:
        return finding(
            "unknown-account",
            f"More than one account is named `{name}`.",
            hint=f"Say which one: {', '.join(map(str, meant))}.",
        )
    near = suggestion(name, [*map(str, keys), *(key.name for key in keys)]).strip()
    return finding(
        "unknown-account",
        f"Neither the manifests nor the store have an account `{name}`.",
        hint=near or "Name it as NAME or NAMESPACE/NAME.",
    )
