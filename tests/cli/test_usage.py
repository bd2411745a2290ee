"""Wrong usage is one sentence, a suggestion, where to look, and exit status 64."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sendroute.cli.table import COMMANDS

from .conftest import Program, account, domain, environment

Process = Callable[..., "subprocess.CompletedProcess[str]"]

WRONG = {
    "no command at all": ((), "usage:", "COMMAND"),
    "a mistyped command": (("aply",), "no command `aply`", "Did you mean `apply`?"),
    "a mistyped option of a command": (
        ("plan", "x", "--onyl", "acme"),
        "no option `--onyl`",
        "Did you mean `--only`?",
    ),
    "a mistyped option of the program": (("--stor", "x", "plan"), "`--stor`", "`--store`"),
    "an abbreviated option": (("plan", "x", "--det"), "no option `--det`", "plan --help"),
    "an option without its value": (("plan", "x", "--out"), "--out", "plan --help"),
    "a path that is missing": (("validate",), "PATH", "validate --help"),
    "a word too many": (("status", "now"), "`now`", "status --help"),
    "an unknown format": (("plan", "x", "-o", "jsn"), "`jsn`", "Did you mean `json`?"),
    "a format that the command has not": (("routes", "-o", "sarif"), "`sarif`", "text, json"),
    "two formats on standard output": (
        ("validate", "x", "-o", "json", "-o", "text"),
        "Only one -o",
        "FORMAT=FILE",
    ),
    "two formats in one file": (
        ("validate", "x", "-o", "json=r", "-o", "sarif=./r"),
        "`./r` would be written twice",
        "validate --help",
    ),
    "a plan and a report in one file": (
        ("plan", "x", "--out", "r", "-o", "json=r"),
        "`r` would be written twice",
        "its own file",
    ),
    "a lock file and a report in one file": (
        ("apply", "x", "--write-lock", "r", "-o", "json=r"),
        "`r` would be written twice",
        "its own file",
    ),
    "a saved plan without a name": (("plan", "x", "--out", ""), "--out", "empty"),
    "a lock file without a name": (("apply", "x", "--write-lock", ""), "--write-lock", "empty"),
    "an account without a name": (("routes", "--account", ""), "--account", "the value is empty"),
    "a store without a URL": (("--store", "", "status"), "--store", "empty"),
    "a store without a URL, given last": (("status", "--store", ""), "--store", "empty"),
    "a file without a name": (("validate", "x", "-o", "json="), "`json=`", "no file"),
    "a share above 100": (("apply", "x", "--max-change-percent", "101"), "`101`", "0 to 100"),
    "a share that is no number": (("apply", "x", "--max-remove-percent", "all"), "`all`", "100"),
    "a time that is none": (("apply", "x", "--wait-timeout", "soon"), "`soon`", "90s"),
    "an address that is none": (("run", "x", "--listen", "9464"), "`9464`", "127.0.0.1:9464"),
    "a port that is none": (("run", "x", "--listen", ":65536"), "`:65536`", "run --help"),
    "no history at all": (("history", "--limit", "0"), "`0`", "from 1"),
    "an unknown log format": (("--log-format", "xml", "status"), "`xml`", "text, json"),
    "both quiet and verbose": (("-q", "-v", "status"), "--quiet", "--verbose"),
    "an unknown kind": (("schema", "MailAcount"), "`MailAcount`", "Did you mean `MailAccount`?"),
    "a base for standard input": (("validate", "-", "--base", "HEAD"), "Standard input", "--base"),
    "a folder and a format": (("export", "--dir", "x", "-o", "json"), "--dir", "-o"),
}


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_wrong_usage(case: str, sendroute: Program) -> None:
    words, *expected = WRONG[case]
    ran = sendroute(*words)
    assert ran.status == 64
    assert ran.out == ""
    for part in expected:
        assert part in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.usefixtures("store")
def test_apply_refuses_wrong_outputs_before_it_applies(sendroute: Program, manifests: Path) -> None:
    (manifests / "acme.yaml").write_text(
        account("acme") + "---\n" + domain("acme", "a.example.com")
    )
    for outputs in (("-o", "json", "-o", "text"), ("-o", "json=r", "-o", "text=r")):
        assert sendroute("apply", "manifests", "--auto-approve", *outputs).status == 64
    assert "a.example.com" not in sendroute("routes").out
    assert sendroute("validate", "manifests", "-o", "json=/dev/null", "-o", "text=/dev/null").out


def test_a_variable_stands_for_an_option(
    sendroute: Program, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDROUTE_STORE", f"sqlite:///{place}/elsewhere.db")
    assert f"{place}/elsewhere.db" in sendroute("status").err


def test_an_option_wins_over_its_variable(
    sendroute: Program, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDROUTE_STORE", f"sqlite:///{place}/elsewhere.db")
    for words in (
        ("--store", "sqlite:///./here.db", "status"),
        ("status", "--store", "sqlite:///./here.db"),
    ):
        ran = sendroute(*words)
        assert "here.db" in ran.err
        assert "elsewhere" not in ran.err


def test_a_variable_with_a_wrong_value_is_wrong_usage(
    sendroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDROUTE_MAX_CHANGE_PERCENT", "most")
    ran = sendroute("apply", "x")
    assert (ran.status, "SENDROUTE_MAX_CHANGE_PERCENT" in ran.err) == (64, True)
    monkeypatch.setenv("SENDROUTE_QUIET", "perhaps")
    assert "SENDROUTE_QUIET" in sendroute("status").err


def test_an_unknown_variable_is_a_warning_that_shows_no_value(
    sendroute: Program, manifests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {
        "SENDROUTE_OUT": "of another command",
        "SENDROUTE_MAX_CHANGE_PERCENT": "a wrong value for another command",
        "SENDROUTE_DRY_RUN": "of an edit",
        "SENDROUTE_ACTOR": "jane",
        "SENDROUTE_KEY": "",
        "SENDROUTE_SECRET_ACME_SES_SMTP_PASSWORD": "hunter2",
        "SENDROUTE_SERVICE_HOST": "a Service of Kubernetes",
        "SENDROUTE_METRICS_PORT_9464_TCP_ADDR": "another",
    }
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    ran = sendroute("validate", str(manifests))
    assert (ran.status, ran.err) == (0, "")
    monkeypatch.setenv("SENDROUTE_STOER", "hunter2")
    ran = sendroute("validate", str(manifests))
    assert (ran.status, "hunter2" in ran.err) == (0, False)
    assert "SENDROUTE_STOER is unknown" in ran.err
    assert "Did you mean `SENDROUTE_STORE`?" in ran.err
    ran = sendroute("--log-format", "json", "validate", str(manifests))
    assert json.loads(ran.err)["level"] == "warning"


def test_a_variable_of_a_repeatable_option_holds_several_and_gives_way(
    sendroute: Program, manifests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDROUTE_OUTPUT", "json sarif=problems.sarif")
    assert sendroute("validate", "manifests").out.startswith("{")
    assert (manifests.parent / "problems.sarif").is_file()
    assert sendroute("validate", "manifests", "-o", "text").out.startswith("Validation")


@pytest.mark.parametrize("name", ["", *COMMANDS], ids=lambda name: name or "the program")
def test_help_fits_100_columns_and_has_examples(name: str, sendroute: Program) -> None:
    ran = sendroute(*([name] if name else []), "--help")
    assert ran.status == 0
    assert "examples:" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 100


def test_help_imports_no_command_and_nothing_heavy(place: Path) -> None:
    heavy = {"msgspec", "yaml", "ryaml", "pydantic", "sqlalchemy", "rich", "logging", "pathlib"}
    loaded = _modules(place, "--help")
    assert not heavy & loaded
    assert not {name for name in loaded if name.startswith("sendroute.cli.commands")}


def test_validating_a_good_file_imports_no_pydantic_and_no_database(manifests: Path) -> None:
    heavy = {"pydantic", "sqlalchemy", "alembic", "yaml", "ruamel", "rich", "jsonschema", "idna"}
    heavy |= {"cryptography", "logging", "dataclasses", "asyncio", "sqlite3"}
    assert not heavy & _modules(manifests.parent, "validate", "manifests")


def _modules(folder: Path, *words: str) -> set[str]:
    """The modules that a run has imported."""
    code = (
        "import sys; from sendroute.cli.main import main; status = main(sys.argv[1:]);"
        "print(*sys.modules, file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env=environment(),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def test_version(sendroute: Program) -> None:
    ran = sendroute("--version")
    assert (ran.status, ran.out) == (0, "sendroute 0.1.0\n")
