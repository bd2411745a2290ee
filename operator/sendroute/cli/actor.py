"""Who does it: the name that history keeps beside each change."""

import os

# The first that is set decides. The variables of GitHub Actions and GitLab CI name the person who
# started the pipeline, where the OS user is only the runner's.
_VARIABLES = ("SENDROUTE_ACTOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN")
_LONGEST = 255


def actor() -> str:
    """A printable name of at most 255 characters."""
    named = next((os.environ[name] for name in _VARIABLES if os.environ.get(name, "").strip()), "")
    named = named or _os_user()
    return "".join(letter for letter in named if letter.isprintable()).strip()[:_LONGEST]


def _os_user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's arbitrary uid has no entry
        return f"uid {os.getuid()}"
