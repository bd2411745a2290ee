"""Why git failed, derived from its English messages. The messages themselves are never shown: they
may contain a token of a URL, and anything that a server sends."""

import re
import signal
from typing import NamedTuple

from sendroute.model.remedy import Configure, GitTask, Remedy, Setting, UseGit

# The messages about git's configuration, and what it may not read. A path in them is of the machine
# where git runs, and holds no URL.
_CONFIG_LINE = re.compile(r"^fatal: bad config line (\d+) in file (.+)$", re.MULTILINE)
_CONFIG_VALUE = re.compile(r"^fatal: bad \w+ config value '.*' for '([\w.-]+)'", re.MULTILINE)
_CONFIG_ACCESS = re.compile(
    r"^fatal: unable to access '(/[^']*)': Permission denied$", re.MULTILINE
)
_OWNER = re.compile(
    r"^fatal: (?:detected dubious ownership in repository at|unsafe repository) \(?'(/[^'\n]*)'",
    re.MULTILINE,
)
_QUOTED = re.compile(r"'[^']*'")


class FailureCause(NamedTuple):
    """``sentence`` is a clause without a full stop, to follow "Cannot read … : "."""

    sentence: str
    hint: str
    remedy: Remedy | None = None


class GitFailedError(Exception):
    """git failed. ``cause`` is None if its messages match no known cause. ``is_of_the_call`` is
    true if git did not run to its end: it is not installed, or the deadline passed."""

    def __init__(self, cause: FailureCause | None, *, is_of_the_call: bool = False) -> None:
        super().__init__("git failed")
        self.cause = cause
        self.is_of_the_call = is_of_the_call


DISK_FULL = FailureCause(
    "the disk is full",
    "Free space in the state directory, or set another one.",
    Configure(Setting.STATE_DIRECTORY),
)
NO_SHALLOW = FailureCause(
    "the server does not support shallow clones", "Use a newer version of git on the server."
)
NO_CHECKOUT = FailureCause(
    "its commit cannot be checked out",
    "Look for file names that this file system does not allow, and push a commit without them.",
)
NO_REPOSITORY = FailureCause(
    "the repository does not exist, or the user that runs sendroute may not read it",
    "Check the URL and the access rights of that user.",
)
NOT_INSTALLED = FailureCause("git is not installed", "Install git, version 2.34 or newer.")
NO_SSH_KEYGEN = FailureCause("ssh-keygen is not installed", "Install OpenSSH's ssh-keygen.")
NO_WORKING_TREE = FailureCause(
    "its .git leads to no repository",
    "Clone the repository again, or see there why git does not use it.",
    UseGit(GitTask.SHOW_STATUS),
)
NO_COMMIT = FailureCause(
    "its HEAD leads to no commit",
    "Check out a branch or a commit, or check the repository.",
    UseGit(GitTask.CHECK_REPOSITORY),
)
NO_ANSWER = FailureCause(
    "git did not answer within 5 minutes",
    "Check the disk, and look in the repository for a named pipe in place of a file.",
)
UNREADABLE = FailureCause(
    "the repository is damaged, or a part of it is missing",
    "Fetch what a partial clone lacks, or check the repository.",
    UseGit(GitTask.CHECK_REPOSITORY),
)
TOO_MUCH_MEMORY = FailureCause(
    "git needs more memory than it may use",
    "Look for very large files in the repository, or raise the limit.",
    Configure(Setting.GIT_MEMORY),
)
TOO_LONG_OUTPUT = FailureCause(
    "git prints more than Sendroute reads",
    "Look for very many branches of the same name, or a very large commit message, and remove"
    " them.",
)
TOO_MANY_BYTES = FailureCause(
    "git writes a larger file than it may",
    "Look for very large files in the repository, or raise the limit.",
    Configure(Setting.TREE_SIZE),
)
UNKNOWN = FailureCause(
    "git failed for an unknown reason",
    "List the branches of the same URL, as the user that runs sendroute, to see the reason.",
    UseGit(GitTask.LIST_BRANCHES),
)
_AUTHENTICATION = FailureCause(
    "the server requires credentials, or rejects the ones it received",
    "Set up a credential helper, an ssh key or GIT_ASKPASS for the user that runs sendroute.",
)
_NOT_FOUND = FailureCause(
    "the host name cannot be resolved", "Check the host name of the URL and the DNS servers."
)
_REFUSED = FailureCause(
    "the connection to the host failed",
    "Check the host and port of the URL, and the firewalls on the way.",
)
_TIMED_OUT = FailureCause(
    "the host does not answer",
    "Check that the host is up and reachable; Sendroute retries.",
)
_DISCONNECTED = FailureCause(
    "the server closed the connection during the transfer",
    "Check the server's logs; Sendroute retries.",
)

