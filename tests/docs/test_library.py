"""docs/library.md: its blocks run in order and print what the page shows."""

import contextlib
import functools
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
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


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sendroute.LoadedTree:
    shutil.copytree(ROOT / "examples" / "quickstart" / "manifests", tmp_path / "manifests")
    monkeypatch.chdir(tmp_path)
    _run("sendroute init --quiet", "sh", {})
    return sendroute.load("manifests")


def wrong_calls(tree: Any, store: Any) -> dict[str, Callable[[], object]]:
    """Mistakes of a caller, by a part of the sentence that explains them."""
    load, validate, plan = (getattr(sendroute, name) for name in ("load", "validate", "plan"))
    open_store = functools.partial(sendroute.open_store, "sqlite:///./sendroute.db")
    return {
        "a path must be a string or a path object, not NoneType": lambda: load(None),
        "a path must be a string or a path object, not bytes": lambda: validate(b"manifests"),
        "base must be a git revision, not int": lambda: validate("manifests", base=3),
        "tree must be what load() returned, not str": lambda: plan("manifests", store),
        "store must be what open_store() returned, not str": lambda: plan(tree, "sqlite:///x.db"),
        "guards must be Guards or None, not int": lambda: plan(tree, store, guards=10),
        "as (namespace, name), not 'acme/acme'": lambda: plan(tree, store, only=["acme/acme"]),
        "as (namespace, name), not 'acme'": lambda: plan(tree, store, only=("acme", "acme")),
        "as (namespace, name), not 'bolt'": lambda: plan(tree, store, only="bolt"),
        "only must be a collection of accounts": lambda: plan(tree, store, only=5),
        "url must be a string": lambda: sendroute.open_store(None),  # type: ignore[arg-type]
        "busy_timeout must be a number": lambda: open_store(busy_timeout=None),
        "busy_timeout must be from 0": lambda: open_store(busy_timeout=-1),
        "busy_timeout must be from 0 to 604800 seconds, not nan": lambda: open_store(
            busy_timeout=float("nan")
        ),
        "change_percent must be": lambda: sendroute.Guards(change_percent=1000),
        "remove_percent must be": lambda: sendroute.Guards(remove_percent=-1),
        "a whole number from 0 to 100, not nan": lambda: sendroute.Guards(float("nan")),  # type: ignore[arg-type]
        "a whole number from 0 to 100, not True": lambda: sendroute.Guards(True),
    }


def test_a_mistake_of_the_caller_is_one_clear_sentence(tree: sendroute.LoadedTree) -> None:
    with sendroute.open_store("sqlite:///./sendroute.db") as store:
        for sentence, call in wrong_calls(tree, store).items():
            with pytest.raises((TypeError, ValueError)) as error:
                call()
            assert sentence in str(error.value)


def test_no_path_is_a_tree_without_manifests() -> None:
    tree = sendroute.load()
    assert [finding.code for finding in tree.desired.findings] == ["no-manifests"]
    assert not tree.desired.complete, "nothing may be removed because of it"


def test_plan_reports_an_unknown_account(tree: sendroute.LoadedTree) -> None:
    with sendroute.open_store("sqlite:///./sendroute.db") as store:
        with pytest.raises(sendroute.ProblemError) as error:
            sendroute.plan(tree, store, only=[("acme", "acne"), ("acme", "acme")])
        (unknown,) = error.value.findings
        assert (unknown.code, unknown.hint) == ("unknown-account", "Did you mean acme/acme?")
        (account,) = sendroute.plan(tree, store, only=[("acme", "acme")]).accounts
        assert account.key == ("acme", "acme")


def test_a_closed_store_is_not_opened_again(tree: sendroute.LoadedTree) -> None:
    store = sendroute.open_store("sqlite:///./sendroute.db")
    with store:
        store.read()
    with pytest.raises(ValueError, match=r"sendroute\.db is closed"):
        sendroute.plan(tree, store)
