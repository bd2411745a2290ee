"""A report file is written completely or not at all."""

import os
import stat

import pytest

from sendroute.model.problem import ProblemError
from sendroute.reports.write import write


def broken():
    yield "half"
    raise KeyboardInterrupt


def test_a_replaced_file_keeps_its_mode(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    path.chmod(0o640)
    write(str(path), ["ne", "w ü\n"])
    assert path.read_text(encoding="utf-8") == "new ü\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["report.json"]  # noqa: PTH208


def test_a_new_file_has_the_mode_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write(str(tmp_path / "new"), ["x"])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.mark.parametrize(("umask", "mode"), [(0, 0o644), (0o022, 0o644), (0o077, 0o600)])
def test_a_new_file_is_never_writable_by_others(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write(str(tmp_path / "new"), ["x"])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode


def test_a_replaced_file_loses_what_a_report_never_allows(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    path.chmod(0o777)
    write(str(path), ["new"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_an_interrupted_report_leaves_only_the_old_file(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write(str(path), broken())
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.json"]  # noqa: PTH208


def test_the_next_report_removes_what_a_killed_writer_left_of_it(tmp_path):
    path = tmp_path / "report.json"
    (tmp_path / ".report.json.0123abcd.tmp").write_text("hal")
    (tmp_path / ".other.json.0123abcd.tmp").write_text("hal")
    write(str(path), ["new"])
    assert {item.name for item in tmp_path.iterdir()} == {
        "report.json",
        ".other.json.0123abcd.tmp",
    }


def test_a_link_is_followed(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write(str(link), ["new"])
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_report_can_be_written_to_a_pipe():
    read, wrote = os.pipe()
    write(f"/dev/fd/{wrote}", ["through"])
    os.close(wrote)
    with open(read, encoding="utf-8") as file:  # noqa: PTH123
        assert file.read() == "through"


def test_a_directory_that_does_not_exist_is_reported(tmp_path):
    with pytest.raises(ProblemError) as raised:
        write(str(tmp_path / "none" / "report"), ["x"])
    (finding,) = raised.value.findings
    assert (finding.code, "The report could" in finding.message) == ("unwritable", True)
    assert finding.hint
