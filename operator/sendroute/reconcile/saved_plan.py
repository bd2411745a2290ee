"""A plan in a file, so that exactly the reviewed plan is applied.

The file contains the manifests of the concerned accounts and a digest of the decision that was
shown. To apply it, Sendroute plans again from these manifests, and continues only if the decision
is the same. It contains only names of secrets, never their values.
"""

import hashlib
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from sendroute.model.ancestry import Ancestry
from sendroute.model.byte_order_mark import without_mark
from sendroute.model.change import DomainCounts, Plan
from sendroute.model.codes import finding
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired, DesiredAccount, DesiredPlatform, Orphan
from sendroute.model.finding import (
    Finding,
    Locate,
    Position,
    Severity,
    Where,
    located,
    whole_file,
)
from sendroute.model.owner import Owner, owner_named, owner_names
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Perform, Remedy, Task
from sendroute.model.secret import PLATFORM_NAMESPACE, Resave
from sendroute.model.stored_values import StoredDomain, StoredLabel, StoredLogin
from sendroute.planner.claim_index import ClaimIndex, declared_names
from sendroute.planner.digest import digest, digest_changes
from sendroute.planner.guards import Guards
from sendroute.planner.moves import open_profiles
from sendroute.reconcile.applied_plan import PlanReport
from sendroute.reconcile.reconciler import Planned
from sendroute.reconcile.verifier import SavedInputs

_T = TypeVar("_T")
_SavedPercent = Annotated[int, Meta(ge=0, le=100)]

FORMAT_VERSION = "1.9"
_MARKER = "sendroute-saved-plan"
# What a file begins with, without white space, and the fields that follow.
_BEGINNING = f'{{"format":"{_MARKER}"'.encode()
_MARKED = 2 * len(_BEGINNING)
_SIGNS = (_MARKER.encode(), b'"format_version"', b'"checksum"', b'"lineage"', b'"decided"')
_ENOUGH = 3  # a lock file has two of them
_HEAD = 1024


class SavedFinding(Struct, frozen=True):
    """A finding of reading the manifests, at its position when the plan was made. ``file`` is the
    file that it is about as a whole. ``domain`` is left out if there is none: files of earlier
    versions have none, and their checksum is without it."""

    code: str
    severity: Severity
    message: str
    hint: str | None
    position: Position | None
    namespace: str | None
    account: str | None
    file: str | None = None
    remedy: Remedy | None = None
    domain: str | UnsetType = UNSET

    def as_finding(self) -> Finding:
        return Finding(
            code=self.code,
            severity=self.severity,
            message=self.message,
            hint=self.hint,
            position=self.position,
            namespace=self.namespace,
            account=self.account,
            where=whole_file(self.file) if self.file is not None else None,
            remedy=self.remedy,
            domain=None if self.domain is UNSET else self.domain,
        )


class PlanDigests(Struct, frozen=True):
    """The digests of the platform's change and of each account's changes."""

    platform: str | None
    accounts: dict[str, str]


class SavedLimits(Struct, frozen=True):
    """The guards that the plan was made with: their limits, and the confirmed removals."""

    change_percent: _SavedPercent
    remove_percent: _SavedPercent
    remove_accounts: tuple[AccountKey, ...] = ()
    allow_older_tree: bool = False

    @classmethod
    def of(cls, guards: Guards) -> "SavedLimits":
        """The guards of a plan, as they are saved."""
        return cls(
            guards.change_percent,
            guards.remove_percent,
            tuple(sorted(guards.remove_accounts)),
            guards.allow_older_tree,
        )

    def guards(self) -> Guards:
        """The guards of a plan."""
        return Guards(
            self.change_percent,
            self.remove_percent,
            remove_accounts=frozenset(self.remove_accounts),
            allow_older_tree=self.allow_older_tree,
        )


