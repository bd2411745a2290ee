"""What a SQLite file contains besides rows: its tables, indexes, triggers and views."""

import re

from sqlalchemy import Connection

# Rows of SQLite itself: indexes that follow from a table's keys, and statistics of ANALYZE.
_QUERY = (
    "SELECT type, name, tbl_name, sql FROM sqlite_schema"
    " WHERE NOT (type = 'index' AND sql IS NULL AND name GLOB 'sqlite_autoindex_*')"
    " AND NOT (type = 'table' AND name IN ('sqlite_stat1', 'sqlite_stat4'))"
)
# A text, a quoted name, a word, or one other character; white space separates them.
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\w+|\S""")
_PLAIN_NAME = re.compile(r'"([a-z_][a-z0-9_]*)"')


def objects(connection: Connection) -> list[tuple[str, str]]:
    """The name and the definition of every object. No view is read, and no trigger runs."""
    rows = connection.exec_driver_sql(_QUERY)
    return [
        (f"{kind} {name}", f"{table}: {_plain(sql)}" if isinstance(sql, str) else repr(sql))
        for kind, name, table, sql in rows
    ]


def _plain(sql: str) -> str:
    """The statement with one space between its parts, and without quotes around simple names,
    because versions of SQLite and SQLAlchemy write these differently."""
    return " ".join(
        _PLAIN_NAME.sub(r"\1", token) if token[0] == '"' else token for token in _TOKEN.findall(sql)
    )
