"""Repositories, URLs and names that try to run programs or to read other files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sendroute.following.directory import DirectoryFollower
from sendroute.following.follower import Follower
from sendroute.following.git import GitOptions
from sendroute.following.source import follow
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, Setting

from .conftest import Follow, Repository, never

SECRET = "hunter2hunter2"


def findings_of(call: Callable[[], object]) -> tuple[Finding, ...]:
    with pytest.raises(ProblemError) as caught:
        call()
    assert all(finding.hint for finding in caught.value.findings)
    assert SECRET not in repr(caught.value.findings)
    assert SECRET not in str(caught.value)
    return caught.value.findings


def link(repository: Repository, name: str, target: str) -> None:
    path = repository.directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    repository.commit()


class TestArguments:
    @pytest.mark.parametrize(
        "url",
        [
            f"https://user:{SECRET}@git.example.com/x.git",
            f"https://:{SECRET}@git.example.com/x.git",
            f"https://ghp_{SECRET}@git.example.com/x.git",
            f"https://glpat-{SECRET}@git.example.com/x.git",
            f"https://{SECRET * 4}@git.example.com/x.git",
            f"HTTPS://user:{SECRET}@git.example.com/x.git",
            f"https://git.example.com/x.git?private_token={SECRET}",
            f"ssh://user:{SECRET}@git.example.com/x.git",
            f"user:{SECRET}@git.example.com:x.git",
        ],
    )
    def test_a_secret_in_a_url_is_rejected_and_not_repeated(self, url: str) -> None:
        (finding,) = findings_of(lambda: follow(url, GitOptions()))
        assert finding.message == "The git URL holds a password or token."

    @pytest.mark.parametrize(
        "url",
        [
            "ext::sh -c touch% /tmp/x",
            "fd::17/foo",
            "transport::https://example.com",
            "ftp://example.com/x",
            "ext://x",
            "-oProxyCommand=touch:/x",
            "ssh://-oProxyCommand=touch/x",
            "ssh://user@-oProxyCommand=touch/x",
            "https://",
            "https://[::1/x",
            "https://example.com:port/x",
            "https://example.com/\x1b[31m",
            "--upload-pack=touch /tmp/x",
            "nowhere",
            "",
        ],
    )
    def test_an_invalid_source_is_reported(self, url: str) -> None:
        findings_of(lambda: follow(url, GitOptions()))

    @pytest.mark.parametrize("url", ["http://git.example.com/x", "git://git.example.com/x"])
    def test_an_unprotected_protocol_needs_signatures(self, url: str, following: Follow) -> None:
        (finding,) = findings_of(lambda: follow(url, GitOptions()))
        assert finding.remedy == Configure(Setting.VERIFY_SIGNATURES)
        following(url, verify_signatures=True)

    @pytest.mark.parametrize(
        "branch",
        ["-b", "--upload-pack=x", "a..b", "a b", "a:b", "a\x1b[1m", "x.lock", "", "a@{1}", "/a"],
    )
    def test_an_invalid_branch_name_is_reported(self, branch: str, repository: Repository) -> None:
        findings_of(lambda: follow(repository.url, GitOptions(branch=branch)))

    @pytest.mark.parametrize("path", ["/etc", "../x", "a/../../x", "a\nb"])
    def test_a_path_outside_the_repository_is_reported(
        self, path: str, repository: Repository
    ) -> None:
        findings_of(lambda: follow(repository.url, GitOptions(path=path)))

    def test_all_problems_are_reported_at_once(self, repository: Repository) -> None:
        options = GitOptions(branch="-b", path="/etc", allowed_signers="/nowhere")
        assert len(findings_of(lambda: follow(repository.url, options))) == 4

    def test_git_options_are_rejected_for_a_directory(self, tmp_path: Path) -> None:
        options = GitOptions(branch="main", verify_signatures=True)
        assert len(findings_of(lambda: follow(str(tmp_path), options))) == 2

    def test_a_working_tree_is_followed_as_a_directory(self, repository: Repository) -> None:
        repository.commit()
        follower: Follower = follow(str(repository.directory), GitOptions())
        assert isinstance(follower, DirectoryFollower)
        assert follower.poll(never).commit is None


class TestLinks:
    @pytest.mark.parametrize(
        ("name", "target"),
        [
            ("mail/a.yaml", "/etc/hosts"),
            ("mail/a.yaml", "../../../../../../../../etc/hosts"),
            ("mail/directory", "/etc"),
            ("mail/directory", "/not/there/yet"),
            ("mail/README", "/etc/hosts"),
        ],
    )
    def test_a_link_out_of_the_repository_is_rejected(
        self, repository: Repository, following: Follow, name: str, target: str
    ) -> None:
        link(repository, name, target)
        (finding,) = findings_of(lambda: following(repository.url, path="mail").poll(never))
        assert finding.message.endswith(f"the link {name} leads out of the repository.")

    @pytest.mark.parametrize(
        ("name", "path"),
        [("x.lock", "mail"), ("teams/x.lock", "teams/acme/mail"), ("teams/x.lock", "mail/in")],
    )
    def test_a_named_file_above_the_path_is_no_link_out_of_the_repository(
        self, repository: Repository, following: Follow, name: str, path: str
    ) -> None:
        for file in ("mail/a.yaml", "teams/acme/mail/a.yaml"):
            repository.put(file)
        link(repository, "mail/in", "../teams/acme/mail")
        link(repository, name, "/etc/hosts")
        follower = following(repository.url, names_above=["x.lock"], path=path)
        (finding,) = findings_of(lambda: follower.poll(never))
        assert finding.message.endswith(f"the link {name} leads out of the repository.")

    def test_a_named_file_above_the_path_may_be_a_link_in_the_repository(
        self, repository: Repository, following: Follow
    ) -> None:
        repository.put("mail/a.yaml")
        repository.put("locks/x")
        link(repository, "x.lock", "locks/x")
        tree = following(repository.url, names_above=["x.lock"], path="mail").poll(never)
        assert (Path(tree.root or "") / "x.lock").is_file()

    def test_a_link_out_through_another_link_is_rejected(
        self, repository: Repository, following: Follow
    ) -> None:
        link(repository, "other/out", "/etc")
        link(repository, "mail/in", "../other")
        (finding,) = findings_of(lambda: following(repository.url, path="mail").poll(never))
        assert "mail/in/out" in finding.message

    def test_a_path_that_is_a_link_out_is_rejected(
        self, repository: Repository, following: Follow
    ) -> None:
        link(repository, "mail", "/etc")
        findings_of(lambda: following(repository.url, path="mail").poll(never))
        findings_of(lambda: following(repository.url, state="s2", path="mail/ssl").poll(never))

    def test_a_link_within_the_repository_is_followed(
        self, repository: Repository, following: Follow
    ) -> None:
        repository.commit("other/a.yaml", "y")
        link(repository, "mail/in", "../other")
        tree = following(repository.url, path="mail").poll(never)
        assert (Path(tree.path) / "in/a.yaml").read_text() == "y"

    def test_a_path_through_links_within_the_repository_is_followed(
        self, repository: Repository, following: Follow
    ) -> None:
        repository.commit("teams/acme/mail/a.yaml", "y")
        repository.commit("shared/b.yaml", "z")
        link(repository, "teams/acme/mail/shared", "../../next/to")
        link(repository, "teams/next", "../")
        link(repository, "to", "shared")
        link(repository, "current", "teams/acme")
        tree = following(repository.url, path="current/mail").poll(never)
        assert (Path(tree.path) / "a.yaml").read_text() == "y"
        assert (Path(tree.path) / "shared/b.yaml").read_text() == "z"

    def test_links_that_lead_to_more_and_more_paths_end(
        self, repository: Repository, following: Follow
    ) -> None:
        repository.commit("mail/a.yaml", "y")
        link(repository, "mail/circle", "../circle/x")
        link(repository, "circle", "circle/x")
        tree = following(repository.url, path="mail").poll(never)
        assert (Path(tree.path) / "a.yaml").read_text() == "y"

    def test_a_link_that_is_not_read_is_ignored(
        self, repository: Repository, following: Follow
    ) -> None:
        link(repository, "web/out", "/etc")
        link(repository, "mail/.hidden", "/etc")
        following(repository.url, path="mail").poll(never)


class TestPrograms:
    """Each program would write the file ``ran``."""

    def test_no_hook_runs(
        self, repository: Repository, following: Follow, home: Path, tmp_path: Path
    ) -> None:
        hooks = home / "hooks"
        hooks.mkdir()
        for name in ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc"):
            (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
            (hooks / name).chmod(0o755)
        repository.commit()
        with (home / ".gitconfig").open("a") as config:
            config.write(f"[core]\nhooksPath = {hooks}\n")
        follower = following(repository.url)
        follower.remember(follower.poll(never))
        assert not (tmp_path / "ran").exists()

    def test_no_filter_runs_and_files_are_as_committed(
        self, repository: Repository, following: Follow, home: Path, tmp_path: Path
    ) -> None:
        """Git LFS, line endings and $Id$ would change them."""
        repository.put(".gitattributes", "*.yaml filter=lfs ident eol=crlf text\n")
        repository.commit(text="$Id$\n")
        with (home / ".gitconfig").open("a") as config:
            config.write(f'[filter "lfs"]\nsmudge = touch {tmp_path}/ran; cat\nrequired = true\n')
            config.write("[core]\nautocrlf = true\n")
        tree = following(repository.url).poll(never)
        assert (Path(tree.path) / "a.yaml").read_bytes() == b"$Id$\n"
        assert not (tmp_path / "ran").exists()

    def test_a_submodule_is_an_empty_directory(
        self, repository: Repository, following: Follow, tmp_path: Path
    ) -> None:
        other = Repository(tmp_path / "other")
        other.commit("inner.yaml")
        repository.commit()
        allowed = ["-c", "protocol.file.allow=always"]
        repository.git(*allowed, "submodule", "add", "-q", other.url, "sub")
        repository.commit("b.yaml")
        tree = following(repository.url).poll(never)
        assert list((Path(tree.path) / "sub").iterdir()) == []
        assert tree.submodules == (f"{tree.path}/sub",)

    def test_a_configured_url_that_runs_a_program_is_rejected(
        self, repository: Repository, following: Follow, home: Path, tmp_path: Path
    ) -> None:
        with (home / ".gitconfig").open("a") as config:
            config.write(f'[url "ext::touch {tmp_path}/ran "]\ninsteadOf = {repository.url}\n')
            config.write('[protocol "ext"]\nallow = always\n')
        (finding,) = findings_of(lambda: following(repository.url).poll(never))
        assert "does not allow the protocol" in finding.message
        assert not (tmp_path / "ran").exists()

    def test_variables_of_a_git_hook_are_ignored(
        self,
        repository: Repository,
        following: Follow,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        commit = repository.commit()
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
        monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nowhere/index"))
        monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
        assert following(repository.url).poll(never).commit == commit
        assert not (tmp_path / "trace").exists()


def test_a_file_name_that_the_file_system_does_not_allow_is_reported(
    repository: Repository, following: Follow
) -> None:
    repository.commit("x")
    blob = repository.git("rev-parse", "HEAD:x")
    name = "n" * 300 + ".yaml"
    repository.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    repository.git("commit", "-q", "-m", "long")
    (finding,) = findings_of(lambda: following(repository.url).poll(never))
    assert "cannot be checked out" in finding.message


def test_a_tree_that_would_write_outside_the_checkout_is_rejected(
    repository: Repository, following: Follow, tmp_path: Path
) -> None:
    """git add creates no entry named "..", but the object can be written directly."""
    repository.commit("x")
    tree = repository.git("rev-parse", "HEAD^{tree}")
    entry = b"40000 ..\0" + bytes.fromhex(tree)
    (tmp_path / "entry").write_bytes(entry)
    outer = repository.git(
        "hash-object", "-t", "tree", "-w", "--literally", str(tmp_path / "entry")
    )
    commit = repository.git("commit-tree", "-m", "evil", outer)
    repository.git("update-ref", "refs/heads/main", commit)
    findings_of(lambda: following(repository.url).poll(never))
    assert list(tmp_path.rglob("state/**/x")) == []


def commit_of_entries(repository: Repository, tmp_path: Path, *names: str) -> str:
    """A commit of entries that git itself would not write: files, and directories that end with a
    slash."""
    repository.commit("x")
    blob = repository.git("rev-parse", "HEAD:x")
    tree = repository.git("rev-parse", "HEAD^{tree}")
    data = b""
    for name in names:
        mode, target = ("40000", tree) if name.endswith("/") else ("100644", blob)
        data += f"{mode} {name.removesuffix('/')}".encode() + b"\0" + bytes.fromhex(target)
    (tmp_path / "tree").write_bytes(data)
    outer = repository.git("hash-object", "-t", "tree", "-w", "--literally", f"{tmp_path}/tree")
    commit = repository.git("commit-tree", "-m", "x", outer)
    repository.git("update-ref", "refs/heads/main", commit)
    return commit


@pytest.mark.parametrize(
    ("names", "reported"),
    [
        ([".git", "a.yaml"], ".git (hasDotgit)"),
        (["a/", ".GIT/"], ".GIT (hasDotgit)"),
        (["../"], ".. (hasDotdot)"),
        (["./"], ". (hasDot)"),
        (["a.yaml", "a.yaml"], "a.yaml (duplicateEntries)"),
        (["a", "a/"], "a (duplicateEntries)"),
        (["a/", "a/"], "a (duplicateEntries)"),
        (["a/", "a/x"], "a/x (duplicateEntries)"),
        (["a/b.yaml"], "a/b.yaml (fullPathname)"),
    ],
    ids=str,
)
def test_a_commit_that_git_unfolds_in_one_way_of_several_is_refused(
    repository: Repository,
    following: Follow,
    tmp_path: Path,
    names: list[str],
    reported: str,
) -> None:
    good = repository.commit("x")
    follower = following(repository.url)
    follower.remember(follower.poll(never))
    commit_of_entries(repository, tmp_path, *names)
    (finding,) = findings_of(lambda: follower.poll(never))
    assert finding.code == "source-unreachable"
    assert " cannot be checked out: it has " in finding.message
    assert finding.message.endswith(f" {reported}.")
    last_good = follower.last_good(never)
    assert last_good is not None
    assert last_good.commit == good


def test_a_tag_that_a_server_sends_for_a_branch_is_followed_by_its_commit(
    repository: Repository, following: Follow
) -> None:
    """git allows no tag there, but a server may send one."""
    commit = repository.commit()
    repository.git("tag", "-a", "-m", "x", "v1")
    branch = repository.directory / ".git" / repository.git("symbolic-ref", "HEAD")
    branch.write_text(repository.git("rev-parse", "v1") + "\n")
    for _ in range(2):
        follower = following(repository.url)
        assert [follower.poll(never).commit for _ in range(2)] == [commit] * 2
        follower.close()