class SavedPlan(Struct, frozen=True):
    """The content of the file.

    ``only`` are the accounts that this plan may change. ``accounts`` are these and the accounts
    that claim the same domains. ``decided`` are the digests of the changes that were shown.
    ``ancestry`` compares ``commit`` with the commits that were applied before the plan was made.
    ``report`` is the plan as ``-o json`` shows it, for people, and to detect that the plan was
    applied already; no decision is read from it. ``checksum`` covers all other fields. It detects
    damage and edits by hand; it is no signature. ``mismatch``: why the store was not the one that
    belongs to the manifests; such a plan is refused. ``pending`` is what the guards count of the
    accounts that the plan leaves out. ``manifest`` is the absolute path of the platform's manifest:
    the same relative caFile is read wherever the plan is applied. ``positions`` are the lines of
    what the plan reports, because its manifests may be elsewhere when it is applied.
    """

    format: str
    format_version: str
    checksum: str
    lineage: str
    commit: str | None
    decided: PlanDigests
    limits: SavedLimits
    report: Raw
    only: tuple[AccountKey, ...]
    platform: DesiredPlatform | None
    accounts: tuple[DesiredAccount, ...]
    orphans: tuple[tuple[AccountKey, list[Orphan]], ...]
    stopped: tuple[AccountKey, ...]
    findings: tuple[SavedFinding, ...]
    accepted: tuple[tuple[tuple[str, int], tuple[str, ...]], ...] = ()
    failed: tuple[tuple[tuple[str, str], dict[str, str]], ...] = ()
    rotated: tuple[tuple[tuple[str, str], dict[str, Resave]], ...] = ()
    mismatch: tuple[SavedFinding, ...] = ()
    ancestry: Ancestry | None = None
    pending: tuple[tuple[AccountKey, DomainCounts], ...] = ()
    manifest: str = ""
    unread: tuple[SavedFinding, ...] = ()
    ill_formed: tuple[tuple[AccountKey, SavedFinding], ...] = ()
    undefined: tuple[DesiredAccount, ...] = ()
    positions: tuple[tuple[Where, Position], ...] = ()

    def locate(self) -> Locate:
        """Return a function that finds the positions that were shown when the plan was made."""
        return dict(self.positions).get

    def shown(self) -> SavedInputs:
        """Return the profiles that could not be saved when the plan was made, and those whose
        credential is saved again, by account and name; and the platform's manifest."""
        return SavedInputs(
            {owner_named(*owner): names for owner, names in self.failed},
            {owner_named(*owner): names for owner, names in self.rotated},
            self.manifest,
        )

    def desired(self) -> Desired:
        """The manifests from which the plan was made."""
        return Desired(
            platform=self.platform,
            accounts={account.key: account for account in self.accounts},
            orphans=dict(self.orphans),
            stopped=frozenset(self.stopped),
            ill_formed={key: item.as_finding() for key, item in self.ill_formed},
            unread=tuple(item.as_finding() for item in self.unread),
            findings=tuple(item.as_finding() for item in self.findings),
            accepted={document: frozenset(codes) for document, codes in self.accepted},
            undefined={account.key: account for account in self.undefined},
        )


def decided_by(plan: Plan) -> PlanDigests:
    """The digests of a plan's changes. Whether a guard stops an account is not included, because
    applying may allow it."""
    return PlanDigests(
        digest_changes([plan.platform]) if plan.platform is not None else None,
        {str(account.key): digest(account) for account in plan.accounts if account.changes},
    )


def differing(before: PlanDigests, after: PlanDigests) -> list[str]:
    """Whose decision differs: accounts as NAMESPACE/NAME, and ``the platform``."""
    names = sorted(before.accounts.keys() | after.accounts.keys())
    changed = [name for name in names if before.accounts.get(name) != after.accounts.get(name)]
    return [*(["the platform"] if before.platform != after.platform else []), *changed]


