"""A plan kept in a file, so that what was reviewed is what is applied.

The file holds the manifests' content for the accounts concerned and a digest of the decision that
was shown. Applying it plans again from that content, and goes on only where the decision is the
same one. It holds no secret: secrets are names in every value here.
"""

import hashlib
import os
from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct

from sendroute.cli.files import write_file
from sendroute.model.change import Plan
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Position, Severity, Where
from sendroute.model.held import Held
from sendroute.model.problem import ProblemError
from sendroute.model.wanted import AccountKey, Stray, Wanted, WantedAccount, WantedPlatform

MARKER = "sendroute-saved-plan"
FORMAT_VERSION = "1.0"
_HEAD = 4096


class SavedFinding(Struct, frozen=True):
    """What reading found, at the position it had when the plan was made."""

    code: str
    severity: Severity
    message: str
    hint: str | None
    position: Position | None
    namespace: str | None
    account: str | None

    def as_finding(self) -> Finding:
        return Finding(
            code=self.code,
            severity=self.severity,
            message=self.message,
            hint=self.hint,
            position=self.position,
            namespace=self.namespace,
            account=self.account,
        )


class SavedPlan(Struct, frozen=True):
    """``only`` are the accounts that this plan is about, ``digest`` that of the plan shown,
    ``report`` the plan as ``-o json`` shows it, for people and their tools: it is not read back.

    ``checksum`` is over all the rest. It finds damage and edits by hand; it is no signature.
    """

    format: str
    format_version: str
    checksum: str
    lineage: str
    commit: str | None
    digest: str
    report: Raw
    only: tuple[AccountKey, ...]
    platform: WantedPlatform | None
    accounts: tuple[WantedAccount, ...]
    strays: tuple[tuple[AccountKey, list[Stray]], ...]
    stopped: tuple[AccountKey, ...]
    complete: bool
    findings: tuple[SavedFinding, ...]

    def wanted(self) -> Wanted:
        """The manifests' content as it was planned from."""
        return Wanted(
            platform=self.platform,
            accounts={account.key: account for account in self.accounts},
            strays=dict(self.strays),
            stopped=frozenset(self.stopped),
            complete=self.complete,
            findings=tuple(found.as_finding() for found in self.findings),
        )


def concerned(plan: Plan, wanted: Wanted, held: Held) -> frozenset[AccountKey]:
    """The accounts that the plan says anything of, and those that claim or hold a domain of
    theirs, without which the same decision could not be taken again."""
    said = {account.key for account in plan.accounts
            if account.changes or account.findings or account.stopped}
    names = {domain.domain for key in said if key in wanted.accounts
             for domain in wanted.accounts[key].domains}
    names |= {name for key in said if key in held.accounts for name in held.accounts[key].domains}
    claiming = {account.key for account in wanted.accounts.values()
                if any(domain.domain in names for domain in account.domains)}
    holding = {key for key, account in held.accounts.items() if not names.isdisjoint(account.domains)}
    return frozenset(said | claiming | holding)


def save(path: str, saved: SavedPlan) -> None:
    """Write it, readable by its owner alone; raises :class:`ProblemError`, ``unwritable``."""
    whole = msgspec.structs.replace(saved, checksum=_checksum(saved))
    write_file(path, msgspec.json.encode(whole) + b"\n", mode=0o600)


def restrict(wanted: Wanted, only: Iterable[AccountKey]) -> Wanted:
    """The part of a tree that speaks of these accounts."""
    keys = frozenset(only)
    return Wanted(
        platform=wanted.platform,
        accounts={key: value for key, value in wanted.accounts.items() if key in keys},
        strays={key: value for key, value in wanted.strays.items() if key in keys},
        stopped=wanted.stopped & keys,
        complete=wanted.complete,
        findings=wanted.findings,
    )


def is_saved_plan(path: str) -> bool:
    """Whether the file says at its top that it is a saved plan, whatever else is wrong with it."""
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        return False
    return head.lstrip().startswith(b"{") and f'"{MARKER}"'.encode() in head


def load(path: str) -> SavedPlan:
    """Read it back; raises :class:`ProblemError` for a file that is damaged or was edited."""
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise _broken("unreadable", path, f"it cannot be read ({error.strerror})") from error
    try:
        version = msgspec.json.decode(content, type=_Version).format_version
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _broken("invalid-value", path, "it is damaged") from error
    if version != FORMAT_VERSION:
        raise _broken("unknown-version", path, f"its format is {version}, not {FORMAT_VERSION}")
    try:
        saved = msgspec.json.decode(content, type=SavedPlan)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _broken("invalid-value", path, "it is damaged") from error
    if saved.checksum != _checksum(saved):
        raise _broken("invalid-value", path, "it was changed after it was made")
    return saved


class _Version(Struct):
    format_version: str


def _checksum(saved: SavedPlan) -> str:
    bare = msgspec.structs.replace(saved, checksum="")
    return hashlib.sha256(msgspec.json.encode(bare)).hexdigest()


def _broken(code: str, path: str, why: str) -> ProblemError:
    return ProblemError(
        finding(
            code,
            f"The saved plan `{path}` cannot be used: {why}.",
            hint=f"Make it again: sendroute plan PATH --out {path}",
            where=Where(path, 0),
        )
    )
