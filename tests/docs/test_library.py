"""docs/library.md: its blocks run in order and print what the page shows."""

import contextlib
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sendroute

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "library.md"
_BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_blocks_of_the_page_print_the_output_that_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    shutil.copytree(ROOT / "examples" / "quickstart" / "manifests", tmp_path / "manifests")
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text("utf-8")
    names: dict[str, Any] = {}
    printed, parts, end = "", [], 0
    for block in _BLOCK.finditer(page):
        body = block["body"]
        if block["language"] == "text":
            parts += [page[end : block.start("body")], printed]
            end = block.end("body")
            if not request.config.getoption("--rewrite-cases"):
                assert printed == body
            printed = ""
            continue
        assert printed == "", f"the page does not show what is printed before: {body}"
        printed = _run(body, block["language"], names)
    assert printed == ""
    if request.config.getoption("--rewrite-cases"):
        PAGE.write_text("".join([*parts, page[end:]]), "utf-8")


def _run(body: str, language: str, names: dict[str, Any]) -> str:
    if language == "sh":
        command = [sys.executable, "-m", *body.split()]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(body, str(PAGE), "exec"), names)  # noqa: S102 - a page of this project
    return printed.getvalue()


def test_every_public_name_exists_and_is_on_the_page() -> None:
    page = PAGE.read_text("utf-8")
    for name in sendroute.__all__:
        assert getattr(sendroute, name) is not None
        assert name == "__version__" or re.search(rf"`{name}[`(]", page), name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'aply'"):
        sendroute.aply  # type: ignore[attr-defined]  # noqa: B018


def test_importing_sendroute_imports_no_other_module() -> None:
    script = (
        "import sys; before = set(sys.modules); import sendroute; print(*set(sys.modules) - before)"
    )
    command = [
        sys.executable,
        "-I",
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT / 'operator')!r}); {script}",
    ]
    completed = subprocess.run(command, check=True, capture_output=True, text=True)
    assert completed.stdout.split() == ["sendroute"]