def concerned(plan: Plan, desired: Desired, current: Current) -> frozenset[AccountKey]:
    """The accounts with changes or findings, those that claim or hold one of their domains, and
    those that define one of their profiles. The same decision can be repeated only with all of
    these."""
    declaring = desired.claiming  # once: it may be put together from two
    reported = {
        account.key
        for account in plan.accounts
        if account.changes or account.findings or account.stopped
    }
    names = {
        name for key in reported if key in declaring for name in declared_names(declaring[key])
    }
    names |= {
        name
        for key in reported
        if key in current.accounts
        for name in current.accounts[key].domains
    }
    claiming = {
        account.key
        for account in declaring.values()
        if not names.isdisjoint(declared_names(account))
    }
    holding = {
        key for key, account in current.accounts.items() if not names.isdisjoint(account.domains)
    }
    profiles = open_profiles(
        {key: declaring[key] for key in reported & declaring.keys()},
        {key: current.accounts[key] for key in reported & current.accounts.keys()},
    )
    claims = ClaimIndex(declaring.values() if profiles else ())
    defining = {key for profile in profiles for key in claims.defining(profile)}
    return frozenset(reported | claiming | holding | defining)


def saved_plan_of(
    planned: Planned, report: str, directory: str, reported: Iterable[Where | None]
) -> SavedPlan:
    """Convert a plan to the form in which it is saved.

    Args:
        planned: the plan, and what it was made from.
        report: the plan as JSON.
        directory: the working directory, to which the paths of the manifests are relative.
        reported: the values in the manifests that the plan reports.

    Returns:
        The saved form, without a checksum: only the accounts and findings that the plan concerns.
    """
    plan, desired, verified = planned.plan, planned.tree.desired, planned.verified
    platform = desired.platform
    accounts = concerned(plan, desired, planned.current)
    only = accounts if planned.scope.only is None else planned.scope.only

    def saved(item: Finding) -> SavedFinding:
        return _saved(located(item, planned.tree.locate))

    return SavedPlan(
        format=_MARKER,
        format_version=FORMAT_VERSION,
        checksum="",
        lineage=plan.lineage,
        commit=planned.tree.commit,
        decided=decided_by(plan),
        limits=SavedLimits.of(planned.scope.guards),
        report=Raw(report.strip().encode()),
        only=tuple(sorted(only)),
        platform=platform,
        accounts=tuple(account for _, account in _among(accounts, desired.accounts)),
        orphans=tuple(_among(accounts, desired.orphans)),
        stopped=tuple(sorted(desired.stopped & accounts)),
        findings=tuple(map(saved, desired.findings)),
        accepted=tuple(
            (document, tuple(sorted(codes))) for document, codes in sorted(desired.accepted.items())
        ),
        failed=_by_owner(verified.failed),
        rotated=_by_owner(verified.secrets.rotated),
        mismatch=tuple(map(saved, planned.mismatch)),
        ancestry=planned.scope.ancestry,
        pending=tuple(sorted(planned.scope.pending.items())),
        manifest=posixpath.join(directory, platform.where.file if platform is not None else ""),
        unread=tuple(map(saved, desired.unread)),
        ill_formed=tuple((key, saved(item)) for key, item in _among(accounts, desired.ill_formed)),
        undefined=tuple(account for _, account in _among(accounts, desired.undefined)),
        positions=tuple(_positions(reported, planned.tree.locate)),
    )


def _among(
    accounts: Collection[AccountKey], values: Mapping[AccountKey, _T]
) -> Iterator[tuple[AccountKey, _T]]:
    """What these accounts have, in order."""
    return ((key, values[key]) for key in sorted(values.keys()) if key in accounts)


def _by_owner(
    profiles: Mapping[Owner, Mapping[str, _T]],
) -> tuple[tuple[tuple[str, str], dict[str, _T]], ...]:
    return tuple(
        (owner_names(owner), dict(sorted(profiles[owner].items())))
        for owner in sorted(profiles, key=owner_names)
    )


def _positions(
    reported: Iterable[Where | None], locate: Locate
) -> Iterator[tuple[Where, Position]]:
    for where in dict.fromkeys(reported):
        if where is not None and (position := locate(where)) is not None:
            yield where, position


def _saved(item: Finding) -> SavedFinding:
    return SavedFinding(
        item.code,
        item.severity,
        item.message,
        item.hint,
        item.position,
        item.namespace,
        item.account,
        item.where.file if item.position is None and item.where is not None else None,
        item.remedy,
        UNSET if item.domain is None else item.domain,
    )


