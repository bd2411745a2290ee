"""Files are replaced atomically, all or none; their mode, owner and links are kept."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sendroute.edit.proposal import TextChange
from sendroute.edit.write import write
from sendroute.model.problem import ProblemError


def codes(raised: "pytest.ExceptionInfo[ProblemError]") -> list[str]:
    return [finding.code for finding in raised.value.findings]


def test_the_target_of_a_link_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere.yaml"
    real.write_text("old")
    real.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to("elsewhere.yaml")
    write({"shown": TextChange("old", "new")}, {"shown": str(link)})
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere.yaml", "link.yaml"]


def test_the_owner_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")
    if os.geteuid() == 0:  # only root can change the owner of a file
        os.chown(path, 12345, 12345)
    before = path.stat()
    write({str(path): TextChange("old", "new")}, {})
    assert (path.stat().st_uid, path.stat().st_gid) == (before.st_uid, before.st_gid)


def test_extended_attributes_are_kept_and_the_time_is_new(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")
    os.utime(path, (1, 1))
    try:
        os.setxattr(path, "user.owner", b"web")
    except OSError:  # a file system without them
        expected = []
    else:
        expected = ["user.owner"]
    write({str(path): TextChange("old", "new")}, {})
    assert [name for name in os.listxattr(path) if name == "user.owner"] == expected
    assert path.stat().st_mtime > 1


def test_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write({str(tmp_path / "a.yaml"): TextChange(None, "new")}, {})
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.yaml").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "last",
    [TextChange(None, "new"), TextChange("other than it is", "new"), TextChange("gone", "new")],
    ids=["a file that exists already", "a file that was changed", "a file that was removed"],
)
def test_no_file_changes_if_one_cannot_be_written(tmp_path: Path, last: TextChange) -> None:
    names = [str(tmp_path / name) for name in ("a.yaml", "b.yaml", "c.yaml")]
    for name in names[:2]:
        Path(name).write_text(f"old {name}")
    if last.before != "gone":
        Path(names[2]).write_text("as it is")
    texts = {name: TextChange(f"old {name}", f"new {name}") for name in names[:2]} | {
        names[2]: last
    }
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    with pytest.raises(ProblemError) as raised:
        write(texts, {})
    assert codes(raised) == ["unwritable"]
    assert {path: path.read_text() for path in tmp_path.iterdir()} == before


def test_replaced_files_are_restored_if_a_later_one_fails(tmp_path: Path) -> None:
    """The second file cannot be replaced, because a directory replaced it after it was read."""
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("old")
    first.chmod(0o600)

    class Racing(dict[str, TextChange]):
        """Create the new file after everything was prepared."""

        def items(self):  # type: ignore[no-untyped-def]
            yield from super().items()
            second.mkdir()

    with pytest.raises(ProblemError) as raised:
        write(
            Racing({str(first): TextChange("old", "new"), str(second): TextChange(None, "new")}), {}
        )
    assert codes(raised) == ["unwritable"]
    assert first.read_text() == "old"
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.yaml", "b.yaml"]


def test_a_deleted_file_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")
    write({str(path): TextChange("old", None)}, {})
    assert not path.exists()


def test_what_a_killed_edit_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    """A temporary file in a git working tree would be committed by the next `git add`."""
    script = (
        "import os, signal; from pathlib import Path; from sendroute.edit import write;"
        "write._apply = lambda step: os.kill(os.getpid(), signal.SIGKILL);"
        "from sendroute.edit.proposal import TextChange;"
        "write.write({'a.yaml': TextChange('old', 'new'), 'b.yaml': TextChange('old', 'new')}, {})"
    )
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("old")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "operator")}
    killed = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 4
    (tmp_path / ".mine").write_text("a file of the user")
    write({str(tmp_path / "a.yaml"): TextChange("old", "new")}, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mine", "a.yaml", "b.yaml"]
