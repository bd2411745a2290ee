"""Wrong usage: one sentence, a suggestion, a pointer to the help, and exit status 64."""

import json
import subprocess
import sys
from argparse import SUPPRESS
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from sendroute.cli.command_line import Parser, PathType, variable_of
from sendroute.cli.commands import COMMANDS

from .conftest import Program, account, domain, environment

Process = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize(
    "arguments",
    [("validate",), ("explain",), ("routes",), ("history",), ("init", "--from-backup")],
)
def test_a_store_url_as_another_argument_is_shown_without_its_password(
    sendroute: Program, arguments: tuple[str, ...]
) -> None:
    result = sendroute(*arguments, "postgresql://u:hunter2@db.example/x")
    assert "hunter2" not in result.out + result.err


HOSTILE = "\x1b]0;x\x07\u202e##[error]x\r\n::warning::y"


@pytest.mark.parametrize(
    "arguments",
    [
        (HOSTILE,),
        ("plan", "x", f"--{HOSTILE}"),
        ("plan", "x", "--remove-account", HOSTILE),
        ("plan", "x", "-o", HOSTILE),
        ("run", "x", "--interval", HOSTILE),
        ("--log-format", HOSTILE, "status"),
        ("edit", HOSTILE),
        ("history", "--since", HOSTILE),
    ],
)
def test_an_argument_is_repeated_without_control_sequences(
    sendroute: Program, arguments: tuple[str, ...]
) -> None:
    """A job may pass the name of a branch, which another person chose."""
    result = sendroute(*arguments)
    assert result.status == 64
    for line in result.err.splitlines():
        assert line.isprintable()
        assert "##[" not in line
        assert not line.startswith("::")


