"""The name of the actor that history records for each change."""

import os

from sendroute.model.unseen import UNSEEN

# The first one that is set decides. GitHub Actions and GitLab CI set the person who started the
# pipeline; the OS user would only be the runner's.
VARIABLE = "SENDROUTE_ACTOR"
_VARIABLES = (VARIABLE, "GITHUB_ACTOR", "GITLAB_USER_LOGIN")
_LONGEST = 255


def actor() -> str:
    """Return the person or process that makes a change: a printable name of at most 255
    characters."""
    named = (_printable(os.environ.get(name, "")) for name in _VARIABLES)
    return next(filter(None, named), None) or _printable(_os_user())


def _printable(text: str) -> str:
    seen = UNSEEN.sub("", text)
    return "".join(letter for letter in seen if letter.isprintable()).strip()[:_LONGEST]


def _os_user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's arbitrary uid has no entry
        return f"uid {os.getuid()}"
