"""Where a new account goes: in a file or a directory of its own, as the tree's layout names them,
or in a file that several tenants share. Never in a file or a directory of another tenant."""

import posixpath
from collections.abc import Iterable, Iterator
from itertools import chain

from sendroute.edit.placement import Placement, behind
from sendroute.edit.tree import EditedAccount, EditedDomain, EditedProfile, EditTree
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Where
from sendroute.model.problem import ProblemError


def placement_of_account(tree: EditTree, key: AccountKey, file: str | None = None) -> Placement:
    """Decide where a new MailAccount goes.

    If the tenant (the namespace) has an account already, its layout is followed; else that of the
    last account whose file or directories are named after it. Without such names, the account goes
    behind the last one in a file that it may share, else into a file of its own.

    Args:
        tree: the manifests.
        key: the new account.
        file: the file that the user chose; None for none.

    Returns:
        The placement.

    Raises:
        ProblemError: there are no manifests, or the file of the account to follow has errors or
            changed.
    """
    accounts = sorted(
        (
            account
            for every in tree.accounts.values()
            for account in every
            if account.where.file not in tree.broken
        ),
        key=lambda account: _order(account.where),
        reverse=True,
    )
    model = accounts[0].where if accounts else None
    if file is not None:
        return Placement.in_file(tree, file, model)
    if model is None and not tree.files:
        raise ProblemError(
            finding(
                "no-platform",
                "There are no manifests yet, and the first of them is the MailPlatform.",
                hint="Add the MailPlatform named default, which defines the service plans.",
            )
        )
    if model is None:
        file = min(tree.files - tree.broken or tree.files)
        own_file = _in_own_file(tree, key, [posixpath.dirname(file)], None)
        return own_file or Placement.in_file(tree, file, None)
    tenants = _TenantFiles(tree, key)
    same = [account for account in accounts if account.key.namespace == key.namespace]
    for account in same or accounts:
        for separate in _renamed(account, key):
            if tree.lists(separate) and tenants.may_hold(separate):
                return Placement.in_file(tree, separate, account.where)
    for account in same or accounts:
        if tenants.may_hold(account.where.file):
            return _behind_account(tree, account, key)
    directories = tenants.common_directories(model.file)
    return _in_own_file(tree, key, directories, model) or _behind_account(tree, accounts[0], key)


def _behind_account(tree: EditTree, account: EditedAccount, key: AccountKey) -> Placement:
    """Behind an account and what it owns."""
    file = account.where.file
    last = max((w for w in tree.documents_of(account.key) if w.file == file), key=_order)
    return behind(tree, last, key.name)


def _in_own_file(
    tree: EditTree, key: AccountKey, directories: Iterable[str], model: Where | None
) -> Placement | None:
    """In a new file named after the account, in the first directory that is a part of the tree."""
    for directory in directories:
        for name in (key.name, f"{key.namespace}-{key.name}"):
            separate = posixpath.join(directory, f"{name}.yaml")
            if tree.lists(separate) and separate not in tree.files:
                return Placement.in_file(tree, separate, model)
    return None


def _renamed(account: EditedAccount, key: AccountKey) -> Iterator[str]:
    """The path of an account's file with the other account's name or namespace, wherever a
    directory or the file is named after the account; nothing if none is."""
    *directories, base = account.where.file.split("/")
    stem, dot, ending = base.rpartition(".")
    names = [*directories, stem]
    is_named = [name in account.key for name in names]
    if not any(is_named):
        return
    first = is_named.index(True)
    renamed = [
        _counterpart(name, account.key, key, outer=index == first and sum(is_named) > 1)
        if name in account.key
        else name
        for index, name in enumerate(names)
    ]
    yield "/".join(renamed) + dot + ending


def _counterpart(name: str, other: AccountKey, key: AccountKey, *, outer: bool) -> str:
    """``outer``: the name is the first of several, so if it may be either it is the namespace."""
    if other.name == other.namespace:
        return key.namespace if outer else key.name
    return key.name if name == other.name else key.namespace


class _TenantFiles:
    """Which files and directories hold documents of one other tenant only."""

    def __init__(self, tree: EditTree, key: AccountKey) -> None:
        self._tree, self._key = tree, key
        self._tenants: dict[str, set[str]] = {}
        accounts = chain.from_iterable(tree.accounts.values())
        owned: Iterable[EditedAccount | EditedDomain | EditedProfile] = chain(
            accounts, tree.domains, tree.profiles
        )
        for item in owned:
            self._add(item.where.file, item.key.namespace)
        # What belongs to no account, such as the platform, makes its directories common.
        for file in (*tree.platform_files, *(tree.files - self._tenants.keys())):
            self._add(file, "")

    def _add(self, file: str, namespace: str) -> None:
        path, above = file, posixpath.dirname(file)
        while path != above:
            self._tenants.setdefault(path, set()).add(namespace)
            path, above = above, posixpath.dirname(above)

    def may_hold(self, file: str) -> bool:
        """Whether neither the file nor its directory belongs to another tenant."""
        return not (self._is_foreign(file) or self._is_foreign_directory(posixpath.dirname(file)))

    def common_directories(self, file: str) -> Iterator[str]:
        """The directories above a file that do not belong to another tenant, the nearest first."""
        directory = posixpath.dirname(file)
        while True:
            if not self._is_foreign_directory(directory):
                yield directory
            if directory == (directory := posixpath.dirname(directory)):
                return

    def _is_foreign(self, path: str) -> bool:
        tenants = self._tenants.get(path, set())
        return len(tenants) == 1 and tenants.isdisjoint(("", self._key.namespace))

    def _is_foreign_directory(self, path: str) -> bool:
        """The top of the tree belongs to no tenant, whatever it holds."""
        above = posixpath.join(posixpath.dirname(path), f"{self._key.name}.yaml")
        return bool(path) and self._tree.lists(above) and self._is_foreign(path)


def _order(where: Where) -> tuple[str, int]:
    return where.file, where.document
