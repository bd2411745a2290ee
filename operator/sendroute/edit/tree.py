"""What is where in a tree of manifests, as an edit looks it up, and the texts of its files."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, assert_never

from msgspec import UNSET

from sendroute.edit.layout import BOM, Document, Layout
from sendroute.manifests import shapes
from sendroute.manifests.fields import ProfileFields
from sendroute.manifests.headers import account_of_document
from sendroute.manifests.names import BadNameError, domain_name
from sendroute.manifests.profiles import route_of
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Where
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Perform, Task
from sendroute.model.route import Route


class Domain(NamedTuple):
    """A SendingDomain's document. ``name`` is the A-label; ``inline`` the profile that it defines
    in line, if any; ``suspended`` the document's own."""

    key: AccountKey
    name: str
    where: Where
    route: Route | None
    inline: str | None
    suspended: bool


class Profile(NamedTuple):
    """A profile's definition: in a document of its own, or in line in that of ``domain``."""

    key: AccountKey
    name: str
    where: Where
    fields: ProfileFields
    domain: Domain | None = None


class Account(NamedTuple):
    key: AccountKey
    where: Where
    spec: shapes.AccountSpec


class Tree:
    """``files`` are the names of all there are, as they are shown; ``load`` gives the text of one.
    ``broken`` are those with a problem in them, which are never touched."""

    def __init__(
        self,
        documents: Iterable[tuple[shapes.Document, Where]],
        load: Callable[[str], str],
        files: Iterable[str] = (),
        broken: frozenset[str] = frozenset(),
    ) -> None:
        self.files = frozenset(files)
        self._load = load
        self._texts: dict[str, str] = {}
        self._layouts: dict[str, Layout] = {}
        self.broken = broken
        self.accounts: dict[AccountKey, list[Account]] = {}
        self.domains: list[Domain] = []
        self.profiles: list[Profile] = []
        self._by_name: dict[tuple[AccountKey, str], list[Profile]] = {}
        self._read: dict[str, dict[int, str]] = {}  # the names of what was read, by file
        self.names: set[tuple[str, str]] = set()  # namespace and name of every SendingDomain
        self.profile_names: set[tuple[str, str]] = set()
        for document, where in documents:
            self._add(document, where)

    def _add(self, document: shapes.Document, where: Where) -> None:
        self._read.setdefault(where.file, {})[where.document] = document.metadata.name
        key = account_of_document(document)
        if key is None:
            return
        match document:
            case shapes.MailAccount():
                found = Account(key, where, document.spec)
                self.accounts.setdefault(key, []).append(found)
            case shapes.SMTPProfile():
                name = document.metadata.name
                self.profile_names.add((key.namespace, name))
                self._add_profile(Profile(key, name, where, document.spec))
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
        except BadNameError:  # validation tells it
            name = spec.domain
        new = UNSET if spec.route is UNSET else spec.route.new_profile
        inline = None if new is UNSET else new.name
        suspended = spec.suspend is True
        domain = Domain(key, name, where, route_of(spec.route), inline, suspended)
        self.domains.append(domain)
        if new is not UNSET:
            self._add_profile(Profile(key, new.name, where, new, domain))

    def _add_profile(self, profile: Profile) -> None:
        self.profiles.append(profile)
        self._by_name.setdefault((profile.key, profile.name), []).append(profile)

    def text(self, file: str) -> str:
        if file not in self._texts:
            self._texts[file] = self._load(file)
        return self._texts[file]

    def layout(self, file: str) -> Layout:
        """A file's text by its parts, without a byte-order mark. Raises ProblemError for one that
        is never touched, or that no longer holds what was read."""
        if file in self.broken:
            raise ProblemError(_broken(file))
        if file not in self._layouts:
            self._layouts[file] = self._laid_out(file)
        return self._layouts[file]

    def _laid_out(self, file: str) -> Layout:
        from yaml import YAMLError

        try:
            layout = Layout(self.text(file).removeprefix(BOM))
        except YAMLError as error:
            raise ProblemError(changed_meanwhile(file)) from error
        except RecursionError as error:  # somebody else's document: ours nest 32 levels at most
            raise ProblemError(_too_deep(file)) from error
        for number, name in self._read.get(file, {}).items():
            if number >= len(layout.documents) or _name(layout.documents[number]) != name:
                raise ProblemError(changed_meanwhile(file))
        return layout

    def document(self, where: Where) -> Document:
        return self.layout(where.file).documents[where.document]

    def account(self, key: AccountKey) -> Account:
        """The one document of an account. Raises ProblemError for two, or none."""
        found = self.accounts.get(key, [])
        if len(found) == 1:
            return found[0]
        if found:
            raise ProblemError(
                finding(
                    "duplicate-object",
                    f"Account {key.name} is defined twice, so which one to edit cannot be told.",
                    hint="Take one of the two out first.",
                    where=found[1].where,
                    related=(found[0].where,),
                    account=key,
                )
            )
        raise ProblemError(
            finding(
                "unknown-account",
                f"No MailAccount {key.name} is among these manifests.",
                hint="Name the folder or file that holds it too.",
                account=key,
            )
        )

    def profiles_of(self, key: AccountKey, name: str) -> list[Profile]:
        return self._by_name.get((key, name), [])

    def profile(self, key: AccountKey, name: str) -> Profile:
        """The one definition of a profile. Raises ProblemError for two, or none."""
        found = self.profiles_of(key, name)
        if len(found) == 1:
            return found[0]
        if found:
            raise ProblemError(
                finding(
                    "duplicate-profile",
                    f"Profile {name} of account {key.name} is defined twice, so which one is "
                    "meant cannot be told.",
                    hint="Take one of the two out first.",
                    where=found[1].where,
                    related=(found[0].where,),
                    account=key,
                )
            )
        raise ProblemError(unknown_profile(self, key, name))

    def domains_of(self, key: AccountKey) -> list[Domain]:
        return [each for each in self.domains if each.key == key]


def _name(document: Document) -> object:
    node = document.root.at("metadata", "name")
    return node.scalar if node else None


def unknown_profile(tree: Tree, key: AccountKey, name: str) -> Finding:
    from difflib import get_close_matches

    known = sorted({each.name for each in tree.profiles if each.key == key})
    near = get_close_matches(name, known, n=1)
    hint = "Name the folder or file that defines it too, or define it first."
    if near:
        hint = f"Did you mean {near[0]}?"
    elif known:
        hint = f"It has {', '.join(known[:10])}{', …' if len(known) > 10 else ''}."
    return finding(
        "unknown-profile",
        f"Account {key.name} has no profile {name} in these manifests.",
        hint=hint,
        account=key,
    )


def changed_meanwhile(file: str) -> Finding:
    return finding(
        "unwritable",
        "This file was changed by somebody else meanwhile, so nothing was written.",
        hint="Run the command again.",
        where=Where(file, 0),
    )


def _broken(file: str) -> Finding:
    return finding(
        "unwritable",
        "This file has errors, so it is left untouched.",
        hint="Fix the errors first. Validate the file to see them.",
        remedy=Perform(Task.VALIDATE, file),
        where=Where(file, 0),
    )


def _too_deep(file: str) -> Finding:
    return finding(
        "edit-by-hand",
        "This file holds a document of another API group that is nested too deep to be read again.",
        hint="Edit it by hand, or move that document to another file.",
        where=Where(file, 0),
    )
