"""What an argument may be: bytes that are not UTF-8, a dash, and files with a byte-order mark."""

import os
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from sendroute.cli.command_line import Parser, PathType, UsageError
from sendroute.cli.commands import COMMANDS
from sendroute.cli.session import global_options

from .conftest import Program, command, environment

LATIN = os.fsdecode(b"b\xfccher.example.org")
BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "words",
    [
        "explain X",
        "routes X",
        "routes --account X",
        "routes --profile X",
        "history X",
        "test X",
        "approve X",
        "schema X",
        "plan manifests --only X",
        "validate manifests --base X",
        "run manifests --branch X",
        "edit set-route X --managed manifests",
        "edit apply-to-all acme --managed --id X manifests",
        "edit add-domain a.example.com --account acme --new-profile X manifests",
        "rekey X",
        "X",
    ],
)
def test_an_argument_that_is_not_utf8_is_wrong_usage(
    words: str, sendroute: Program, manifests: Path
) -> None:
    assert manifests.is_dir()
    result = sendroute(*(word.replace("X", LATIN) for word in words.split()))
    assert (result.status, "not UTF-8" in result.err) == (64, True), result
    assert "b\\xfccher" in result.err


@pytest.mark.parametrize(
    "name", ["SENDROUTE_ACTOR", "SENDROUTE_KEY", "SENDROUTE_ACCOUNT", "SENDROUTE_QUIET"]
)
def test_a_variable_that_is_not_utf8_is_wrong_usage(
    name: str, sendroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, LATIN)
    for words in (["status"], ["validate", "."]):
        result = sendroute(*words)
        assert (result.status, f"{name} `b\\xfccher" in result.err) == (64, True), result


