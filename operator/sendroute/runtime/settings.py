"""The settings of a process, the same for every front end: plain values, nothing of a terminal."""

from typing import NamedTuple

DEFAULT_STORE = "sqlite:///./sendroute.db"


class Settings(NamedTuple):
    """``store`` is the store's URL; ``secrets`` the directory of secret files and ``key_file`` the
    file of encryption keys, None if not given; ``log_format`` is ``text`` or ``json``."""

    store: str = DEFAULT_STORE
    secrets: str | None = None
    key_file: str | None = None
    log_format: str = "text"