def encode(saved: SavedPlan) -> str:
    """Write a saved plan as the content of its file.

    Args:
        saved: the plan; its checksum is computed here.

    Returns:
        One line of JSON, with the checksum over everything else.
    """
    complete = msgspec.structs.replace(saved, checksum=_checksum(saved))
    return msgspec.json.encode(complete).decode() + "\n"


def is_saved_plan(head: bytes) -> bool:
    """Whether a file is a saved plan, valid or not, by its first bytes ``head``. A damaged one must
    not be read as manifests, so one sign that is left of its beginning is enough.

    Args:
        head: some hundred bytes. An editor may have saved them as UTF-16, cut them, or changed
            some.
    """
    text = without_mark(head).lstrip(b"\xff\xfe").replace(b"\0", b"").lstrip()
    compact = b"".join(text[:_HEAD].split())
    if len(compact) < len(_BEGINNING):
        return len(compact) > len(b'{"format"') and _BEGINNING.startswith(compact)
    return (
        f'"{_MARKER}"'.encode() in compact[:_MARKED]
        or sum(sign in compact for sign in _SIGNS) >= _ENOUGH
    )


def decode(content: bytes, path: str) -> SavedPlan:
    """Read a saved plan.

    Args:
        content: the content of the file.
        path: the path of the file, for findings.

    Returns:
        The saved plan, whose checksum is correct.

    Raises:
        ProblemError: it is damaged or was edited (``invalid-value``), or has another format
            (``unknown-version``).
    """
    content = without_mark(content)
    try:
        version = msgspec.json.decode(content, type=_FormatVersion).format_version
        if version != FORMAT_VERSION:
            reason = f"its format is {version[:20]!r}, not {FORMAT_VERSION}"
            raise unusable("unknown-version", path, reason)
        saved = msgspec.json.decode(content, type=SavedPlan)
        msgspec.json.decode(saved.report, type=PlanReport)  # read later, to find what was applied
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unusable("invalid-value", path, "it is damaged") from error
    if saved.checksum != _checksum(saved):
        raise unusable("invalid-value", path, "it was changed after it was saved")
    if not _has_names_of_manifests(saved):
        raise unusable("invalid-value", path, "it holds a name that no manifest can have")
    return saved


class _FormatVersion(Struct):
    format_version: str


class _AccountNames(Struct):
    namespace: StoredLabel
    name: StoredLabel
    plan: StoredLabel
    profiles: list[StoredLabel]
    domains: list[StoredDomain]
    logins: list[StoredLogin]


def _has_names_of_manifests(saved: SavedPlan) -> bool:
    """Whether all names are in the form that reading manifests would have required: another program
    may have written the file, with a correct checksum. Accounts that an error stops do not
    change."""
    changing = [account for account in saved.accounts if account.key not in saved.stopped]
    accounts = [
        {
            "namespace": account.key.namespace,
            "name": account.key.name,
            "plan": account.plan,
            "profiles": list(account.profiles),
            "domains": [domain.domain for domain in account.domains],
            "logins": list(account.logins) if account.logins is not UNSET else [],
        }
        for account in changing
    ]
    try:
        msgspec.convert(accounts, list[_AccountNames])
    except msgspec.ValidationError:
        return False
    return all(account.key.namespace != PLATFORM_NAMESPACE for account in changing)


def _checksum(saved: SavedPlan) -> str:
    bare = msgspec.structs.replace(saved, checksum="")
    return hashlib.sha256(msgspec.json.encode(bare)).hexdigest()


def unusable(code: str, path: str, reason: str) -> ProblemError:
    """Create the error for a saved plan that cannot be used.

    Args:
        code: the code of the finding.
        path: the path of the file.
        reason: as a clause.

    Returns:
        The error, to be raised.
    """
    return ProblemError(
        finding(
            code,
            f"The saved plan {path} cannot be used: {reason}.",
            hint="Save the plan again.",
            remedy=Perform(Task.SAVE_PLAN, path),
            where=whole_file(path),
        )
    )
