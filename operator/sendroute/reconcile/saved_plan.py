"""A plan in a file, so that exactly the reviewed plan is applied.

The file contains the manifests of the concerned accounts and a digest of the decision that was
shown. To apply it, Sendroute plans again from these manifests, and continues only if the decision
is the same. It contains only names of secrets, never their values.
"""

import hashlib
import posixpath
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from sendroute.model.ancestry import Ancestry
from sendroute.model.byte_order_mark import without_mark
from sendroute.model.change import Action, DomainCounts, Plan
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
from sendroute.model.owner import PLATFORM, owner_named, owner_names
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, Perform, Remedy, Setting, Task
from sendroute.model.secret import PLATFORM_NAMESPACE, Resave
from sendroute.model.stored_names import StoredDomain, StoredLabel, StoredLogin
from sendroute.model.words import first_of
from sendroute.planner.digest import digest, digest_changes
from sendroute.planner.guards import Guards
from sendroute.reconcile.applied_plan import (
    History,
    PlanReport,
    applied_revisions,
    stopped_accounts,
)
from sendroute.reconcile.reconciler import DesiredTree, Mismatches, Planned, PlanRequest, Reconciler
from sendroute.reconcile.verifier import SavedInputs, decide

FORMAT_VERSION = "1.7"
_MARKER = "sendroute-saved-plan"
# What a file begins with, without white space, and the fields that follow.
_BEGINNING = f'{{"format":"{_MARKER}"'.encode()
_MARKED = 2 * len(_BEGINNING)
_SIGNS = (_MARKER.encode(), b'"format_version"', b'"checksum"', b'"lineage"', b'"decided"')
_ENOUGH = 3  # a lock file has two of them
_HEAD = 1024
_LISTED = 5


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

    change_percent: int
    remove_percent: int
    remove_accounts: tuple[AccountKey, ...] = ()
    allow_older_tree: bool = False

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
    """The accounts with changes or findings, and those that claim or hold one of their domains. The
    same decision can be repeated only with all of these."""
    reported = {
        account.key
        for account in plan.accounts
        if account.changes or account.findings or account.stopped
    }
    names = {
        domain.domain
        for key in reported
        if key in desired.accounts
        for domain in desired.accounts[key].domains
    }
    names |= {
        name
        for key in reported
        if key in current.accounts
        for name in current.accounts[key].domains
    }
    claiming = {
        account.key
        for account in desired.accounts.values()
        if any(domain.domain in names for domain in account.domains)
    }
    holding = {
        key for key, account in current.accounts.items() if not names.isdisjoint(account.domains)
    }
    return frozenset(reported | claiming | holding)


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
    guards, platform = planned.scope.guards, desired.platform
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
        limits=SavedLimits(
            guards.change_percent,
            guards.remove_percent,
            tuple(sorted(guards.remove_accounts)),
            guards.allow_older_tree,
        ),
        report=Raw(report.strip().encode()),
        only=tuple(sorted(only)),
        platform=platform,
        accounts=tuple(
            account for key, account in sorted(desired.accounts.items()) if key in accounts
        ),
        orphans=tuple(
            (key, orphans) for key, orphans in sorted(desired.orphans.items()) if key in accounts
        ),
        stopped=tuple(sorted(desired.stopped & accounts)),
        findings=tuple(map(saved, desired.findings)),
        accepted=tuple(
            (document, tuple(sorted(codes))) for document, codes in sorted(desired.accepted.items())
        ),
        failed=tuple(
            sorted((owner_names(owner), dict(names)) for owner, names in verified.failed.items())
        ),
        rotated=tuple(
            sorted(
                (owner_names(owner), dict(sorted(names.items())))
                for owner, names in verified.secrets.rotated.items()
            )
        ),
        mismatch=tuple(map(saved, planned.mismatch)),
        ancestry=planned.scope.ancestry,
        pending=tuple(sorted(planned.scope.pending.items())),
        manifest=posixpath.join(directory, platform.where.file if platform is not None else ""),
        unread=tuple(map(saved, desired.unread)),
        ill_formed=tuple(
            (key, saved(item))
            for key, item in sorted(desired.ill_formed.items(), key=itemgetter(0))
            if key in accounts
        ),
        positions=tuple(_positions(reported, planned.tree.locate)),
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


