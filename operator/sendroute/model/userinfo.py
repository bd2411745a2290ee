"""Hides the user and the password of a URL (RFC 3986, section 3.2.1) in what is shown.

Either may be a token. Users type such a URL where something else is expected, so every argument may
hold one, and each part of it may be shown: a path is made absolute, and `//` becomes `/`. So the
arguments of the program are searched once, and what they hold is hidden wherever it is shown.
"""

import re
from collections.abc import Iterable

_HIDDEN = "…"

# In any text: of a URL of a store that lacks its slashes, of every other URL, and a parameter.
_IN_TEXT = re.compile(
    r"(postgres[^\s:/]*:/*|sqlite[^\s:/]*:/*(?=[^\s@]*:))\S{0,2000}@"
    r"|(//)(?:[^\s/@`]{0,2000}:\S{0,2000}@|[^\s/@`]{1,2000}@)"
    r"|(password=)[^\s`&;]*",
    re.IGNORECASE,
)
# At the end of an argument without `//`: `name:secret`, perhaps behind a scheme. The name of an ssh
# address is no secret (git@github.com:acme/mail.git), and neither is a name in a path
# (team@example/x.yaml).
_NAME_AND_SECRET = re.compile(r"(?:^|[\s/=,`])(?:[a-z][a-z0-9+.-]*:)?([^\s/=,`:@]+:[^/]+)\Z")

_given: list[str] = []
"""What the arguments of this process hold. One program runs in a process."""


def remember_arguments(words: Iterable[str]) -> None:
    """Search the arguments of the program for users and passwords, for :func:`without_userinfo`.

    Args:
        words: the arguments, and the values of variables that replace them.
    """
    secrets = {userinfo for word in words if "@" in word for userinfo in _userinfo(word)}
    _given[:] = sorted(secrets, key=len, reverse=True)


def without_userinfo(text: str) -> str:
    """Hide users and passwords in a text that repeats what the user typed.

    Args:
        text: a message, a path or another text of which users typed a part.

    Returns:
        The text, with ``…`` before the ``@`` of each URL: ``https://…@host/path``.
    """
    text = without_arguments(text)
    if "@" not in text and "=" not in text:
        return text
    return _IN_TEXT.sub(lambda match: match[match.lastindex or 0] + _end(match[0]), text)


def without_arguments(text: str) -> str:
    """As :func:`without_userinfo`, but hide only what the program's arguments hold. Any other
    text, such as a manifest, stays as it is.

    Args:
        text: a part of a report or another output.

    Returns:
        The text.
    """
    for userinfo in _given:
        text = text.replace(userinfo, _HIDDEN if userinfo[0] != "/" else f"/{_HIDDEN}@")
    return text


def _end(hidden: str) -> str:
    return f"{_HIDDEN}@" if hidden.endswith("@") else _HIDDEN


def _userinfo(word: str) -> list[str]:
    """The parts of an argument to hide. A user without a password may be a word that is also used
    elsewhere, so it is hidden only behind a slash and before its ``@``."""
    before = word.rpartition("@")[0]
    rest = before.partition("//")[2]
    name, has_password, secret = rest.partition(":")
    if has_password and "/" not in name:  # a password may hold a slash, and an @
        # One half alone may be any word, so it is hidden only before its @.
        return [rest] if name and secret else [f"/{rest}@"] * bool(name or secret)
    user = word.partition("//")[2].partition("/")[0].rpartition("@")[0]
    if user:
        return [f"/{user}@"]
    match = _NAME_AND_SECRET.search(before)
    return [match[1]] if match else []
