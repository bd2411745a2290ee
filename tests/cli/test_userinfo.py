"""A user and a password in an argument, or in a variable, are shown nowhere."""

import pytest

from .conftest import Program

URLS = (
    "https://TOKEN:x-oauth-basic@h/x",
    "https://TOKEN@h/x",
    "https://u:TOKEN@h/x.db",
    "https//u:TOKEN@h/x",
    "//u:TOKEN@h/x",
    "u:TOKEN@h/x",
    "postgresql://u:TOKEN@h/x",
    "sqlite:///u:TOKEN@h/x",
)
COMMANDS = (
    "{}",
    "plan {}",
    "plan {} -o json",
    "plan manifests -o json={}",
    "plan manifests -o {}",
    "plan manifests --out {}",
    "plan manifests --only {}",
    "plan manifests --remove-account {}",
    "plan manifests --{}",
    "plan manifests --secrets {} -o sarif",
    "plan manifests --key-file {} -o markdown",
    "--store {} plan manifests -o junit",
    "apply {} -o html",
    "apply manifests --write-lock {}",
    "validate {} -o sarif",
    "validate {} -o json",
    "validate manifests --policy {} -o json",
    "validate manifests --base {}",
    "status {}",
    "status {} -o json",
    "backup {}",
    "restore {}",
    "restore {} -o json",
    "init --from-backup {}",
    "init --from-lock {}",
    "rekey {}",
    "explain {}",
    "routes {} -o json",
    "history {} -o json",
    "history --since {}",
    "export {}",
    "sync {}",
    "edit {}",
    "edit add-domain {} --account acme manifests",
    "edit delete-domain a.example {}",
    "run {} --branch {}",
    "run missing --listen {}",
    "run manifests --interval {}",
    "run git@h.example:x --branch {}",
    "run git@h.example:x --path ../{}",
    "postfix check --dir {}",
    "postfix {}",
    "relay run --{}",
)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_secret_in_an_argument_is_in_no_output(command: str, sendroute: Program) -> None:
    for url in URLS:
        result = sendroute(*(word.format(url) for word in command.split()))
        assert "TOKEN" not in result.out + result.err, url


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("variable", ["STORE", "OUTPUT", "SECRETS", "LISTEN", "ONLY", "NO_COLOR"])
def test_a_secret_in_a_variable_is_in_no_output(
    variable: str, sendroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in URLS:
        monkeypatch.setenv(f"SENDROUTE_{variable}", url)
        for command in ("plan manifests", "run missing"):
            result = sendroute(*command.split())
            assert "TOKEN" not in result.out + result.err, (url, command)
