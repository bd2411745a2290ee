"""Remedies as the terminal shows them: each is a command or an option to copy."""

from pathlib import Path

import pytest
from tests.cli.conftest import Program, account, write

from sendroute.cli.hints import with_hint, words
from sendroute.model.codes import finding
from sendroute.model.remedy import (
    Approve,
    CheckOutSubmodules,
    Configure,
    GenerateKey,
    GitTask,
    GuardLimit,
    InstallPackage,
    Perform,
    RaiseLimit,
    Remedy,
    ReplaceEmptyStore,
    ReuseKey,
    Setting,
    Task,
    UseGit,
)

REMEDIES = [
    *(RaiseLimit(limit, 42) for limit in GuardLimit),
    Approve("acme", "main"),
    *map(Configure, Setting),
    *map(Perform, Task),
    CheckOutSubmodules(),
    *map(UseGit, GitTask),
    InstallPackage("postfix-sqlite"),
    GenerateKey(),
    ReuseKey("sendroute.key"),
    ReplaceEmptyStore("/srv/sendroute.db", "sendroute.lock"),
    ReplaceEmptyStore("postgresql://db.example:5432/sendroute", "monday.db", is_backup=True),
]


@pytest.mark.parametrize("remedy", REMEDIES, ids=str)
def test_every_remedy_has_an_option_or_a_command(remedy: Remedy) -> None:
    assert words(remedy).startswith(
        ("--", "sendroute ", "git ", "apt-get ", "openssl ", "mv ", "ALTER ")
    )


@pytest.mark.parametrize("task", Task)
def test_a_hint_has_the_paths_of_the_manifests_if_they_are_known(task: Task) -> None:
    text = words(Perform(task), ["manifests", "our files"])
    assert "PATH" not in text
    assert ("manifests 'our files'" in text) is ("PATH" in words(Perform(task)))


@pytest.mark.parametrize("edit", ["add-profile z", "add-domain z.example --new-profile z"])
def test_the_hint_of_a_new_profile_without_encryption_can_be_followed(
    edit: str, sendroute: Program, manifests: Path
) -> None:
    write(manifests / "acme.yaml", account("acme"))
    options = "--account acme --host smtp.a.example --port 25 --encryption none --secret s"
    command = ["edit", *edit.split(), *options.split(), "manifests"]
    refused = sendroute(*command)
    assert (refused.status, "insecure-auth" in refused.err) == (1, True)
    assert "accept the risk with --allow-insecure-auth" in refused.err
    assert "allowInsecureAuth" not in refused.err
    assert sendroute(*command, "--allow-insecure-auth").status == 0
    assert "allowInsecureAuth: true" in "".join(
        path.read_text() for path in manifests.rglob("*.yaml")
    )


def test_every_command_and_option_of_a_remedy_exists(sendroute: Program) -> None:
    for task in Task:
        command, *rest = words(Perform(task, "x")).removeprefix("sendroute ").split()
        name = [command, rest[0]] if command == "edit" else [command]
        shown = sendroute(*name, "--help").out
        assert f"sendroute {' '.join(name)}" in shown
        for option in (word for word in rest if word.startswith("--")):
            assert option in shown, task


def test_every_option_of_a_setting_exists(sendroute: Program) -> None:
    helps = (("--help",), ("run", "--help"), ("validate", "--help"), ("plan", "--help"))
    shown = "".join(sendroute(*arguments).out for arguments in helps)
    for setting in Setting:
        option, _, placeholder = words(Configure(setting)).partition(" ")
        assert f"{option} " in shown, (setting, placeholder)


def test_a_hint_ends_with_the_command_to_type() -> None:
    problem = finding(
        "too-many-changes",
        "m",
        hint="If the change is intended, approve it.",
        remedy=Approve("acme", "main"),
    )
    assert with_hint(problem).hint == (
        "If the change is intended, approve it: sendroute approve acme/main"
    )


def test_a_subject_is_quoted_for_the_shell() -> None:
    command = words(Perform(Task.RESTORE_FROM_LOCK_FILE, "my files/sendroute.lock"))
    assert command == "sendroute init --from-lock 'my files/sendroute.lock'"
