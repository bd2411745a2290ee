"""The objects of a tree of manifests with their positions, and the texts of its files."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, assert_never

from msgspec import UNSET
from yaml import YAMLError

from sendroute.edit.layout import Layout, LayoutDocument
from sendroute.manifests import shapes
from sendroute.manifests.fields import ProfileFields
from sendroute.manifests.headers import account_of_document
from sendroute.manifests.names import InvalidNameError, domain_name
from sendroute.manifests.profiles import route_of
from sendroute.model.byte_order_mark import BYTE_ORDER_MARK
from sendroute.model.codes import finding
from sendroute.model.current import DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Where
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Perform, Task
from sendroute.model.route import Route
from sendroute.model.spelling import did_you_mean


class EditedDomain(NamedTuple):
    """A SendingDomain's document. ``name`` is the A-label; ``inline`` is the profile that it
    defines inline, if any; ``suspended`` and ``overrides`` are the document's own fields."""

    key: AccountKey
    name: str
    where: Where
    route: Route | None
    inline: str | None
    suspended: bool
    overrides: str | None = None

    def is_pending(self, state: DomainState) -> bool:
        """Whether its declared route is not applied yet, so that the next apply decides it."""
        if self.route is None:  # removing a declared route reroutes nothing
            return False
        pending = self.overrides or state.overrides
        return (self.route, pending) != (state.declared, state.overrides)


class EditedProfile(NamedTuple):
    """A profile's definition: a separate document, or inline in the document of ``domain``."""

    key: AccountKey
    name: str
    where: Where
    fields: ProfileFields
    domain: EditedDomain | None = None


class EditedAccount(NamedTuple):
    key: AccountKey
    where: Where
    spec: shapes.AccountSpec


