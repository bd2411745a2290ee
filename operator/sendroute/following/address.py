"""A git URL as it was typed: which are taken, and what git may speak for them."""

import os
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError

_SCHEMES = frozenset({"https", "ssh", "git+ssh", "ssh+git", "file", "http", "git"})
_SCP_LIKE = re.compile(r"(?:[A-Za-z0-9_.~+-]+@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!//)[^\s:].*")
_SCP_PASSWORD = re.compile(r"[^/@]*:[^/@]*@")
# How the tokens of GitHub (authentication tokens, "token formats") and GitLab ("token prefixes")
# begin; a name of theirs has at most 39 characters at the one.
_TOKEN = re.compile(r"gh[a-z]_|github_pat_|gl[a-z]+-|.{40}")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Address(NamedTuple):
    """``url`` is what git is given; ``shown`` what people see, without a user's name."""

    url: str
    shown: str
    protocols: tuple[str, ...]
    trusted: bool
    """Whether what comes over it is what the server sent: the way is protected, or is no way."""


def is_url(typed: str) -> bool:
    """Whether it is meant as a URL, be it one that is taken or not."""
    return "://" in typed or "::" in typed or bool(_SCP_LIKE.fullmatch(typed))


def is_bare_repository(path: str) -> bool:
    """As git tells one (gitrepository-layout(5))."""
    return (
        os.path.isfile(os.path.join(path, "HEAD"))
        and os.path.isdir(os.path.join(path, "objects"))
        and os.path.isdir(os.path.join(path, "refs"))
    )


def address_of(typed: str) -> Address:
    """Raises ``ProblemError`` for what is not taken; a password in it is never repeated."""
    if is_bare_repository(typed):
        path = os.path.realpath(typed)
        return Address(path, ascii(typed)[1:-1], ("file",), trusted=True)
    if not typed.isprintable() or typed.startswith("-"):
        raise _refused("That is no git URL.", "Name a URL as git clone would take it.")
    if "://" not in typed:
        if "::" in typed:
            raise _not_taken()
        if _SCP_PASSWORD.match(typed):
            raise _secret()
        return Address(typed, typed.rpartition("@")[2], ("ssh",), trusted=True)
    scheme, _, rest = typed.partition("://")
    if scheme.lower() not in _SCHEMES or "::" in scheme:
        raise _not_taken()
    return _of_parts(typed, scheme.lower(), rest)


def _of_parts(typed: str, scheme: str, rest: str) -> Address:
    if scheme == "file":
        return Address(typed, typed, ("file",), trusted=True)
    try:
        parts = urlsplit(typed)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _refused("That is no git URL.", "Check its host and port.") from error
    user = rest.partition("/")[0].rpartition("@")[0]
    web = scheme in ("http", "https")
    if ":" in user or (web and ("?" in rest or "#" in rest or _TOKEN.match(user))):
        raise _secret()
    if not host or host.startswith("-") or user.startswith("-"):
        raise _refused("The git URL names no host.", "Name a URL as git clone would take it.")
    named = f"[{host}]" if ":" in host else host
    shown = f"{scheme}://{named}{f':{port}' if port else ''}{parts.path}"
    own = scheme if scheme in ("http", "git") else None
    return Address(
        typed,
        shown,
        ("https", "ssh", "file", *((own,) if own else ())),
        trusted=own is None or host in _LOOPBACK,
    )


def _secret() -> ProblemError:
    return _refused(
        "The git URL holds a password or token.",
        "Command lines are seen by everybody: leave it out, and use git's credential helper, "
        "an ssh key or GIT_ASKPASS.",
    )


def _not_taken() -> ProblemError:
    return _refused(
        "Git URLs of that kind are not taken.",
        "Use https://, ssh://, user@host:path or file://.",
    )


def _refused(message: str, hint: str) -> ProblemError:
    return ProblemError(finding("invalid-value", message, hint=hint))