WRONG = {
    "no command at all": ((), "usage:", "COMMAND"),
    "a mistyped command": (("aply",), "no command `aply`", "Did you mean `apply`?"),
    "a mistyped option of a command": (
        ("plan", "x", "--onyl", "acme"),
        "no option `--onyl`",
        "Did you mean `--only`?",
    ),
    "a mistyped option of the program": (("--stor", "x", "plan"), "`--stor`", "`--store`"),
    "a mistyped option in place of a required one": (
        ("edit", "add-profile", "z", "--acount", "acme", "x"),
        "no option `--acount`",
        "Did you mean `--account`?",
    ),
    "a mistyped option of which one is required": (
        ("edit", "set-route", "d.example", "--profle=x", "x"),
        "no option `--profle`",
        "Did you mean `--profile`?",
    ),
    "a mistyped option beside an invalid value": (
        ("postfix", "config", "--dri", "x", "--log-format", "xml"),
        "no option `--dri`",
        "Did you mean `--dir`?",
    ),
    "a path like an option in place of a required option": (
        ("edit", "set-route", "--", "d.example", "--manged"),
        "--managed",
        "is required",
    ),
    "an abbreviated option": (("plan", "x", "--det"), "no option `--det`", "plan --help"),
    "an option without its value": (("plan", "x", "--out"), "--out", "plan --help"),
    "a path that is missing": (("validate",), "PATH", "validate --help"),
    "a store URL in place of a command": (
        ("postgresql://u:hunter2@db.example/x",),
        "no command `postgresql://…@db",
        "sendroute --help",
    ),
    "a store URL in place of an argument": (
        ("rekey", "postgresql://u:hun/ter2@db.example/x"),
        "Unexpected argument `postgresql://…@db",
        "rekey --help",
    ),
    "an extra argument": (("rekey", "now"), "`now`", "rekey --help"),
    "an unknown format": (("plan", "x", "-o", "jsn"), "`jsn`", "Did you mean `json`?"),
    "a format that the command does not have": (("routes", "-o", "sarif"), "`sarif`", "text, json"),
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
    "an approval of an empty name": (("approve", ""), "ACCOUNT", "the value is empty"),
    "a history of an empty name": (("history", ""), "the value is empty", "history --help"),
    "routes of an empty name": (("routes", ""), "DOMAIN", "the value is empty"),
    "a test of an empty name": (("test", ""), "PROFILE", "the value is empty"),
    "an edit of an empty name": (
        ("edit", "add-account", "", "--plan", "pro", "m"),
        "the value is empty",
        "edit add-account --help",
    ),
    "a store without a URL": (("--store", "", "status"), "--store", "empty"),
    "a store that is no URL": (("--store", "foo", "routes"), "scheme", "//USER@HOST:PORT"),
    "a store of another database": (("--store", "mysql://u@db.example/x", "init"), "'mysql'"),
    "a store without a file": (("plan", "x", "--store", "sqlite:///"), "no path of a file"),
    "a store with an invalid port": (
        ("--store", "postgresql://u@db.example:x/y", "status"),
        "not a valid PostgreSQL URL",
    ),
    "a malformed store of a loop": (("run", ".", "--store", "foo"), "scheme", "run --help"),
    "a malformed store of a loop that logs JSON": (
        ("run", ".", "--log-format", "json", "--store", "postgresql://[::1/x"),
        "sendroute: The store's URL is not a valid PostgreSQL URL.",
        "run --help",
    ),
    "a malformed store of an agent": (
        ("relay", "--dir", "tables", "--store", "sqlite:x"),
        "no path of a file",
        "relay --help",
    ),
    "a store without a URL, given last": (("status", "--store", ""), "--store", "empty"),
    "a file without a name": (("validate", "x", "-o", "json="), "`json=`", "no file"),
    "a percentage above 100": (("apply", "x", "--max-change-percent", "101"), "`101`", "0 to 100"),
    "a percentage that is not a number": (
        ("apply", "x", "--max-remove-percent", "all"),
        "`all`",
        "100",
    ),
    "an invalid duration": (("apply", "x", "--wait-timeout", "soon"), "`soon`", "90s"),
    "an invalid address": (("run", "x", "--listen", "9464"), "`9464`", "127.0.0.1:9464"),
    "an invalid address of an agent": (
        ("relay", "--dir", "x", "--listen", "9465"),
        "`9465`",
        "127.0.0.1:9465, [::1]:9465 or :9465",
    ),
    "an address that is no host": (("run", "x", "--listen", "a b:80"), "`a b:80`", "run --help"),
    "a git URL of an unknown kind": (("run", "ftp://git.example/x"), "not supported", "https://"),
    "a git URL without a host": (("run", "https://"), "no host name", "run --help"),
    "a git URL without a slash": (("run", "https:/git.example/x"), "lacks `//` after `https:`"),
    "a git URL without a path": (("run", "file://"), "no path", "file:///DIRECTORY"),
    "an unprotected git URL": (("run", "http://git.example/x"), "http", "--verify-signatures"),
    "two wrong options of a git source": (
        ("run", "file:///x", "--branch=-b", "--path=/etc"),
        "'-b' is not a valid branch name.",
        "'/etc' is not a path within a repository.",
    ),
    "an option of a git source for a directory": (
        ("run", ".", "--path", "x"),
        "The path in a repository needs a git source",
        "--path PATH",
    ),
    "an invalid port": (("run", "x", "--listen", ":65536"), "`:65536`", "run --help"),
    "no history at all": (("history", "--limit", "0"), "`0`", "from 1"),
    "an unknown log format": (("--log-format", "xml", "status"), "`xml`", "text, json"),
    "both quiet and verbose": (("-q", "-v", "status"), "--quiet", "--verbose"),
    "an unknown kind": (("schema", "MailAcount"), "`MailAcount`", "Did you mean `MailAccount`?"),
    "a base for standard input": (("validate", "-", "--base", "HEAD"), "Standard input", "--base"),
    "a log without a message": (
        ("explain", "a@shop.example", "--log", "x"),
        "--log",
        "--message QUEUE-ID",
    ),
    "a message that never had an id": (("explain", "--message", "NOQUEUE"), "refused", "sender"),
    "a message with an invalid id": (("explain", "--message", "4F2"), "`4F2`", "4F2A81C0B7"),
    "a parameter that Postfix does not get": (
        ("postfix", "config", "--dir", "x", "--install", "--replace", "default_transprt"),
        "`default_transprt`",
        "Did you mean `default_transport`?",
    ),
    "a part of a service that is never replaced": (
        ("postfix", "config", "--dir", "x", "--install", "--replace", "smtp/inet/privileged"),
        "`smtp/inet/privileged`",
        "postfix config --help",
    ),
    "a setting to replace without --install": (
        ("postfix", "config", "--dir", "x", "--replace", "default_transport"),
        "--replace",
        "--install",
    ),
    "a directory and a format": (("export", "--dir", "x", "-o", "json"), "--dir", "-o"),
}


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_wrong_usage_is_explained_with_status_64(case: str, sendroute: Program) -> None:
    arguments, *expected = WRONG[case]
    result = sendroute(*arguments)
    assert result.status == 64
    assert result.out == ""
    for part in expected:
        assert part in result.err
    assert "Traceback" not in result.err


