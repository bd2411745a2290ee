"""Why git failed, from its English words: what it says is never shown, for it may hold a token
of a URL, and whatever a server sends."""

import re
from typing import NamedTuple

_QUOTED = re.compile(r"'[^']*'")


class Cause(NamedTuple):
    """``sentence`` goes on after "The branch cannot be had: "."""

    sentence: str
    hint: str


_BY_HAND = "Run git ls-remote with the same URL, as the user that runs sendroute, to see why."

DISK_FULL = Cause(
    "the disk is full",
    "Make room where the state folder is, or name another place by --state-dir.",
)
NO_SHALLOW = Cause("the server cannot give a single commit", "Use a newer git on the server.")
NO_CHECKOUT = Cause(
    "its commit cannot be written as files",
    "Look for names in it that this file system does not take, then push without them.",
)
NO_REPOSITORY = Cause(
    "the server has no such repository, or does not show it to this user",
    "Check the URL, and what the user that runs sendroute may read there.",
)
_AUTHENTICATION = Cause(
    "the server asks for credentials, or refuses those it got",
    "Give the user that runs sendroute a credential helper, an ssh key or GIT_ASKPASS.",
)
_NOT_FOUND = Cause("its host is not found", "Check the URL's host name and the name servers.")
_REFUSED = Cause(
    "the host does not take the connection", "Check the URL's host and port, and what is between."
)
_TIMED_OUT = Cause(
    "the host does not answer", "Check that it is up, and what is between; it is asked again."
)
_BROKEN_OFF = Cause(
    "the server broke off in the middle", "It is asked again; see the server's own logs."
)

# The first that fits: what is told apart by more words stands before what is told by fewer.
_KNOWN: tuple[tuple[tuple[str, ...], Cause], ...] = (
    (("no space left on device", "disk quota exceeded"), DISK_FULL),
    (
        ("does not support shallow", "dumb http transport does not support"),
        NO_SHALLOW,
    ),
    (
        ("host key verification failed", "no matching host key", "host key is known"),
        Cause(
            "ssh does not know the server's host key",
            "Put the server's key into the known_hosts of the user that runs sendroute.",
        ),
    ),
    (
        ("certificate", "ssl_connect", "gnutls_handshake", "ssl routines"),
        Cause(
            "the server's TLS certificate is not trusted",
            "Name its authority by git's http.sslCAInfo or GIT_SSL_CAINFO.",
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
        ("dubious ownership",),
        Cause(
            "the repository belongs to another user",
            "Name it in git's safe.directory, in the configuration of the user that runs "
            "sendroute.",
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
        Cause("git may not use that protocol here", "Use https, ssh or file."),
    ),
    (
        ("cannot run ssh", "unable to fork", "unable to find remote helper"),
        Cause(
            "git lacks the program for that protocol",
            "Install ssh, or git's own part for https, beside git.",
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
        _BROKEN_OFF,
    ),
)
UNKNOWN = Cause("git does not say why in words that are known", _BY_HAND)


def cause_of(said: str) -> Cause | None:
    """None where the words are not known. Lines that a server had git print are not looked at, nor
    what is quoted: a repository may be called certificates."""
    lines = said.lower().splitlines()
    own = "\n".join(_QUOTED.sub("", line) for line in lines if not line.startswith("remote:"))
    for words, cause in _KNOWN:
        if any(word in own for word in words):
            return cause
    return None


def too_late(timeout: float) -> Cause:
    return Cause(
        f"git was not done after {timeout:g} s",
        "Check that the server answers, or give it longer by --git-timeout.",
    )


def without_git() -> Cause:
    return Cause("git is not installed", "Install git, version 2.34 or newer.")


def too_old(version: str) -> Cause:
    return Cause(f"git {version} is too old", "Install git, version 2.34 or newer.")