def plan_again(
    reconciler: Reconciler,
    saved: SavedPlan,
    path: str,
    guards: Guards,
    mismatches: Mismatches,
    history: History,
) -> Planned:
    """Plan a saved plan again, with the same rotated secrets and failed profiles as before.

    The decision must be identical. If a part of the plan was applied, because a guard refused the
    rest, the rest must be identical, and the other accounts must have no changes left. The
    committed changes differ from it only by what cannot be saved now: a secret no longer exists, or
    a test fails. A secret that was rotated after the plan was saved is left to the next plan.

    Args:
        reconciler: the reconciler, whose verifier compares secrets with ``saved.shown()``.
        saved: the saved plan.
        path: its file, for findings.
        guards: the guards that apply now.
        mismatches: compares lock files with the store, see :class:`DesiredTree`.
        history: reads the store's history.

    Returns:
        The plan to commit.

    Raises:
        ProblemError: ``stale-plan`` if the decision for any account would differ, if the plan was
            applied already, or if it was made for another store; or the store, the secrets or a
            key is unusable.
    """
    with reconciler.store.snapshot() as snapshot:
        if saved.lineage != snapshot.read_accounts(()).lineage:
            raise ProblemError(_other_store(path))
    tree = DesiredTree.of(
        saved.desired(), saved.commit, saved.locate(), mismatches, lambda _applied: saved.ancestry
    )
    request = PlanRequest(guards, frozenset(saved.only), pending=dict(saved.pending))
    planned = reconciler.plan(tree, request)
    same = decide(
        tree.desired,
        planned.current,
        planned.scope,
        failed=saved.shown().failed,
        rotated=planned.verified.secrets.rotated,
    )
    changed = differing(saved.decided, decided_by(same))
    if changed:
        applied = applied_revisions(saved.report, changed, history)
        rest = _to_write(same) - set(changed)
        if not (applied.revisions and applied.complete):
            raise ProblemError(_stale(path, changed, applied.revisions))
        if not rest:
            raise ProblemError(_applied(path, applied.revisions))
        if rest - stopped_accounts(saved.report) or not _to_write(same).isdisjoint(changed):
            raise ProblemError(_stale(path, changed, applied.revisions))
    refused = tuple(item.as_finding() for item in saved.mismatch)
    return replace(planned, mismatch=(*refused, *planned.mismatch)) if refused else planned


def _to_write(plan: Plan) -> set[str]:
    """Whose changes a plan has, besides skips: accounts as NAMESPACE/NAME, and ``the platform``."""
    platform = [str(PLATFORM)] if plan.platform is not None else []
    accounts = (
        str(account.key)
        for account in plan.accounts
        if any(change.action is not Action.SKIP for change in account.changes)
    )
    return {*platform, *accounts}


def _stale(path: str, changed: list[str], applied: list[int]) -> Finding:
    """``applied`` are the revisions at which a part of the plan was applied."""
    listed = first_of(changed, _LISTED)
    reason = (
        f"was applied already in part, {_at(applied)}" if applied else "no longer fits the store"
    )
    return finding(
        "stale-plan",
        f"The saved plan {path} {reason}: the decision would differ for {listed}.",
        hint="Save the plan again and review it.",
        remedy=Perform(Task.SAVE_PLAN, path),
        where=whole_file(path),
    )


def _applied(path: str, revisions: list[int]) -> Finding:
    """The decision differs because the plan is in effect."""
    return finding(
        "stale-plan",
        f"The saved plan {path} was applied already, {_at(revisions)}.",
        hint="For further changes, save a new plan.",
        remedy=Perform(Task.SAVE_PLAN, path),
        where=whole_file(path),
    )


def _at(revisions: list[int]) -> str:
    """``at revision 3``, or ``at revisions 1 to 3 and 5``: only those that the plan wrote."""
    runs = [(run[0], run[-1]) for run in _consecutive(revisions)]
    texts = [str(first) if first == last else f"{first} to {last}" for first, last in runs]
    *others, final = texts
    listed = f"{', '.join(others)} and {final}" if others else final
    return f"at revision{'s' if len(revisions) > 1 else ''} {listed}"


def _consecutive(revisions: list[int]) -> Iterator[list[int]]:
    for _, run in groupby(enumerate(revisions), key=lambda pair: pair[1] - pair[0]):
        yield [revision for _, revision in run]


def _other_store(path: str) -> Finding:
    return finding(
        "stale-plan",
        f"The saved plan {path} was made for another store.",
        hint="Save the plan again, or specify the store that the plan was made for.",
        remedy=Configure(Setting.STORE),
        where=whole_file(path),
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
    plans = saved.platform.platform.plans if saved.platform is not None else ()
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
        msgspec.convert([plan.name for plan in plans], list[StoredLabel])
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