@pytest.mark.usefixtures("manifests")
@pytest.mark.parametrize(
    "words", [("delete-account", "acme"), ("set-route", "shop.example.com", "--profile", "ses")]
)
def test_a_malformed_store_is_wrong_usage_of_an_edit_that_asks_it(
    sendroute: Program, words: tuple[str, ...]
) -> None:
    result = sendroute("edit", *words, "manifests", "--store", "foo")
    assert result.status == 64, result
    assert "scheme" in result.err
    assert f"edit {words[0]} --help" in result.err


@pytest.mark.usefixtures("store")
def test_apply_refuses_wrong_outputs_before_it_applies(sendroute: Program, manifests: Path) -> None:
    (manifests / "acme.yaml").write_text(
        account("acme") + "---\n" + domain("acme", "a.example.com")
    )
    for outputs in (("-o", "json", "-o", "text"), ("-o", "json=r", "-o", "text=r")):
        assert sendroute("apply", "manifests", "--auto-approve", *outputs).status == 64
    assert "a.example.com" not in sendroute("routes").out
    assert sendroute("validate", "manifests", "-o", "json=/dev/null", "-o", "text=/dev/null").out


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize("name", COMMANDS)
def test_no_default_is_wrong_usage(name: str) -> None:
    """argparse converts a default that is a string, as if it had been typed."""
    module = import_module(f"sendroute.cli.commands.{name}")
    modules = [module]
    if hasattr(module, "COMMANDS"):
        members = (member.replace("-", "_") for member in module.COMMANDS)
        modules = [import_module(f"{module.__name__}.{member}") for member in members]
    for command in modules:
        parser = Parser(name)
        command.options(parser)
        for action in parser._actions:
            if isinstance(action.default, str) and action.default != SUPPRESS:
                parser._get_value(action, action.default)  # type: ignore[attr-defined]


