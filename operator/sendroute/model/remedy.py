"""What a user can do about a finding, as data: each front end words it for its own users.

A finding's hint is a sentence without commands and options. A remedy completes the hint: the
terminal appends a command or an option to copy, and another front end appends its own form, or
shows the sentence alone.
"""

from enum import StrEnum

from msgspec import Struct

from sendroute.model.route import Route


class GuardLimit(StrEnum):
    """A share of an account's, or of the store's, domains that one change may touch without being
    confirmed."""

    CHANGES = "changes"
    REMOVALS = "removals"


class Setting(StrEnum):
    """What Sendroute is run with."""

    STORE = "store"
    KEY = "key"
    SECRETS = "secrets"
    POLICY = "policy"
    BRANCH = "branch"
    SOURCE_PATH = "source-path"
    VERIFY_SIGNATURES = "verify-signatures"
    ALLOWED_SIGNERS = "allowed-signers"
    STATE_DIRECTORY = "state-directory"
    GIT_TIMEOUT = "git-timeout"
    GIT_MEMORY = "git-memory"
    TREE_SIZE = "tree-size"
    TREE_FILES = "tree-files"


class Task(StrEnum):
    """What Sendroute can be asked to do."""

    CREATE_STORE = "create-store"
    RESTORE_FROM_BACKUP = "restore-from-backup"
    RESTORE_FROM_LOCK_FILE = "restore-from-lock-file"
    RESTORE = "restore"
    WRITE_LOCK_FILE = "write-lock-file"
    VALIDATE = "validate"
    PLAN = "plan"
    SAVE_PLAN = "save-plan"
    TEST_CONNECTIONS = "test-connections"
    SYNC = "sync"
    ADD_DOMAIN = "add-domain"
    SET_ROUTE = "set-route"


class GitTask(StrEnum):
    """What git can be asked to do."""

    FETCH_HISTORY = "fetch-history"
    FETCH_LFS = "fetch-lfs"
    FETCH_ANNEX = "fetch-annex"
    CHECK_REPOSITORY = "check-repository"
    SHOW_STATUS = "show-status"
    SHOW_CONFIGURATION = "show-configuration"
    LIST_BRANCHES = "list-branches"
    EXTEND_CHECKOUT = "extend-checkout"
    CHECK_OUT = "check-out"
    RESTORE_SKIPPED = "restore-skipped"
    """Check out a file that git is set to skip."""
    TAKE_ONE_SIDE = "take-one-side"
    """Take the whole file of one side of a merge."""
    SIGN_COMMIT = "sign-commit"
    VERIFY_COMMIT = "verify-commit"


class RaiseLimit(Struct, frozen=True, tag="raise-limit"):
    """Apply with this share, in whole percent, as the limit."""

    limit: GuardLimit
    percent: int


class AllowOlderTree(Struct, frozen=True, tag="allow-older-tree"):
    """Apply although the tree lacks a commit that was applied before."""


class Approve(Struct, frozen=True, tag="approve"):
    """Approve the change of an account that is held back."""

    namespace: str
    account: str


class ConfirmRemoval(Struct, frozen=True, tag="confirm-removal"):
    """Confirm that an account is removed with its domains."""

    namespace: str
    account: str


class Configure(Struct, frozen=True, tag="configure"):
    """Set, or change, what Sendroute is run with."""

    setting: Setting


class Perform(Struct, frozen=True, tag="perform"):
    """Do a task. ``subject`` is what it is about, None if anything is: a path for a restore and a
    validation, a domain for an edit."""

    task: Task
    subject: str | None = None


class SetRoute(Struct, frozen=True, tag="set-route"):
    """Declare a route in the manifest of a domain."""

    domain: str
    route: Route


class ReplaceEmptyStore(Struct, frozen=True, tag="replace-empty-store"):
    """Move an empty store away, and create the one that was lost from a saved state of it, which is
    a lock file or a backup."""

    location: str
    file: str
    is_backup: bool = False


class ReuseKey(Struct, frozen=True, tag="reuse-key"):
    """Create a store with a key that exists: the store that was lost, or a new one."""

    path: str


class CheckOutSubmodules(Struct, frozen=True, tag="check-out-submodules"):
    """Have git check out submodules of the repository with this ``top``: the one at this ``path``
    in it, all if it is None. ``again`` if git takes an attempt that failed for a checkout."""

    top: str | None = None
    path: str | None = None
    again: bool = False


class UseGit(Struct, frozen=True, tag="use-git"):
    """Have git do a task. ``subject`` is what it is about, None if anything is: a commit, a
    variable of its configuration, or a path in the repository. ``top`` is the top of that, None for
    the one of the working directory."""

    task: GitTask
    subject: str | None = None
    top: str | None = None


class InstallPackage(Struct, frozen=True, tag="install-package"):
    """Install a package, which Debian calls so."""

    package: str


class GenerateKey(Struct, frozen=True, tag="generate-key"):
    """Generate a key that encrypts credentials."""


class DeleteProfile(Struct, frozen=True, tag="delete-profile"):
    """Delete a profile from the manifests, and declare no route where it was declared."""

    namespace: str
    account: str
    profile: str


class ExtractProfile(Struct, frozen=True, tag="extract-profile"):
    """Move a profile from a domain's document to its own document."""

    namespace: str
    account: str
    profile: str


class RenameProfile(Struct, frozen=True, tag="rename-profile"):
    """Give a profile another name in the manifests, and ``then`` declare a route."""

    namespace: str
    account: str
    profile: str
    new_name: str
    then: SetRoute | None = None


class ShowRoutes(Struct, frozen=True, tag="show-routes"):
    """Show the domains that are sent through a profile."""

    namespace: str
    account: str
    profile: str


class ConfigurePostfix(Struct, frozen=True, tag="configure-postfix"):
    """Write the Postfix side to the directory of the lookup tables. If it ``installs``, add it to
    the Postfix with this ``config`` directory, None for Postfix's own, and replace
    ``replaces``, which a user set."""

    directory: str
    config: str | None = None
    installs: bool = True
    replaces: str | None = None


Remedy = (
    RaiseLimit
    | AllowOlderTree
    | Approve
    | ConfirmRemoval
    | Configure
    | Perform
    | SetRoute
    | ReplaceEmptyStore
    | ReuseKey
    | CheckOutSubmodules
    | UseGit
    | InstallPackage
    | GenerateKey
    | DeleteProfile
    | ExtractProfile
    | RenameProfile
    | ShowRoutes
    | ConfigurePostfix
)
