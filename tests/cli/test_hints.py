"""Remedies as the terminal shows them: each is a command or an option to copy."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import PLATFORM, Program, account, domain, profile, write
from tests.git.test_worktree import git

from sendroute.cli.hints import with_hint, words
from sendroute.manifests.sources import FileSource
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
    CheckOutSubmodules("/srv/mail", "m/sub", again=True),
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


def test_a_command_of_git_names_the_repository_unless_it_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = tmp_path / "our repo"
    top.mkdir()
    extend = UseGit(GitTask.EXTEND_CHECKOUT, "our mail", str(top))
    update = CheckOutSubmodules(str(top), "sub")
    assert words(extend) == f"git -C '{top}' sparse-checkout add 'our mail'"
    assert words(update) == f"git -C '{top}' submodule update --init sub"
    monkeypatch.chdir(top)
    assert words(extend) == "git sparse-checkout add 'our mail'"
    assert words(update) == "git submodule update --init sub"
    gone = UseGit(GitTask.SHOW_STATUS, None, "/nowhere")
    assert words(gone) == "git -C /nowhere status"


def without_submodule(top: Path) -> None:
    git(top, "submodule", "deinit", "-q", "--all")


def with_half_a_submodule(top: Path) -> None:
    (top / ".git/modules/m/sub/index").unlink()
    (top / "m/sub/a.yaml").unlink()


def in_cone_mode(top: Path) -> None:
    git(top, "sparse-checkout", "set", "--cone")


def in_cone_mode_with_a_rest(top: Path) -> None:
    in_cone_mode(top)
    (top / "m/our mail").mkdir()
    (top / "m/our mail/rest.yaml").write_text("a: 1\n")


def without_a_directory(top: Path) -> None:
    git(top, "sparse-checkout", "set", "--no-cone", "/*", "!/m/our mail/")


def without_files(top: Path) -> None:
    git(top, "sparse-checkout", "set", "--no-cone", "/*", "!a.yaml")


def with_skipped_files(top: Path) -> None:
    for name in ("a.yaml", "m/our mail/b.yaml"):
        git(top, "update-index", "--skip-worktree", name)
        (top / name).unlink()


def with_an_older_submodule(top: Path) -> None:
    (top / "m/sub/c.yaml").write_text("c: 1\n")
    git(top / "m/sub", "add", "-A")
    git(top / "m/sub", "commit", "-q", "-m", "more")
    git(top, "commit", "-q", "-a", "-m", "with more")
    git(top / "m/sub", "checkout", "-q", "HEAD~1")


def without_an_index(top: Path) -> None:
    (top / ".git/index").unlink()
    (top / "m/our mail/b.yaml").unlink()


@pytest.mark.parametrize(
    "remove",
    [
        without_submodule,
        with_half_a_submodule,
        with_an_older_submodule,
        in_cone_mode,
        in_cone_mode_with_a_rest,
        without_a_directory,
        without_files,
        with_skipped_files,
        without_an_index,
    ],
)
@pytest.mark.parametrize("given", ["", "m"])
def test_what_a_checkout_lacks_comes_back_by_the_command_of_its_hint(
    remove: Callable[[Path], None], given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"COUNT": "1", "KEY_0": "protocol.file.allow", "VALUE_0": "always"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    inner, top = tmp_path / "inner", tmp_path / "our repo"
    for repository in (inner, top):
        (repository / "m/our mail").mkdir(parents=True)
        for name in ("a.yaml", "m/our mail/b.yaml"):
            (repository / name).write_text("a: 1\n")
        git(repository, "init", "-q")
        if repository == top:
            git(top, "submodule", "add", "-q", str(inner), "m/sub")
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", "all")
    remove(top)
    source = FileSource([str(top / given)])
    _, missing = source.entries()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for item in missing:
        assert item.remedy is not None
        subprocess.run(["sh", "-c", words(item.remedy)], check=True)
    entries, findings = source.entries()
    assert findings == []
    expected = {"m/our mail/b.yaml", "m/sub/a.yaml", "m/sub/m/our mail/b.yaml"}
    names = {str(Path(entry.name).relative_to(top)) for entry in entries}
    assert expected <= names
    assert missing or (remove is without_files and given == "m")


def test_the_hint_for_a_profile_that_moves_away_names_its_new_account(
    sendroute: Program, workdir: Path
) -> None:
    """Two documents of a namespace cannot have one name, so it cannot be declared again."""
    manifests = workdir / "manifests"
    write(manifests / "platform.yaml", PLATFORM)
    write(manifests / "accounts.yaml", account("acme"), account("acme").replace("acme", "b", 1))
    route = "{profile: ses}"
    write(manifests / "domain.yaml", domain("acme", "shop.example.com", route))
    plain = re.sub("\n  credentials: .*", "", profile("acme", "ses"))
    write(manifests / "ses.yaml", plain)
    assert sendroute("init").status == 0
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    write(manifests / "ses.yaml", plain.replace("account: acme", "account: b"))
    hint = (
        "hint: SMTPProfile ses is one of account acme/b now. Correct its spec.account, or declare"
        " one of another name."
    )
    result = sendroute("plan", "manifests", "--max-change-percent", "100")
    assert "warning profile-deleted" in result.out
    assert hint in result.out
    write(manifests / "domain.yaml", domain("acme", "new.example.com", route))
    assert hint in sendroute("plan", "manifests").out


def test_a_hint_keeps_the_options_that_were_given(sendroute: Program, workdir: Path) -> None:
    """A copied command without them would act on another store."""
    manifests = workdir / "manifests"
    write(manifests / "platform.yaml", PLATFORM)
    write(manifests / "acme.yaml", account("acme"), domain("acme", "shop.example.com"))
    store = ("--store", "sqlite:///other store.db")
    kept = "sendroute --store 'sqlite:///other store.db' "
    assert f"create the store once: {kept}init" in sendroute(*store, "status").err
    assert sendroute(*store, "init").status == 0
    assert sendroute(*store, "apply", "manifests", "--auto-approve").status == 0
    edited = sendroute(*store, "edit", "set-route", "shop.example.com", "--managed", "manifests")
    assert f"{kept}plan manifests" in edited.out
    missing = sendroute("status", "--store=sqlite:///a.db", "--key-file", "k", "--secrets", "s").err
    assert "sendroute --store sqlite:///a.db --secrets s --key-file k init" in missing
    assert "once: sendroute init" in sendroute("status").err
    Path("manifests").rename("our sendroute manifests")
    edited = sendroute(
        *store, "edit", "set-route", "shop.example.com", "--unconfigured", "our sendroute manifests"
    )
    assert f"{kept}plan 'our sendroute manifests'" in edited.out


def test_a_hint_does_not_show_the_user_of_a_url(sendroute: Program) -> None:
    result = sendroute("--store", "postgresql://token@127.0.0.1:1/mail", "status")
    assert "token" not in result.err