def test_a_variable_sets_a_required_option(
    sendroute: Program, store: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.exists()
    monkeypatch.setenv("SENDROUTE_DIR", "tables")
    assert sendroute("postfix", "config").status == 0
    assert (workdir / "tables" / "main.cf").exists()


def test_export_does_not_write_into_the_directory_of_a_relay(
    sendroute: Program, store: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.exists()
    monkeypatch.setenv("SENDROUTE_DIR", "tables")
    assert sendroute("export").status == 0
    assert not (workdir / "tables").exists()


@pytest.mark.usefixtures("workdir")
def test_no_variable_names_two_different_paths() -> None:
    """Every command of a host may read the same environment."""
    meanings: dict[str, set[str]] = {}

    class Collector(Parser):
        def value(self, *names: str, help: str, **options: object) -> None:  # type: ignore[override]  # noqa: A002
            if isinstance(options.get("type"), PathType):
                meanings.setdefault(variable_of(names), set()).add(help)

    def collect(names: Iterable[str], package: str) -> None:
        for name in names:
            module = import_module(f"{package}.{name.replace('-', '_')}")
            if hasattr(module, "COMMANDS"):
                collect(module.COMMANDS, module.__name__)
            else:
                module.options(Collector(name))

    collect(COMMANDS, "sendroute.cli.commands")
    assert "SENDROUTE_DIR" in meanings
    meanings = {name: texts for name, texts in meanings.items() if name != "SENDROUTE_OUTPUT"}
    assert {name: texts for name, texts in meanings.items() if len(texts) > 1} == {}


def test_a_variable_sets_an_option(
    sendroute: Program, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDROUTE_STORE", f"sqlite:///{workdir}/elsewhere.db")
    assert f"{workdir}/elsewhere.db" in sendroute("status").err


def test_an_option_overrides_its_variable(
    sendroute: Program, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDROUTE_STORE", f"sqlite:///{workdir}/elsewhere.db")
    for arguments in (
        ("--store", "sqlite:///./here.db", "status"),
        ("status", "--store", "sqlite:///./here.db"),
    ):
        result = sendroute(*arguments)
        assert "here.db" in result.err
        assert "elsewhere" not in result.err


def test_an_invalid_value_of_a_variable_is_wrong_usage(
    sendroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDROUTE_MAX_CHANGE_PERCENT", "most")
    result = sendroute("apply", "x")
    assert (result.status, "SENDROUTE_MAX_CHANGE_PERCENT" in result.err) == (64, True)
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
        "SENDROUTE_SECRET_ACME__SES_SMTP__PASSWORD": "hunter2",
        "SENDROUTE_SERVICE_HOST": "a Service of Kubernetes",
        "SENDROUTE_METRICS_PORT_9464_TCP_ADDR": "another",
    }
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    result = sendroute("validate", str(manifests))
    assert (result.status, result.err) == (0, "")
    monkeypatch.setenv("SENDROUTE_STOER", "hunter2")
    result = sendroute("validate", str(manifests))
    assert (result.status, "hunter2" in result.err) == (0, False)
    assert "SENDROUTE_STOER is unknown" in result.err
    assert "Did you mean `SENDROUTE_STORE`?" in result.err
    result = sendroute("--log-format", "json", "validate", str(manifests))
    assert json.loads(result.err)["level"] == "warning"


@pytest.mark.parametrize(
    "name",
    ["ACME_SES_SMTP_PASSWORD", "ACME__SES_SMTP_PASSWORD", "ACME__SES__PASWORD", "A__B__C__D"],
)
def test_a_secret_variable_that_no_secret_can_have_is_a_warning(
    sendroute: Program, manifests: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"SENDROUTE_SECRET_{name}", "hunter2")
    result = sendroute("validate", str(manifests))
    assert (result.status, "hunter2" in result.err) == (0, False)
    assert f"SENDROUTE_SECRET_{name} has no effect" in result.err


def test_a_variable_of_a_repeatable_option_holds_several_values_and_the_option_overrides_it(
    sendroute: Program, manifests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDROUTE_OUTPUT", "json sarif=problems.sarif")
    assert sendroute("validate", "manifests").out.startswith("{")
    assert (manifests.parent / "problems.sarif").is_file()
    assert sendroute("validate", "manifests", "-o", "text").out.startswith("Validation")


@pytest.mark.parametrize("name", ["", *COMMANDS], ids=lambda name: name or "the program")
def test_help_fits_100_columns_and_has_examples(name: str, sendroute: Program) -> None:
    result = sendroute(*([name] if name else []), "--help")
    assert result.status == 0
    assert "examples:" in result.out
    assert max(map(len, result.out.splitlines())) <= 100


def test_help_imports_no_command_and_nothing_heavy(workdir: Path) -> None:
    heavy = {"msgspec", "yaml", "ryaml", "pydantic", "sqlalchemy", "rich", "logging", "pathlib"}
    loaded = _modules(workdir, "--help")
    assert not heavy & loaded
    assert not {name for name in loaded if name.startswith("sendroute.cli.commands.")}


def test_validating_valid_files_imports_no_pydantic_and_no_database(manifests: Path) -> None:
    heavy = {"pydantic", "sqlalchemy", "alembic", "yaml", "ruamel", "rich", "jsonschema", "idna"}
    heavy |= {"cryptography", "logging", "dataclasses", "asyncio", "sqlite3"}
    heavy |= {"subprocess", "tempfile", "pathlib"}
    assert not heavy & _modules(manifests.parent, "validate", "manifests")


def _modules(directory: Path, *arguments: str) -> set[str]:
    """The names of the modules that a run imports."""
    code = (
        "import sys; from sendroute.cli.main import main; status = main(sys.argv[1:]);"
        "print(*sys.modules, file=sys.stderr); sys.exit(status)"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment(),
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(completed.stderr.split())


def test_version_prints_name_and_version(sendroute: Program) -> None:
    result = sendroute("--version")
    assert (result.status, result.out) == (0, "sendroute 0.1.0\n")


def test_version_is_that_of_the_option(sendroute: Program) -> None:
    shown = sendroute("version")
    assert (shown.status, shown.out) == (0, sendroute("--version").out)
    document = json.loads(sendroute("version", "-o", "json").out)
    assert shown.out == f"sendroute {document['version']}\n"


@pytest.mark.parametrize(("name", "preset"), [("gmail", "google"), ("Amazon SES", "ses")])
def test_another_name_of_a_provider_is_wrong_usage_that_names_the_preset(
    sendroute: Program, name: str, preset: str
) -> None:
    words = ("edit", "add-domain", "x.example", "--account", "acme", "--new-profile", "p")
    result = sendroute(*words, "--provider", name, ".")
    assert result.status == 64
    assert f"Did you mean `{preset}`?" in result.err


@pytest.mark.parametrize("options", [(), ("--key-file", "key")])
def test_a_store_in_a_directory_that_does_not_exist_says_so(
    sendroute: Program, workdir: Path, options: tuple[str, ...]
) -> None:
    (workdir / "key").write_bytes(Fernet.generate_key())
    result = sendroute("--store", "sqlite:///nodir/x.db", "init", *options)
    assert result.status == 1
    assert f"The directory of the store, {workdir}/nodir, does not exist." in result.err
    assert "hint: Create the directory (mkdir), or specify another path." in result.err
