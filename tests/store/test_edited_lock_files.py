"""A lock file is used only as it was written: parts of two versions are the state of no store."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.store import lockfile
from sendroute.store.create import init_store
from sendroute.store.lock_guard import locks_of, mismatches
from sendroute.store.record import Store


@pytest.fixture
def lock(store: Store, say: Any, tmp_path: Path) -> Path:
    store.commit([say.start("a.example", "b.example")], None, say.provenance)
    store.write_lock(tmp_path / "sendroute.lock")
    return tmp_path / "sendroute.lock"


def compared(store: Store, lock: Path, written: Path | None = None) -> list[Finding]:
    name = str(written) if written is not None else None
    locks = locks_of([str(lock.parent)], lambda _path: True, name)
    return list(mismatches(locks, store.read(()), store, written=name))


Edit = Callable[[bytes], bytes]

EDITS: dict[str, Edit] = {
    "another name": lambda text: text.replace(b'"b.example"', b'"c.example"'),
    "a space": lambda text: text.replace(b'"b.example":', b'"b.example" :'),
    "no line at the end": lambda text: text.removesuffix(b"\n"),
    "another digest": lambda text: text.replace(b'"digest": "', b'"digest": "0')[:-5] + b'"\n}\n',
    "no digest": lambda text: text[: text.index(b',\n "digest"')] + b"\n}\n",
    "a comment in a field that nobody reads": lambda text: text.replace(b"{", b'{"note": 1,', 1),
}
SAME: dict[str, Edit] = {
    "as written": lambda text: text,
    "ends of lines that git changed": lambda text: text.replace(b"\n", b"\r\n"),
    "a byte-order mark": lambda text: b"\xef\xbb\xbf" + text,
    "an earlier format": lambda text: (
        EDITS["no digest"](text).replace(b'"1.5"', b'"1.4"').replace(b"b.example", b"c.example")
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_lock_file_is_found_and_creates_no_store(
    store: Store, lock: Path, say: Any, tmp_path: Path, edit: str
) -> None:
    text = lock.read_bytes()
    lock.write_bytes(EDITS[edit](text))
    assert lock.read_bytes() != text
    [warning] = compared(store, lock)
    assert (warning.code, warning.severity.value) == ("edited-lock", "warning")
    for read in (
        lambda: lockfile.read(lock),
        lambda: init_store(f"sqlite:///{tmp_path}/new.db", say.provenance, from_lock=lock),
    ):
        with pytest.raises(ProblemError) as caught:
            read()
        [item] = caught.value.findings
        assert (item.code, item.severity.value) == ("edited-lock", "error")
    assert compared(store, lock, written=lock) == [], "it is written again"
    store.write_lock(lock)
    assert compared(store, lock) == []
    assert lock.read_bytes() == text


@pytest.mark.parametrize("change", SAME)
def test_a_lock_file_that_is_as_written_is_accepted(store: Store, lock: Path, change: str) -> None:
    lock.write_bytes(SAME[change](lock.read_bytes()))
    assert compared(store, lock) == []
    assert lockfile.faults(lock) == ()