class EditTree:
    """The manifests of an edit.

    Args:
        documents: all documents with their positions.
        load: reads a file's text.
        files: the names of all files, as they are shown.
        broken: the files with errors; they are never edited.
        lists: whether a new file of this path would belong to the tree.
    """

    def __init__(
        self,
        documents: Iterable[tuple[shapes.Document, Where]],
        load: Callable[[str], str],
        files: Iterable[str] = (),
        broken: frozenset[str] = frozenset(),
        lists: Callable[[str], bool] = lambda _path: True,
    ) -> None:
        self.files = frozenset(files)
        self.lists = lists
        self._load = load
        self._texts: dict[str, str] = {}
        self._layouts: dict[str, Layout] = {}
        self.broken = broken
        self.accounts: dict[AccountKey, list[EditedAccount]] = {}
        self.domains: list[EditedDomain] = []
        self.profiles: list[EditedProfile] = []
        self._by_name: dict[tuple[AccountKey, str], list[EditedProfile]] = {}
        self._read: dict[str, dict[int, str]] = {}  # the names of the documents, by file
        self.names: set[tuple[str, str]] = set()  # namespace and name of every SendingDomain
        self.profile_names: set[tuple[str, str]] = set()
        self.platform: shapes.PlatformSpec | None = None
        self.platform_files: set[str] = set()
        for document, where in documents:
            self._add(document, where)

    def _add(self, document: shapes.Document, where: Where) -> None:
        self._read.setdefault(where.file, {})[where.document] = document.metadata.name
        key = account_of_document(document)
        if key is None:
            self.platform = document.spec if isinstance(document, shapes.MailPlatform) else None
            self.platform_files.add(where.file)
            return
        match document:
            case shapes.MailAccount():
                account = EditedAccount(key, where, document.spec)
                self.accounts.setdefault(key, []).append(account)
            case shapes.SMTPProfile():
                name = document.metadata.name
                self.profile_names.add((key.namespace, name))
                self._add_profile(EditedProfile(key, name, where, document.spec))
            case shapes.SendingDomain():
                self.names.add((key.namespace, document.metadata.name))
                self._add_domain(key, document.spec, where)
            case shapes.MailPlatform():
                pass
            case _:
                assert_never(document)

    def _add_domain(self, key: AccountKey, spec: shapes.DomainSpec, where: Where) -> None:
        try:
            name = domain_name(spec.domain)
        except InvalidNameError:  # validation reports it
            name = spec.domain
        new = UNSET if spec.route is UNSET else spec.route.new_profile
        inline = None if new is UNSET else new.name
        suspended = spec.suspend is True
        overrides = None if spec.overrides is UNSET else spec.overrides
        domain = EditedDomain(key, name, where, route_of(spec.route), inline, suspended, overrides)
        self.domains.append(domain)
        if new is not UNSET:
            self._add_profile(EditedProfile(key, new.name, where, new, domain))

    def _add_profile(self, profile: EditedProfile) -> None:
        self.profiles.append(profile)
        self._by_name.setdefault((profile.key, profile.name), []).append(profile)

    def text(self, file: str) -> str:
        """Return the text of a file, read once. Raises what the tree's ``load`` raises."""
        if file not in self._texts:
            self._texts[file] = self._load(file)
        return self._texts[file]

    def layout(self, file: str) -> Layout:
        """Get the layout of a file, by its name, without a byte-order mark.

        Raises:
            ProblemError: the file has errors, or it changed after it was read.
        """
        if file in self.broken:
            raise ProblemError(_broken(file))
        if file not in self._layouts:
            self._layouts[file] = self._laid_out(file)
        return self._layouts[file]

    def _laid_out(self, file: str) -> Layout:
        try:
            layout = Layout(self.text(file).removeprefix(BYTE_ORDER_MARK))
        except YAMLError as error:
            raise ProblemError(changed_meanwhile(file)) from error
        except RecursionError as error:  # not one of our documents: those nest 32 levels at most
            raise ProblemError(_too_deep(file)) from error
        for number, name in self._read.get(file, {}).items():
            if number >= len(layout.documents) or _name(layout.documents[number]) != name:
                raise ProblemError(changed_meanwhile(file))
        return layout

    def document(self, where: Where) -> LayoutDocument:
        """The document at ``where``. Raises as :meth:`layout` does."""
        return self.layout(where.file).documents[where.document]

    def account(self, key: AccountKey) -> EditedAccount:
        """Get the MailAccount of an account.

        Args:
            key: the account.

        Returns:
            The MailAccount.

        Raises:
            ProblemError: there is none (``unknown-account``), or more than one
                (``duplicate-object``).
        """
        accounts = self.accounts.get(key, [])
        if len(accounts) == 1:
            return accounts[0]
        if accounts:
            raise ProblemError(
                finding(
                    "duplicate-object",
                    f"Account {key} is defined twice, so it is unclear which one to edit.",
                    hint="Remove one of the two first.",
                    where=accounts[1].where,
                    related=(accounts[0].where,),
                    account=key,
                )
            )
        raise ProblemError(
            finding(
                "unknown-account",
                f"The given manifests have no MailAccount {key}.",
                hint="Add its directory or file to the arguments.",
                account=key,
            )
        )

    def profiles_of(self, key: AccountKey, name: str) -> list[EditedProfile]:
        """Every definition of a profile of this account and name; more than one is an error."""
        return self._by_name.get((key, name), [])

    def profile(self, key: AccountKey, name: str) -> EditedProfile:
        """Get the definition of a profile.

        Args:
            key: the account.
            name: the name of the profile.

        Returns:
            The definition.

        Raises:
            ProblemError: there is none (``unknown-profile``), or more than one
                (``duplicate-profile``).
        """
        profiles = self.profiles_of(key, name)
        if len(profiles) == 1:
            return profiles[0]
        if profiles:
            raise ProblemError(
                finding(
                    "duplicate-profile",
                    f"Profile {name} of account {key} is defined twice, so it is unclear "
                    "which one to edit.",
                    hint="Remove one of the two first.",
                    where=profiles[1].where,
                    related=(profiles[0].where,),
                    account=key,
                )
            )
        raise ProblemError(unknown_profile(self, key, name))

    def documents_of(self, key: AccountKey) -> list[Where]:
        """The documents of an account: its MailAccount, and those of what it owns."""
        return [
            *(account.where for account in self.accounts.get(key, ())),
            *(p.where for p in self.profiles if p.key == key and p.domain is None),
            *(domain.where for domain in self.domains_of(key)),
        ]

    def offers_managed(self, key: AccountKey) -> bool:
        """Whether the account's service plan is known to offer the managed relay."""
        accounts = self.accounts.get(key, [])
        if self.platform is None or not accounts:
            return False
        plan = accounts[0].spec.plan
        return any(known.managed for known in self.platform.plans if known.name == plan)

    def domains_of(self, key: AccountKey) -> list[EditedDomain]:
        """The domains that an account declares, in the order of reading."""
        return [domain for domain in self.domains if domain.key == key]


def _name(document: LayoutDocument) -> object:
    node = document.root.at("metadata", "name")
    return node.scalar if node else None


def unknown_profile(tree: EditTree, key: AccountKey, name: str) -> Finding:
    """The finding for a profile that the account does not have in these manifests."""
    of_account = (profile for profile in tree.profiles if profile.key == key)
    known = sorted({profile.name for profile in of_account if not profile.where.outside})
    near = did_you_mean(name, known)
    hint = "Add the file that defines it to the arguments, or define it first."
    if near:
        hint = near
    elif known:
        subject = "Its only profile is" if len(known) == 1 else "Its profiles are"
        hint = f"{subject} {', '.join(known[:10])}{', …' if len(known) > 10 else ''}."
    return finding(
        "unknown-profile",
        f"Account {key} has no profile {name} in the given manifests.",
        hint=hint,
        account=key,
    )


def changed_meanwhile(file: str) -> Finding:
    """Return the finding for a file that another process changed after it was read."""
    return finding(
        "unwritable",
        f"Another process changed {file}, so nothing was written.",
        hint="Repeat the edit.",
        where=Where(file, 0),
    )


def _broken(file: str) -> Finding:
    return finding(
        "unwritable",
        f"{file} has errors and was not edited.",
        hint="Fix the errors first. Validate the file to see them.",
        remedy=Perform(Task.VALIDATE, file),
        where=Where(file, 0),
    )


def _too_deep(file: str) -> Finding:
    return finding(
        "edit-by-hand",
        f"{file} contains a document of another API group that is nested too deeply.",
        hint="Edit the file by hand, or move that document to another file.",
        where=Where(file, 0),
    )
