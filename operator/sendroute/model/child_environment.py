"""The environment of a program that Sendroute starts: git, or one of Postfix."""

from collections.abc import Callable, Mapping

_OURS = ("SENDROUTE_", "PG")
_DEFAULT_PATH = "/usr/bin:/bin"
"""Where programs are if ``PATH`` has no directory (execvp(3))."""


def is_ours(name: str) -> bool:
    """Say whether a variable is for Sendroute alone.

    Args:
        name: its name.

    Returns:
        Whether it is one of Sendroute, which may hold the key and passwords, or one of the database
        (libpq's Environment Variables).
    """
    return name.startswith(_OURS)


def child_environment(
    variables: Mapping[str, str], is_passed: Callable[[str], bool]
) -> dict[str, str]:
    """Return the environment of a program that Sendroute starts.

    Args:
        variables: the environment of this process.
        is_passed: whether the program gets the variable of this name.

    Returns:
        Its variables. ``PATH`` is always set, and has absolute directories only: an empty one, and
        a relative one, is that in which the program runs, and anybody may have written to it.
    """
    passed = {name: value for name, value in variables.items() if is_passed(name)}
    directories = variables.get("PATH", "").split(":")
    absolute = [directory for directory in directories if directory.startswith("/")]
    return {**passed, "PATH": ":".join(absolute) or _DEFAULT_PATH}
