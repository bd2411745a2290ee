"""The same routes in a plain hash map of Postfix, which postmap(1) builds as a whole."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from measuring import run
from tests.postfix.programs import environment, owners_cf, program


class HashMap(NamedTuple):
    """``seconds`` to build it, which every change of one domain takes again, and its bytes."""

    seconds: float
    size: int


def build(tables: Path, room: Path) -> HashMap | None:
    """Build a map of all routes of a relay.

    Args:
        tables: the agent's file.
        room: an empty directory.

    Returns:
        What it cost; None without Postfix.
    """
    postmap = program("postmap")
    if postmap is None:
        return None
    room.mkdir()
    (room / "main.cf").write_text(f"compatibility_level = 3.6\n{owners_cf()}")
    source = room / "transport"
    with (
        closing(sqlite3.connect(f"file:{tables}?mode=ro", uri=True)) as reader,
        source.open("w") as file,
    ):
        rows = reader.execute("SELECT key, value FROM transport")
        file.writelines(f"{key} {value}\n" for key, value in rows)
    command = [postmap, "-c", str(room), f"hash:{source}"]
    built = run(command, environment=environment(room))
    return HashMap(built.seconds, source.with_name("transport.db").stat().st_size)
