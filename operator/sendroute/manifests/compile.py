"""Compile typed documents to one desired value per account, and report conflicts between documents.

No store is needed: the planner checks references, plans and moves. The order of the documents
matters only for which of two duplicates is called the first.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from sys import intern
from typing import assert_never

from msgspec import UNSET
from msgspec.structs import replace

from sendroute.manifests import shapes
from sendroute.manifests.acceptance import (
    accepted_codes,
    check_acceptance,
    has_acceptance,
    is_marked,
)
from sendroute.manifests.content import CompiledRow, namespace_of, row_of
from sendroute.manifests.fields import ProfileFields
from sendroute.manifests.headers import LeftOut, account_of_document
from sendroute.manifests.names import InvalidNameError, domain_name, to_unicode
from sendroute.manifests.platforms import platform_of
from sendroute.manifests.profiles import FindingCollector, profile_of, route_of
from sendroute.manifests.read import ContentCache, TreeReading
from sendroute.manifests.wording import shown, titled
from sendroute.model.codes import Code, Trait, finding, has_trait
from sendroute.model.desired import (
    AccountKey,
    ApplyAll,
    Desired,
    DesiredAccount,
    DesiredDomain,
    DesiredPlatform,
    DesiredProfile,
    Orphan,
)
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.internal_error import internal_error, is_internal
from sendroute.model.profile import SenderAuthorization
from sendroute.model.remedy import ShowRoutes
from sendroute.model.route import Route, interned_route
from sendroute.model.secret import PLATFORM_NAMESPACE
from sendroute.model.words import counted, unlisted

_INLINE = ("spec", "route", "newProfile")
_RELATED = 10


def compile_reading(
    reading: TreeReading,
    documents: Iterable[tuple[shapes.Document, Where]] | None = None,
    *,
    cache: ContentCache | None = None,
) -> Desired:
    """Compile a whole tree. Files are streamed: only the desired state stays in memory.

    Args:
        reading: the reading of the tree.
        documents: other documents to compile, for example the result of an edit; the reading must
            be complete then. None compiles those of the reading.
        cache: the content that earlier runs read; None for none.

    Returns:
        The desired state, with the findings of the reading and of the documents.
    """
    compilation = Compilation()
    if documents is not None:
        for document, where in documents:
            compilation.add(document, where)
    else:
        for entry, content in reading.contents(cache):
            name, outside = entry.name, entry.outside
            for item in content.in_order():
                where = Where(name, item[0], (), False, outside)
                try:
                    if isinstance(item, CompiledRow):
                        compilation.add_row(item, where)
                    else:
                        compilation.add(item[1], where)
                except Exception as error:
                    if not is_internal(error):
                        raise
                    reading.add_unreadable(_not_compiled(item, where, error))
    for left_out in reading.left_out:
        compilation.leave_out(left_out)
    return compilation.finish(
        findings=[*reading.findings, *reading.advice],
        stopped=reading.stopped,
        ill_formed=reading.ill_formed,
        unread=reading.unread,
        platform_seen=reading.platform_seen,
    )


def _not_compiled(
    item: CompiledRow | tuple[int, shapes.Document], where: Where, error: Exception
) -> Finding:
    """The finding for a document that a bug keeps from being compiled. It stops its account."""
    if isinstance(item, CompiledRow):
        owner = AccountKey(item.namespace, item.account)
        return internal_error(titled("SendingDomain", item.name), error, where, owner)
    document = item[1]
    return internal_error(_title(document), error, where, account_of_document(document))


class _AccountDraft:
    """One account while its documents are being added."""

    __slots__ = (
        "account",
        "contested",
        "domains",
        "has_unread_account",
        "key",
        "left_out",
        "left_out_where",
        "name_positions",
        "named",
        "profiles",
        "unsound",
    )

    def __init__(self, key: AccountKey) -> None:
        self.key = key
        self.account: tuple[shapes.MailAccount, Where] | None = None
        self.has_unread_account = False  # its MailAccount was left out, because it has errors
        self.left_out: dict[str, DesiredDomain] = {}  # of documents with errors
        self.left_out_where: Where | None = None  # of the last of these
        self.profiles: dict[str, DesiredProfile] = {}
        self.name_positions: dict[str, Where] = {}  # of the name of each profile, valid or not
        self.domains: dict[str, DesiredDomain] = {}
        self.contested: dict[str, Where] = {}
        self.named: set[str] = set()  # the profiles that a route refers to
        self.unsound: set[str | None] = set()  # those that documents with errors would define

    def route(self, route: Route | None) -> Route | None:
        if route is not None and route.profile is not None:
            self.named.add(route.profile)
        return route

    def claims(self) -> list[DesiredDomain]:
        """The domains that the account declares, also in documents with errors; without those that
        it declares twice."""
        claims = {**self.left_out, **self.domains} if self.left_out else self.domains
        if not self.contested:
            return list(claims.values())
        return [desired for domain, desired in claims.items() if domain not in self.contested]

    def documented(self) -> tuple[str, ...]:
        """The names of the profiles that have a document."""
        profiles = self.profiles.items()
        return tuple(sorted(name for name, desired in profiles if desired.inline_in is None))

    def faulty(self) -> frozenset[str | None]:
        """The names of the profiles whose definition has errors."""
        return frozenset((self.unsound | self.name_positions.keys()) - self.profiles.keys())


class Compilation:
    """A tree that is being compiled: :meth:`add` each document, then :meth:`finish` once.

    ``older_first``: the documents have an age and are added by it, so of two that declare one
    domain in one account the older one holds it. Documents of files have none, and neither does.
    ``reserved`` is one more name of the platform's namespace.
    """

    def __init__(self, *, older_first: bool = False, reserved: str = "") -> None:
        self.older_first = older_first
        self.reserved = {PLATFORM_NAMESPACE, reserved}
        self.findings: list[Finding] = []
        self.stopped: set[AccountKey] = set()
        self.drafts: dict[tuple[str, str], _AccountDraft] = {}
        self.accepted: dict[tuple[str, int], frozenset[str]] = {}
        self.platform: DesiredPlatform | None = None
        self.platform_where: Where | None = None
        self.objects: defaultdict[
            tuple[type[shapes.Document], str], dict[str, tuple[Where, _AccountDraft]]
        ] = defaultdict(dict)

    def add(self, document: shapes.Document, where: Where) -> None:
        """Add a document.

        Args:
            document: the document, which has the shape of its kind.
            where: the document itself, with an empty path.
        """
        if has_acceptance(document.metadata):
            self.accepted[where.file, where.document] = accepted_codes(document.metadata)
        if is_marked(document.metadata):
            self.findings += check_acceptance(_title(document), document.metadata, where)
        match document:
            case shapes.SendingDomain():
                row = row_of(document, where.document)
                if row is None:
                    self._add_domain(document, where)
                else:
                    self.add_row(row, where)
            case shapes.SMTPProfile():
                self._add_profile(document, where)
            case shapes.MailAccount():
                self._add_account(document, where)
            case shapes.MailPlatform():
                self._add_platform(document, where)
            case _:
                assert_never(document)

    def add_row(self, row: CompiledRow, where: Where) -> None:
        """Add a sending domain that is a row."""
        _, namespace, account, name, domain, kind, profile, suspended = row
        draft = self.drafts.get((namespace, account)) or self._draft(namespace, account)
        if not self._is_first(shapes.SendingDomain, name, where, draft, domain):
            return
        if profile is not None:
            draft.named.add(profile)
        route = None if kind is None else interned_route(kind, profile)
        self._claim(draft, DesiredDomain(domain, route, where, suspended))

    def leave_out(self, document: LeftOut) -> None:
        """Count what a document with errors shows of itself: an account with errors still claims
        its domains, so no other account gets them meanwhile.

        Args:
            document: the document. Its account must be among those that are stopped.
        """
        draft = self._draft(*document.account)
        draft.left_out_where = document.where
        if document.kind == "MailAccount":
            draft.has_unread_account = True
        if document.domain is not None:
            claim = DesiredDomain(document.domain, None, document.where)
            draft.left_out.setdefault(document.domain, claim)

    def finish(
        self,
        *,
        findings: Iterable[Finding] = (),
        stopped: Mapping[AccountKey, Iterable[str | None]] | None = None,
        ill_formed: Mapping[AccountKey, Finding] | None = None,
        unread: Iterable[Finding] = (),
        platform_seen: bool = False,
    ) -> Desired:
        """Complete the compilation. Call it once, after the last document.

        Args:
            findings: the findings of the reading.
            stopped: the accounts with an invalid document, each with the names of the profiles
                that such documents would define.
            ill_formed: those of them with documents in a file that is not well-formed, each with
                the finding that says why.
            unread: those of the findings because of which something could not be read.
            platform_seen: whether a MailPlatform was left out because it is invalid.

        Returns:
            The desired state of the whole tree, with all findings.
        """
        self.findings[:0] = findings
        unread = tuple(unread)
        self._report_reserved()
        for key, profiles in (stopped or {}).items():
            self.stopped.add(key)
            self._draft(*key).unsound.update(profiles)
        if self.platform_where is None and not platform_seen:
            self._report_no_platform(complete=not unread)
        self.stopped |= {
            AccountKey(item.namespace, item.account)
            for item in self.findings
            if item.severity is Severity.ERROR
            and item.namespace is not None
            and item.account is not None
            and not has_trait(item.code, Trait.CLAIM)
        }
        accounts = self._finish_accounts(complete=not unread)
        desired = Desired(
            platform=self.platform,
            accounts=accounts,
            orphans=self._orphans(),
            stopped=frozenset(self.stopped),
            ill_formed=dict(ill_formed or {}),
            unread=unread,
            accepted=self.accepted,
            undefined=self._undefined(complete=not unread),
        )
        findings = tuple(item for item in self.findings if not desired.accepts(item))
        return replace(desired, findings=findings)

    def _finish_accounts(self, *, complete: bool) -> dict[AccountKey, DesiredAccount]:
        """The accounts. ``complete``: everything was read, so that what nothing uses is known."""
        accounts = {}
        removed = set()
        for draft in self.drafts.values():
            if draft.account is None:
                continue
            account = accounts[draft.key] = _account(draft, *draft.account)
            if account.remove is not None:
                removed.add(draft.key)
            elif complete and draft.key not in self.stopped:
                self.findings += _unused(draft)
        if removed:
            self._report_ignored(accounts, removed)
        return accounts

    def _undefined(self, *, complete: bool) -> dict[AccountKey, DesiredAccount]:
        """The accounts without a valid MailAccount, which claim their domains and profiles all the
        same. It has errors, or it may be in the unreadable part of the tree; otherwise the account
        is unknown: most likely its name is a typo."""
        undefined = {}
        for draft in self.drafts.values():
            if draft.account is not None:
                continue
            domains = draft.claims()
            wheres = [desired.where for desired in domains]
            wheres += draft.contested.values()
            wheres += draft.name_positions.values()
            if draft.left_out_where is not None and draft.unsound:
                wheres.append(draft.left_out_where)
            if wheres:
                undefined[draft.key] = DesiredAccount(
                    draft.key,
                    "",
                    wheres[0],
                    domains=domains,
                    contested=draft.contested,
                    unsound=draft.faulty(),
                    unknown=complete and not draft.has_unread_account,
                    ignored_profiles=draft.documented(),
                )
        return undefined

    def _report_reserved(self) -> None:
        for (kind, namespace), objects in self.objects.items():
            if namespace not in self.reserved:
                continue
            self.findings += [
                finding(
                    "reserved-namespace",
                    f"{kind.__name__} {name} is in the namespace {namespace}, which is the"
                    " platform's own.",
                    hint="Declare it in another namespace. Only the platform's secrets are there.",
                    where=where.at("metadata", "namespace"),
                    account=draft.key,
                )
                for name, (where, draft) in objects.items()
            ]

    def _orphans(self) -> dict[AccountKey, list[Orphan]]:
        orphans: dict[AccountKey, list[Orphan]] = {}
        if all(draft.account is not None for draft in self.drafts.values()):
            return orphans
        for (kind, _), objects in self.objects.items():
            for name, (where, draft) in objects.items():
                if draft.account is None:
                    orphans.setdefault(draft.key, []).append(Orphan(kind.__name__, name, where))
        return orphans

    def _report_ignored(
        self, accounts: Mapping[AccountKey, DesiredAccount], removed: Collection[AccountKey]
    ) -> None:
        """Report the other documents of accounts that are to be removed. They claim no domain, so
        two claims of one account are no conflict."""
        self.findings = [
            item
            for item in self.findings
            if not has_trait(item.code, Trait.CLAIM)
            or (item.namespace, item.account) not in removed
        ]
        documents: dict[AccountKey, list[Where]] = {}
        for (kind, _), objects in self.objects.items():
            for where, draft in objects.values():
                if kind is not shapes.MailAccount and draft.key in removed:
                    documents.setdefault(draft.key, []).append(where)
        for key, wheres in sorted(documents.items()):
            count = counted(len(wheres), "other document")
            self.findings.append(
                finding(
                    "documents-ignored",
                    f"Account {key} is to be removed (spec.remove), so {count} of it"
                    f" {'is' if len(wheres) == 1 else 'are'} ignored."
                    f"{unlisted(len(wheres) - _RELATED)}",
                    hint="Delete them with the MailAccount document after the removal.",
                    where=accounts[key].where.at("spec", "remove"),
                    related=tuple(wheres[:_RELATED]),
                    account=key,
                )
            )

    def _report_no_platform(self, *, complete: bool) -> None:
        if any(item.code == Code.NO_MANIFESTS for item in self.findings):
            return
        if not complete and not self.drafts:  # what could not be read says why
            return
        message = "There is no MailPlatform."
        hint = (
            "Specify the whole tree, if the MailPlatform is in another directory of it. If there is"
            " none, add the MailPlatform named default, which defines the service plans."
        )
        if not complete:
            message = "No MailPlatform could be read."
            hint = "Fix the files that could not be read, or add a MailPlatform if none defines it."
        self.findings.append(finding("no-platform", message, hint=hint))

    def _draft(self, namespace: str, name: str) -> _AccountDraft:
        draft = self.drafts.get((namespace, name))
        if draft is None:
            key = AccountKey(intern(namespace), intern(name))
            draft = self.drafts[key] = _AccountDraft(key)
        return draft

    def _is_first(
        self,
        kind: type[shapes.Document],
        name: str,
        where: Where,
        draft: _AccountDraft,
        domain: str | None = None,
    ) -> bool:
        """Whether this is the first definition of the object; if not, both accounts are stopped.
        ``domain`` is the domain that it declares, if it is a sending domain."""
        namespace = draft.key.namespace
        first, other = self.objects[kind, namespace].setdefault(name, (where, draft))
        if first is where:
            return True
        here = where.at("metadata", "name")
        there = first.at("metadata", "name")
        message = f"{kind.__name__} {name} of namespace {namespace} is defined twice."
        hint = "Remove one of the two, or rename it."
        code = "duplicate-object"
        if kind is shapes.SMTPProfile and other is draft:
            code = "duplicate-profile"
        twice = partial(finding, code, message, hint=hint, domain=domain)
        self.findings.append(twice(where=here, related=(there,), account=draft.key))
        if other is not draft:
            self.findings.append(twice(where=there, related=(here,), account=other.key))
        return False

    def _add_platform(self, document: shapes.MailPlatform, where: Where) -> None:
        if self.platform_where is not None:
            self.platform = None  # neither is used, because it is unknown which one is right
            self.findings.append(
                finding(
                    "duplicate-object",
                    "There are two MailPlatforms, but a tree must have exactly one.",
                    hint="Remove one of the two.",
                    where=where.at("metadata", "name"),
                    related=(self.platform_where.at("metadata", "name"),),
                )
            )
            return
        self.platform_where = where
        platform = platform_of(document, where, self.findings)
        if platform is not None:
            self.platform = DesiredPlatform(platform, where, document.spec.suspend is True)

    def _add_account(self, document: shapes.MailAccount, where: Where) -> None:
        metadata = document.metadata
        draft = self._draft(namespace_of(metadata), metadata.name)
        if self._is_first(shapes.MailAccount, metadata.name, where, draft):
            draft.account = (document, where)

    def _add_profile(self, document: shapes.SMTPProfile, where: Where) -> None:
        spec = document.spec
        name = document.metadata.name
        draft = self._draft(namespace_of(document.metadata), spec.account)
        if self._is_first(shapes.SMTPProfile, name, where, draft):
            self._define(draft, document, name, spec, where, spec.suspend is True, None)
        else:
            draft.unsound.add(name)

    def _add_domain(self, document: shapes.SendingDomain, where: Where) -> None:
        spec = document.spec
        draft = self._draft(namespace_of(document.metadata), spec.account)
        name, problem = spec.domain, None
        try:
            name = domain_name(spec.domain)
        except InvalidNameError as error:
            problem = error
        if not self._is_first(shapes.SendingDomain, document.metadata.name, where, draft, name):
            if spec.route is not UNSET and spec.route.new_profile is not UNSET:
                draft.unsound.add(spec.route.new_profile.name)
            return
        if problem is not None:
            self.findings.append(_bad_domain(document, problem, where, draft.key))
        else:
            route = draft.route(route_of(spec.route))
            overrides = None if spec.overrides is UNSET else spec.overrides
            if route is None and overrides is not None:
                self.findings.append(_nothing_to_confirm(name, where, draft.key))
            suspended = spec.suspend is True
            self._claim(draft, DesiredDomain(name, route, where, suspended, overrides))
        if spec.route is not UNSET and spec.route.new_profile is not UNSET:
            new = spec.route.new_profile
            suspended = spec.suspend is True or new.suspend is True
            self._define(draft, document, new.name, new, where, suspended, name)

    def _claim(self, draft: _AccountDraft, desired: DesiredDomain) -> None:
        domain = desired.domain
        first = draft.contested.get(domain) if draft.contested else None
        if first is None:
            before = draft.domains.setdefault(domain, desired)
            if before is desired:
                return
            first = before.where
            if not self.older_first:
                draft.contested[domain] = first
        name = to_unicode(domain)
        message = (
            f"{name} is declared twice in account {draft.key}, so neither declaration is used."
        )
        if self.older_first:
            message = f"The older {first.file} declares {name} too, and holds it."
        self.findings.append(
            finding(
                "domain-conflict",
                message,
                hint="Remove one of the two.",
                where=desired.where.at("spec", "domain"),
                related=(first.at("spec", "domain"),),
                account=draft.key,
                domain=domain,
            )
        )

    def _define(
        self,
        draft: _AccountDraft,
        document: shapes.Document,
        name: str,
        fields: ProfileFields,
        where: Where,
        suspended: bool,
        inline_in: str | None,
    ) -> None:
        """Add a definition of a profile: a document, or inline in a domain."""
        path = ("spec",) if inline_in is None else _INLINE
        name_position = (
            where.at("metadata", "name") if inline_in is None else where.at(*_INLINE, "name")
        )
        first = draft.name_positions.setdefault(name, name_position)
        if first is not name_position:
            self.findings.append(_defined_twice(name, name_position, first, draft.key))
        profile = profile_of(
            fields,
            FindingCollector(
                _title(document), where.at(*path), draft.key, self.findings, inline_in
            ),
        )
        if profile is None:
            return
        self.findings += _not_enforced(name, fields, where.at(*path), draft.key)
        draft.route(profile.reassign_to)
        if first is name_position:
            draft.profiles[name] = DesiredProfile(profile, where, suspended, inline_in)


def _title(document: shapes.Document) -> str:
    return titled(type(document).__name__, document.metadata.name)


def _bad_domain(
    document: shapes.SendingDomain, error: InvalidNameError, where: Where, key: AccountKey
) -> Finding:
    return finding(
        "invalid-value",
        f"{_title(document)}: spec.domain {error.message}; the value is"
        f" {shown(document.spec.domain)}.",
        hint=error.hint,
        where=where.at("spec", "domain"),
        account=key,
    )


def _not_enforced(
    name: str, fields: ProfileFields, where: Where, key: AccountKey
) -> Iterator[Finding]:
    """Report the fields that are recorded and shown, but have no effect yet."""
    check = fields.sender_authorization
    if check is not UNSET and check is not SenderAuthorization.OFF:
        yield finding(
            "not-enforced",
            f"Whether the provider of profile {name} of account {key} is authorised to send for its"
            " domains is not checked yet.",
            hint=f"senderAuthorization: {check} has no effect. Check the SPF and DKIM records"
            " yourself.",
            where=where.at(*where.path, "senderAuthorization"),
            account=key,
        )
    if fields.limits is not UNSET:
        yield finding(
            "not-enforced",
            f"The limits of profile {name} of account {key} are recorded, and not enforced yet.",
            hint="The provider enforces its own limits.",
            where=where.at(*where.path, "limits"),
            account=key,
        )


def _nothing_to_confirm(domain: str, where: Where, key: AccountKey) -> Finding:
    return finding(
        "missing-field",
        f"The manifest of {to_unicode(domain)} confirms its declared route by spec.overrides, but"
        " has no spec.route.",
        hint="Declare the route, or remove spec.overrides.",
        where=where.at("spec", "overrides"),
        account=key,
        domain=domain,
    )


def _defined_twice(name: str, name_position: Where, first: Where, key: AccountKey) -> Finding:
    return finding(
        "duplicate-profile",
        f"Profile {name} of account {key} is defined twice.",
        hint=f"Keep one definition, and refer to it elsewhere: route: {{profile: {name}}}.",
        where=name_position,
        related=(first,),
        account=key,
    )


def _account(draft: _AccountDraft, document: shapes.MailAccount, where: Where) -> DesiredAccount:
    spec = document.spec
    if spec.remove is not UNSET and spec.suspend is not True:
        return DesiredAccount(
            draft.key,
            spec.plan,
            where,
            remove=spec.remove.confirm.domains,
            ignored=list({**draft.left_out, **draft.domains}.values()),
            unsound=draft.faulty(),
            ignored_profiles=draft.documented(),
        )
    apply_all = None
    if spec.apply_to_all is not UNSET:
        apply_to_all = spec.apply_to_all
        route = route_of(apply_to_all.route)
        confirm = None if apply_to_all.confirm is UNSET else apply_to_all.confirm.domains
        if route is not None:
            apply_all = ApplyAll(apply_to_all.id, route, confirm)
            draft.route(route)
    return DesiredAccount(
        key=draft.key,
        plan=spec.plan,
        where=where,
        default=draft.route(route_of(spec.default_route)),
        apply_all=apply_all,
        logins=UNSET if spec.submission is UNSET else tuple(sorted(set(spec.submission.logins))),
        suspended=spec.suspend is True,
        profiles=dict(sorted(draft.profiles.items())),
        domains=draft.claims(),
        contested=draft.contested,
        unsound=draft.faulty(),
    )


def _unused(draft: _AccountDraft) -> list[Finding]:
    return [
        finding(
            "profile-unused",
            f"Nothing in the manifests routes to profile {name} of account {draft.key}.",
            hint="If it was applied before, check before you remove it that no domain uses it"
            " because of an earlier default or apply-all.",
            remedy=ShowRoutes(draft.key.namespace, draft.key.name, name),
            where=draft.name_positions[name],
            account=draft.key,
        )
        for name, desired in sorted(draft.profiles.items())
        if name not in draft.named and not desired.suspended
    ]
