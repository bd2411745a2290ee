"""How deeply values are nested within one another."""

from typing import Any


def is_deeper(value: Any, limit: int) -> bool:
    """Whether lists and mappings are nested deeper than a limit. Nothing here calls itself, so any
    depth is measured.

    Args:
        value: what was read from JSON.
        limit: the number of levels that are accepted.

    Returns:
        Whether there are more levels.
    """
    level = [value]
    for _ in range(limit):
        inner: list[Any] = []
        for container in level:
            values = container.values() if type(container) is dict else container
            inner += [item for item in values if type(item) is dict or type(item) is list]
        if not inner:
            return False
        level = inner
    return True
