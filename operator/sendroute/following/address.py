"""Git URLs: which ones are supported, and which protocols git may use for them."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from sendroute.model.codes import finding
from sendroute.model.problem import InvalidSettingError

_SCHEMES = frozenset({"https", "ssh", "git+ssh", "ssh+git", "file", "http", "git"})
_SCP_LIKE = re.compile(r"(?:[A-Za-z0-9_.~+-]+@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!//)[^\s:].*")
_SCP_PASSWORD = re.compile(r"[^/@]*:[^/@]*@")
# The prefixes of tokens at GitHub ("token formats") and GitLab ("token prefixes"); a user name at
# GitHub has at most 39 characters.
_TOKEN = re.compile(r"gh[a-z]_|github_pat_|gl[a-z]+-|.{40}")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class RepositoryAddress(NamedTuple):
    """``url`` is passed to git; ``shown`` is what is logged, without a user name."""

    url: str
    shown: str
    protocols: tuple[str, ...]
    trusted: bool
    """Whether nobody on the network can alter what is fetched."""


def is_url(source: str) -> bool:
    """Whether a source is meant as a URL, supported or not."""
    return "://" in source or "::" in source or bool(_SCP_LIKE.fullmatch(source))


def parse_address(source: str) -> RepositoryAddress:
    """Parse a git URL (git-clone(1), GIT URLS).

    Raises:
        InvalidSettingError: the URL is not supported, or holds a password or token
            (``invalid-value``). The message never repeats a secret.
    """
    if not source.isprintable() or source.startswith("-"):
        raise _invalid("The source is not a git URL.", "Give a URL as in git-clone(1), GIT URLS.")
    if "://" not in source:
        if "::" in source:
            raise _unsupported()
        if _SCP_PASSWORD.match(source):
            raise _secret()
        scheme = source.partition(":")[0].lower()
        if scheme in _SCHEMES:  # git would take it for the name of a host
            raise _invalid(
                f"The git URL lacks `//` after `{scheme}:`.",
                "Give a URL as in git-clone(1), GIT URLS.",
            )
        return RepositoryAddress(source, source.rpartition("@")[2], ("ssh",), trusted=True)
    scheme, _, remainder = source.partition("://")
    if scheme.lower() not in _SCHEMES or "::" in scheme:
        raise _unsupported()
    return _parse_parts(source, scheme.lower(), remainder)


def _parse_parts(source: str, scheme: str, remainder: str) -> RepositoryAddress:
    if scheme == "file":
        if not remainder:
            raise _invalid("The git URL has no path.", "Write file:///DIRECTORY.")
        return RepositoryAddress(source, source, ("file",), trusted=True)
    try:
        parts = urlsplit(source)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _invalid("The source is not a git URL.", "Check its host and port.") from error
    user = remainder.partition("/")[0].rpartition("@")[0]
    is_http = scheme in ("http", "https")
    if ":" in user or (is_http and ("?" in remainder or "#" in remainder or _TOKEN.match(user))):
        raise _secret()
    if not host or host.startswith("-") or user.startswith("-"):
        raise _invalid("The git URL has no host name.", "Give a URL as in git-clone(1), GIT URLS.")
    shown_host = f"[{host}]" if ":" in host else host
    shown = f"{scheme}://{shown_host}{f':{port}' if port else ''}{parts.path}"
    unprotected = (scheme,) if scheme in ("http", "git") else ()
    return RepositoryAddress(
        source,
        shown,
        ("https", "ssh", "file", *unprotected),
        trusted=not unprotected or host in _LOOPBACK,
    )


def _secret() -> InvalidSettingError:
    return _invalid(
        "The git URL holds a password or token.",
        "Every user of the machine can read command lines. Remove the secret from the URL and use "
        "git's credential helper, an ssh key or GIT_ASKPASS.",
    )


def _unsupported() -> InvalidSettingError:
    return _invalid(
        "The source is a git URL of a kind that is not supported.",
        "Use https://, ssh://, user@host:path or file://.",
    )


def _invalid(message: str, hint: str) -> InvalidSettingError:
    return InvalidSettingError(finding("invalid-value", message, hint=hint))