@pytest.mark.parametrize(
    "words", ["plan manifests -o json", "apply manifests --auto-approve", "test --all", "status"]
)
def test_a_secret_that_is_not_utf8_is_its_profiles_problem(
    words: str,
    sendroute: Program,
    store: Path,
    manifests: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert store.exists()
    assert manifests.is_dir()
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    monkeypatch.delenv("SENDROUTE_SECRETS")
    for key in ("USERNAME", "PASSWORD"):
        monkeypatch.setenv(f"SENDROUTE_SECRET_ACME__SES_SMTP__{key}", f"canary{LATIN}")
    result = sendroute(*words.split())
    shown = result.out + result.err
    assert (result.status == 64, "canary" in shown, "Traceback" in shown) == (False, False, False)
    assert "not UTF-8 text" in shown or words == "status"


def test_a_path_may_be_any_bytes(
    sendroute: Program, store: Path, manifests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.exists()
    directory = manifests.rename(manifests.with_name(LATIN))
    assert sendroute("plan", LATIN, "--out", f"{LATIN}.plan").status == 0
    assert sendroute("plan", LATIN, "-o", f"json={LATIN}.json").status == 0
    monkeypatch.setenv("SENDROUTE_OUT", f"{LATIN}.other")
    assert sendroute("routes").status == 0
    assert {path.name for path in directory.parent.iterdir()} >= {f"{LATIN}.plan", f"{LATIN}.json"}


@pytest.mark.parametrize(
    "words",
    [
        "plan manifests --out -",
        "apply manifests --auto-approve --write-lock -",
        "export --dir -",
        "edit add-domain a.example.com --account acme --file - manifests",
        "edit set-route shop.example.com --managed -",
        "sync -",
        "backup -",
        "restore -",
        "status -",
        "init --from-lock -",
        "init --from-backup -",
        "validate manifests --policy -",
        "validate - --base HEAD",
        "run -",
        "run manifests --state-dir -",
        "run manifests --allowed-signers -",
        "plan manifests --secrets -",
        "plan manifests --key-file -",
    ],
)
def test_a_dash_that_is_no_standard_stream_is_wrong_usage(
    words: str, sendroute: Program, store: Path, manifests: Path
) -> None:
    assert store.exists()
    before = sorted(manifests.parent.iterdir())
    (manifests.parent / "-").mkdir()
    result = sendroute(*words.split())
    (manifests.parent / "-").rmdir()
    assert result.status == 64, result
    assert sorted(manifests.parent.iterdir()) == before


@pytest.mark.parametrize("words", ["plan manifests", "validate manifests", "routes", "status"])
def test_a_report_to_a_dash_goes_to_standard_output(
    words: str, sendroute: Program, store: Path
) -> None:
    result = sendroute(*words.split(), "-o", "json=-")
    assert result.out.startswith("{")
    assert not (store.parent / "-").exists()
    twice = sendroute(*words.split(), "-o", "json=-", "-o", "text")
    assert (twice.status, "Only one -o" in twice.err) == (64, True)


def test_manifests_come_from_standard_input_beside_a_file_named_dash(
    sendroute: Program, store: Path, manifests: Path
) -> None:
    assert sendroute("plan", "manifests", "--out", "./-").status == 0
    documents = [path.read_text() for path in sorted(manifests.iterdir())]
    text = "---\n".join(documents).replace("{profile: ses}", "{managed: {}}")
    done = subprocess.run(
        command("apply", "-", "--auto-approve"),
        cwd=store.parent,
        env=environment(),
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "1 rerouted" in done.stdout) == (0, True), done


def test_a_byte_order_mark_in_a_key_a_plan_or_a_lock_file_is_no_content(
    sendroute: Program, store: Path, manifests: Path
) -> None:
    work = store.parent
    key = work / "marked.key"
    key.write_bytes(BOM + (work / "sendroute.key").read_bytes())
    assert sendroute("--key-file", "marked.key", "rekey").status == 0
    applied = sendroute("apply", "manifests", "--auto-approve", "--write-lock", "a.lock")
    assert applied.status == 0
    lock = manifests / "sendroute.lock"
    lock.write_bytes(BOM + (work / "a.lock").read_bytes())
    assert sendroute("plan", "manifests", "--out", "p.plan").status == 0
    (work / "q.plan").write_bytes(BOM + (work / "p.plan").read_bytes())
    assert sendroute("apply", "q.plan").status == 0
    restored = sendroute("init", "--from-lock", str(lock), "--store", "sqlite:///other.db")
    assert restored.status == 0, restored


@pytest.mark.usefixtures("manifests")
def test_a_byte_order_mark_in_a_policy_or_a_restored_lock_file_is_no_content(
    sendroute: Program, store: Path
) -> None:
    work = store.parent
    (work / "policy.yaml").write_bytes(BOM + b"type: object\nrequired: [nothing]\n")
    checked = sendroute("validate", "manifests", "--policy", "policy.yaml")
    assert (checked.status, "policy-violation" in checked.out) == (1, True), checked
    assert sendroute("apply", "manifests", "--auto-approve", "--write-lock", "a.lock").status == 0
    (work / "b.lock").write_bytes(BOM + (work / "a.lock").read_bytes())
    restored = sendroute("restore", "b.lock", "--auto-approve")
    assert restored.status == 0, restored
    refused = sendroute("init", "--from-backup", "b.lock", "--store", "sqlite:///other.db")
    assert "If the file is a lock file" in refused.err


def modules_of(name: str) -> Iterator[ModuleType]:
    module = import_module(f"sendroute.cli.commands.{name.replace('-', '_')}")
    if not hasattr(module, "COMMANDS"):
        yield module
        return
    for member in module.COMMANDS:
        yield import_module(f"{module.__name__}.{member.replace('-', '_')}")


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_that_is_a_path_says_so(name: str) -> None:
    for module in modules_of(name):
        parser = Parser(name)
        module.options(parser)
        for action in parser._actions:
            if set(str(action.metavar).replace("[", "-").split("-")) & {
                "FILE",
                "DIR",
                "PATH",
                "SUBDIR",
            }:
                assert isinstance(action.type, PathType), (module.__name__, action.option_strings)


def value_or_refusal(parser: Parser, word: str, name: str) -> str:
    try:
        arguments, _ = parser.parse_known_args([word])
    except UsageError as error:
        return str(error)
    return repr(getattr(arguments, name))


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize("name", COMMANDS)
def test_two_hyphens_are_a_value_of_every_option(name: str) -> None:
    for module in modules_of(name):
        parser = Parser(name)
        module.options(parser)
        global_options(parser, again=True)
        for part in (*parser._actions, *parser._mutually_exclusive_groups):
            part.required = False
        options = [action for action in parser._actions if action.option_strings]
        for action in (option for option in options if option.nargs != 0):
            option = action.option_strings[-1]
            value = value_or_refusal(parser, f"{option}=--", action.dest)
            assert "--" in value, (module.__name__, option, value)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("plan manifests --only=--", 1),
        ("validate manifests --policy=--", 1),
        ("validate manifests --base=--", 1),
        ("plan manifests --out=--", 0),
        ("--store=-- plan manifests", 64),
        ("--secrets=-- plan manifests", 1),
        ("plan manifests --max-remove-percent=--", 64),
        ("routes --account=--", 1),
    ],
)
def test_two_hyphens_as_a_value_are_any_text(
    words: str, status: int, sendroute: Program, store: Path
) -> None:
    assert store.exists()
    result = sendroute(*words.split())
    assert result.status == status, result
    assert "Traceback" not in result.err
    assert (Path("--").is_file()) == ("--out" in words)


@pytest.mark.usefixtures("store")
def test_two_hyphens_end_the_options(sendroute: Program) -> None:
    assert sendroute("plan", "--", "manifests").status == 0
    assert sendroute("plan", "manifests", "--").status == 0
    assert sendroute("explain", "--", "shop.example.com").status == 0
    assert sendroute("plan", "--out", "--", "manifests").status == 64
    assert "--quiet" in sendroute("validate", "--", "--quiet").out
