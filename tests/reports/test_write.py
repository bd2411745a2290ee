"""A report is put at its place whole or not at all."""

import os
import stat

import pytest

from sendroute.model.problem import ProblemError
from sendroute.reports.write import write


def broken():
    yield "half"
    raise KeyboardInterrupt


def test_a_file_is_replaced_with_its_mode_kept(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    path.chmod(0o640)
    write(str(path), ["ne", "w ü\n"])
    assert path.read_text(encoding="utf-8") == "new ü\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["report.json"]  # noqa: PTH208


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        write(str(tmp_path / "new"), ["x"])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_an_interrupted_report_leaves_the_old_one_and_nothing_else(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write(str(path), broken())
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.json"]  # noqa: PTH208


def test_a_link_is_followed(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write(str(link), ["new"])
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_pipe_is_written_to_and_stays_a_pipe():
    read, wrote = os.pipe()
    write(f"/dev/fd/{wrote}", ["through"])
    os.close(wrote)
    with open(read, encoding="utf-8") as file:  # noqa: PTH123
        assert file.read() == "through"


def test_a_directory_that_does_not_exist_is_reported(tmp_path):
    with pytest.raises(ProblemError) as raised:
        write(str(tmp_path / "none" / "report"), ["x"])
    (found,) = raised.value.findings
    assert (found.code, "The report could" in found.message) == ("unwritable", True)
    assert found.hint