# The first match counts, so the more specific messages come first.
_KNOWN: tuple[tuple[tuple[str, ...], FailureCause], ...] = (
    (("no space left on device", "disk quota exceeded"), DISK_FULL),
    (
        ("out of memory", "cannot allocate memory", "unable to create thread", "bad_alloc"),
        TOO_MUCH_MEMORY,
    ),
    (("file too large", f"died of signal {signal.SIGXFSZ:d}"), TOO_MANY_BYTES),
    (
        ("does not support shallow", "dumb http transport does not support"),
        NO_SHALLOW,
    ),
    (
        ("host key verification failed", "no matching host key", "host key is known"),
        FailureCause(
            "ssh does not know the server's host key",
            "Add the server's key to the known_hosts file of the user that runs sendroute.",
        ),
    ),
    (
        ("certificate", "ssl_connect", "gnutls_handshake", "ssl routines"),
        FailureCause(
            "the server's TLS certificate is not trusted",
            "Set the certificate authority with git's http.sslCAInfo or GIT_SSL_CAINFO.",
        ),
    ),
    (
        (
            "could not resolve host",
            "name or service not known",
            "temporary failure in name resolution",
            "unable to look up",
            "no address associated with",
        ),
        _NOT_FOUND,
    ),
    (("timed out", "timeout was reached"), _TIMED_OUT),
    (
        (
            "connection refused",
            "failed to connect",
            "couldn't connect",
            "no route to host",
            "network is unreachable",
            "unable to connect",
        ),
        _REFUSED,
    ),
    (
        ("unknown repository extension", "expected git repo version"),
        FailureCause(
            "its format is newer than the installed git", "Install a newer version of git."
        ),
    ),
    (
        (
            "repository not exported",
            "not found",
            "does not exist",
            "does not appear to be a git repository",
            "not a git repository",
            "error: 404",
            "no such repository",
            "could not be found",
        ),
        NO_REPOSITORY,
    ),
    (
        (
            "authentication failed",
            "could not read username",
            "could not read password",
            "permission denied",
            "access denied",
            "error: 401",
            "error: 403",
            "unauthorized",
            "too many authentication failures",
        ),
        _AUTHENTICATION,
    ),
    (
        ("not allowed",),
        FailureCause("git does not allow the protocol of the URL", "Use https, ssh or file."),
    ),
    (
        ("cannot run ssh", "unable to fork", "unable to find remote helper"),
        FailureCause(
            "the program that git needs for the protocol of the URL is missing",
            "Install ssh, or git's package for https, next to git.",
        ),
    ),
    (
        (
            "early eof",
            "hung up unexpectedly",
            "unexpected disconnect",
            "rpc failed",
            "connection reset",
            "empty reply from server",
            "connection closed",
            "error: 5",
        ),
        _DISCONNECTED,
    ),
)


def cause_of(messages: str) -> FailureCause | None:
    """Find the cause in git's messages.

    Lines that a server had git print are ignored, and so is quoted text: a repository may be called
    "certificates".

    Args:
        messages: git's standard error, in English (``LC_ALL=C``).

    Returns:
        The cause; None if the messages match none of the known ones.
    """
    configuration = _configuration_cause(messages)
    if configuration is not None:
        return configuration
    lines = messages.lower().splitlines()
    local = "\n".join(_QUOTED.sub("", line) for line in lines if not line.startswith("remote:"))
    for words, cause in _KNOWN:
        if any(word in local for word in words):
            return cause
    return None


def _configuration_cause(messages: str) -> FailureCause | None:
    if owner := _OWNER.search(messages):
        return FailureCause(
            "the repository belongs to another user",
            f"Add {ascii(owner[1])[1:-1]} to safe.directory in the git configuration of the user"
            " that runs sendroute.",
        )
    if line := _CONFIG_LINE.search(messages):
        return FailureCause(
            f"line {line[1]} of git's configuration {ascii(line[2])[1:-1]} does not parse",
            "Fix that line, then see whether git can read the file.",
            UseGit(GitTask.SHOW_CONFIGURATION),
        )
    if value := _CONFIG_VALUE.search(messages):
        return FailureCause(
            f"git does not accept the value of {value[1]} in its configuration",
            "Fix that value; git shows where it is set.",
            UseGit(GitTask.SHOW_CONFIGURATION, value[1]),
        )
    if file := _CONFIG_ACCESS.search(messages):
        return FailureCause(
            f"git may not read its configuration {ascii(file[1])[1:-1]}",
            "Give the user that runs sendroute permission to read it, or set HOME to the"
            " directory of that user.",
        )
    return None


def special_file(name: str) -> FailureCause:
    return FailureCause(
        f"the file {ascii(name)[1:-1]} in its .git is a named pipe or a device",
        "Remove it, and restore the file or clone the repository again.",
    )


def timed_out(timeout: float) -> FailureCause:
    return FailureCause(
        f"git did not finish within {timeout:g} s",
        "Check that the server answers, or raise the time limit of git.",
        Configure(Setting.GIT_TIMEOUT),
    )


def too_old(version: str) -> FailureCause:
    """The cause for a git that is older than Sendroute needs.

    Args:
        version: the version of the git that is installed.

    Returns:
        The cause, with the oldest version that works in its hint.
    """
    return FailureCause(f"git {version} is too old", "Install git, version 2.34 or newer.")
