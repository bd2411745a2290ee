"""When each commit was first seen here. The date in a commit proves nothing: its author writes
it."""

import os
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import msgspec

from sendroute.files.replacement import replacing


class FirstSeen:
    """The times at which commits were first seen, in seconds of the Unix time.

    Args:
        file: where they are kept. A file that is damaged, or another user's, counts as none.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def time_of(self, commit: str, kept: Collection[str | None]) -> float:
        """When a commit was first seen: now, if it is new.

        Args:
            commit: the commit's object name.
            kept: the other commits to remember if this one is new. A commit that is forgotten is
                new when it comes back.

        Raises:
            OSError: the file cannot be written.
        """
        now = time.time()
        seen = self._read()
        if commit not in seen:
            seen = {name: then for name, then in seen.items() if name in kept}
            seen[commit] = now
            self._write(seen)
        return min(seen[commit], now)

    def _read(self) -> dict[str, float]:
        with suppress(FileNotFoundError, UnicodeDecodeError, msgspec.DecodeError):
            if self._file.lstat().st_uid == os.geteuid():
                seen = msgspec.json.decode(self._file.read_bytes(), type=dict[str, float])
                return {commit: then for commit, then in seen.items() if then >= 0}
        return {}

    def _write(self, seen: dict[str, float]) -> None:
        with replacing(self._file) as file:
            file.write(msgspec.json.encode(seen))
