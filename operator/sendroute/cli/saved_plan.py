"""A plan kept in a file, so that what was reviewed is what is applied.

The file holds the manifests' content for the accounts concerned and a digest of the decision that
was shown. Applying it plans again from that content, and continues only if the decision is the
same. It holds no secret: secrets are names in every value here.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from sendroute.model.change import Plan
from sendroute.model.codes import finding
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired, DesiredAccount, DesiredPlatform, Orphan
from sendroute.model.finding import Finding, Position, Severity, located, whole_file
from sendroute.model.owner import owner_named, owner_names
from sendroute.model.problem import ProblemError
from sendroute.planner.digest import digest, digest_changes
from sendroute.planner.guards import Guards
from sendroute.reconcile.verifier import Shown
from sendroute.reports.write import write

if TYPE_CHECKING:
    from sendroute.reconcile.reconciler import Planned

MARKER = "sendroute-saved-plan"
FORMAT_VERSION = "1.1"
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


class Decided(Struct, frozen=True):
    """Digests of the platform's change and of each account's changes, where there are any."""

    platform: str | None
    accounts: dict[str, str]


class SavedLimits(Struct, frozen=True):
    """The limits of the guards that the plan was made with."""

    change_percent: int
    remove_percent: int

    def guards(self) -> Guards:
        return Guards(self.change_percent, self.remove_percent)


class SavedPlan(Struct, frozen=True):
    """``only`` are the accounts that this plan is about (``accounts`` may be more: those that
    claim what they claim), ``decided`` what was shown to change, by
    digest; ``report`` is the plan as ``-o json`` shows it: for people, and to find out whether the
    plan was applied already. No decision is read from it.

    ``checksum`` is over all the rest. It finds damage and edits by hand; it is no signature.
    """

    format: str
    format_version: str
    checksum: str
    lineage: str
    commit: str | None
    decided: Decided
    limits: SavedLimits
    report: Raw
    only: tuple[AccountKey, ...]
    platform: DesiredPlatform | None
    accounts: tuple[DesiredAccount, ...]
    orphans: tuple[tuple[AccountKey, list[Orphan]], ...]
    stopped: tuple[AccountKey, ...]
    complete: bool
    findings: tuple[SavedFinding, ...]
    failed: tuple[tuple[tuple[str, str], dict[str, str]], ...] = ()
    rotated: tuple[tuple[tuple[str, str], tuple[str, ...]], ...] = ()

    def shown(self) -> Shown:
        """The profiles that could not be saved when it was made, and those whose secret had
        changed, by name."""
        return Shown(
            {owner_named(*owner): names for owner, names in self.failed},
            {owner_named(*owner): frozenset(names) for owner, names in self.rotated},
        )

    def desired(self) -> Desired:
        """The manifests' content as it was planned from."""
        return Desired(
            platform=self.platform,
            accounts={account.key: account for account in self.accounts},
            orphans=dict(self.orphans),
            stopped=frozenset(self.stopped),
            complete=self.complete,
            findings=tuple(found.as_finding() for found in self.findings),
        )


def decided_by(plan: Plan) -> Decided:
    """What a plan decides. That a guard stops an account does not count: applying may let it
    through."""
    return Decided(
        digest_changes([plan.platform]) if plan.platform is not None else None,
        {str(account.key): digest(account) for account in plan.accounts if account.changes},
    )


def differing(before: Decided, after: Decided) -> list[str]:
    """What is decided otherwise now: accounts as NAMESPACE/NAME, ``the platform``."""
    names = sorted(before.accounts.keys() | after.accounts.keys())
    changed = [name for name in names if before.accounts.get(name) != after.accounts.get(name)]
    return [*(["the platform"] if before.platform != after.platform else []), *changed]


def concerned(plan: Plan, desired: Desired, current: Current) -> frozenset[AccountKey]:
    """The accounts that the plan says anything of, and those that claim or hold a domain of
    theirs, without which the same decision could not be taken again."""
    said = {
        account.key
        for account in plan.accounts
        if account.changes or account.findings or account.stopped
    }
    names = {
        domain.domain
        for key in said
        if key in desired.accounts
        for domain in desired.accounts[key].domains
    }
    names |= {
        name for key in said if key in current.accounts for name in current.accounts[key].domains
    }
    claiming = {
        account.key
        for account in desired.accounts.values()
        if any(domain.domain in names for domain in account.domains)
    }
    holding = {
        key for key, account in current.accounts.items() if not names.isdisjoint(account.domains)
    }
    return frozenset(said | claiming | holding)


def saved_plan_of(planned: "Planned") -> SavedPlan:
    """What is kept of a plan: the accounts that it is about, and where their findings stand."""
    from sendroute.reports.render import Format, render
    from sendroute.reports.report import of_plan

    plan, desired, verified = planned.plan, planned.source.desired, planned.verified
    guards = planned.scope.guards
    kept = concerned(plan, desired, planned.current)
    only = kept if planned.scope.only is None else planned.scope.only
    report = of_plan(plan, locate=planned.source.locate)
    return SavedPlan(
        format=MARKER,
        format_version=FORMAT_VERSION,
        checksum="",
        lineage=plan.lineage,
        commit=planned.source.commit,
        decided=decided_by(plan),
        limits=SavedLimits(guards.change_percent, guards.remove_percent),
        report=Raw("".join(render(report, Format.JSON)).strip().encode()),
        only=tuple(sorted(only)),
        platform=desired.platform,
        accounts=tuple(account for key, account in sorted(desired.accounts.items()) if key in kept),
        orphans=tuple(
            (key, found) for key, found in sorted(desired.orphans.items()) if key in kept
        ),
        stopped=tuple(sorted(desired.stopped & kept)),
        complete=desired.complete,
        findings=tuple(_saved(located(found, planned.source.locate)) for found in desired.findings),
        failed=tuple(
            sorted((owner_names(owner), dict(names)) for owner, names in verified.failed.items())
        ),
        rotated=tuple(
            sorted(
                (owner_names(owner), tuple(sorted(names)))
                for owner, names in verified.secrets.rotated.items()
            )
        ),
    )


def _saved(found: Finding) -> SavedFinding:
    return SavedFinding(
        found.code,
        found.severity,
        found.message,
        found.hint,
        found.position,
        found.namespace,
        found.account,
    )


def save(path: str, saved: SavedPlan) -> None:
    """Write it, readable by its owner alone; raises :class:`ProblemError`, ``unwritable``."""
    whole = msgspec.structs.replace(saved, checksum=_checksum(saved))
    write(path, [msgspec.json.encode(whole).decode(), "\n"], what="The saved plan", mode=0o600)


def is_saved_plan(path: str) -> bool:
    """Whether the file says at its top that it is a saved plan, whatever else is wrong with it."""
    try:
        if not Path(path).is_file():
            return False
        with Path(path).open("rb") as stream:
            head = stream.read(_HEAD)
    except (OSError, ValueError):
        return False
    return head.lstrip().startswith(b"{") and f'"{MARKER}"'.encode() in head


def load(path: str) -> SavedPlan:
    """Read it back; raises :class:`ProblemError` for a file that is damaged or was edited."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise _broken("unreadable", path, f"it cannot be read ({error.strerror})") from error
    try:
        version = msgspec.json.decode(content, type=_Version).format_version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _broken("invalid-value", path, "it is damaged") from error
    if version != FORMAT_VERSION:
        raise _broken("unknown-version", path, f"its format is {version}, not {FORMAT_VERSION}")
    try:
        saved = msgspec.json.decode(content, type=SavedPlan)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
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
            where=whole_file(path),
        )
    )
