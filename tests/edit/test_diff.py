"""The diff of a dry run: applicable, unless it would act on the program that shows it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import Program
from .test_commands import ACME, PLATFORM

HARMLESS = {
    "emoji": "# \u26a0\ufe0f until May",
    "a tab": "# until\tMay",
    "a space of no width of its own": "# until\xa0May\u3000",
    "two colons behind other text": "# see ::error::",
}
HOSTILE = {
    "a group": "# ##[group]x",
    "a command of Azure": "# ##vso[task.setvariable variable=x]y",
    "a command of TeamCity": "# ##teamcity[buildStop]",
    "a direction override": "# \u202ex",
    "a character of no width": "# x\u200b",
    "a filler": "# x\u3164",
    "hidden bits": "# x\ufe01\ufe02\U000e0101",
    "tags": "# \U000e0041",
}


@pytest.fixture
def tree(workdir: Path) -> Path:
    (workdir / "m").mkdir()
    (workdir / "m/platform.yaml").write_text(PLATFORM)
    return workdir / "m"


def dry_run(sendroute: Program, tree: Path, beside: str, line_break: str = "\n") -> tuple[str, str]:
    """The diff and standard error, with a comment beside the line that changes."""
    text = ACME.replace("  domain: shop", f"  {beside}\n  domain: shop").replace("\n", line_break)
    (tree / "acme.yaml").write_text(text, newline="")
    ran = sendroute("edit", "set-route", "shop.example.com", "--unconfigured", "m", "--dry-run")
    assert ran.status == 0, ran
    return ran.out, ran.err


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
@pytest.mark.parametrize("comment", HARMLESS.values(), ids=HARMLESS)
def test_a_harmless_diff_can_be_applied(
    sendroute: Program, tree: Path, comment: str, line_break: str
) -> None:
    diff, note = dry_run(sendroute, tree, comment, line_break)
    assert comment in diff
    assert "escapes" not in note
    git = shutil.which("git") or ""
    subprocess.run([git, "apply"], input=diff.encode(), check=True, cwd=tree.parent)
    assert b"unconfigured" in (tree / "acme.yaml").read_bytes()


@pytest.mark.parametrize("comment", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_comment_is_escaped_and_the_diff_says_so(
    sendroute: Program, tree: Path, comment: str
) -> None:
    diff, note = dry_run(sendroute, tree, comment)
    assert comment not in diff
    assert all(line.isprintable() for line in diff.splitlines())
    assert note.count("is shown with escapes") == 1
    assert "-o json has the exact diff" in note


def test_a_context_line_is_no_command(sendroute: Program, tree: Path) -> None:
    """A context line begins with a space, and GitHub's runner ignores spaces before a command."""
    metadata = "metadata: {name: shop, namespace: acme}\n"
    note = metadata.replace("}", ", annotations: {note: x\n    ::error::y}}")
    text = ACME.replace(metadata, "").replace("# shop\n", f"# shop\n{note}")
    (tree / "acme.yaml").write_text(text)
    ran = sendroute("edit", "set-route", "shop.example.com", "--unconfigured", "m", "--dry-run")
    assert ran.status == 0, ran
    assert "error::y" in ran.out
    assert not any(line.lstrip().startswith("::") for line in ran.out.splitlines())
    assert "is shown with escapes" in ran.err


def test_a_file_that_is_called_as_a_command_is_none(sendroute: Program, tree: Path) -> None:
    (tree / "::error::x.yaml").write_text(ACME)
    os.chdir(tree)
    ran = sendroute("edit", "set-route", "shop.example.com", "--unconfigured", ".")
    assert "error::x.yaml" in ran.out
    assert not any(line.lstrip().startswith("::") for line in ran.out.splitlines())


def test_json_has_the_exact_diff(sendroute: Program, tree: Path) -> None:
    (tree / "acme.yaml").write_text(ACME.replace("# shop", "# ##[group]\u202e"))
    command = ("edit", "set-route", "shop.example.com", "--unconfigured", "m", "--dry-run")
    ran = sendroute(*command, "-o", "json")
    assert "# ##[group]\u202e" in json.loads(ran.out)["diff"]
    assert "##[" not in ran.out
    assert "escapes" not in ran.err
