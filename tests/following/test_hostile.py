"""What a repository, a URL or a name may hold, and must not get by it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sendroute.following.directory import Directory
from sendroute.following.follower import Follower
from sendroute.following.git import GitOptions
from sendroute.following.source import follow
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError

from .conftest import Repository, RunOptions, never

SECRET = "hunter2hunter2"


def findings_of(made: Callable[[], object]) -> tuple[Finding, ...]:
    with pytest.raises(ProblemError) as caught:
        made()
    assert all(found.hint for found in caught.value.findings)
    assert SECRET not in repr(caught.value.findings)
    assert SECRET not in str(caught.value)
    return caught.value.findings


def link(repository: Repository, name: str, target: str) -> None:
    path = repository.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    repository.commit()


class TestTyped:
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
    def test_a_secret_in_a_url_is_refused_and_not_repeated(self, url: str) -> None:
        (found,) = findings_of(lambda: follow(url, GitOptions()))
        assert found.message == "The git URL holds a password or token."

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
    def test_what_is_no_source_is_told(self, url: str) -> None:
        findings_of(lambda: follow(url, GitOptions()))

    @pytest.mark.parametrize("url", ["http://git.example.com/x", "git://git.example.com/x"])
    def test_an_open_way_needs_signatures(self, url: str, following: RunOptions) -> None:
        (found,) = findings_of(lambda: follow(url, GitOptions()))
        assert "--verify-signatures" in (found.hint or "")
        following(url, verify_signatures=True)

    @pytest.mark.parametrize(
        "branch",
        ["-b", "--upload-pack=x", "a..b", "a b", "a:b", "a\x1b[1m", "x.lock", "", "a@{1}", "/a"],
    )
    def test_what_is_no_branch_is_told(self, branch: str, repository: Repository) -> None:
        findings_of(lambda: follow(repository.url, GitOptions(branch=branch)))

    @pytest.mark.parametrize("path", ["/etc", "../x", "a/../../x", "a\nb"])
    def test_what_is_no_path_within_is_told(self, path: str, repository: Repository) -> None:
        findings_of(lambda: follow(repository.url, GitOptions(path=path)))

    def test_all_that_is_wrong_is_told_at_once(self, repository: Repository) -> None:
        desired = GitOptions(branch="-b", path="/etc", allowed_signers="/nowhere")
        assert len(findings_of(lambda: follow(repository.url, desired))) == 4

    def test_a_folder_takes_no_options_of_git(self, tmp_path: Path) -> None:
        desired = GitOptions(branch="main", verify_signatures=True)
        assert len(findings_of(lambda: follow(str(tmp_path), desired))) == 2

    def test_a_work_tree_is_followed_as_a_folder(self, repository: Repository) -> None:
        repository.commit()
        follower: Follower = follow(str(repository.folder), GitOptions())
        assert isinstance(follower, Directory)
        assert follower.look(never).commit is None


class TestLinks:
    @pytest.mark.parametrize(
        ("name", "target"),
        [
            ("mail/a.yaml", "/etc/hosts"),
            ("mail/a.yaml", "../../../../../../../../etc/hosts"),
            ("mail/folder", "/etc"),
            ("mail/folder", "/not/there/yet"),
            ("mail/README", "/etc/hosts"),
        ],
    )
    def test_one_that_leads_out_is_refused(
        self, repository: Repository, following: RunOptions, name: str, target: str
    ) -> None:
        link(repository, name, target)
        (found,) = findings_of(lambda: following(repository.url, path="mail").look(never))
        assert found.message.endswith(f"the link {name} leads out of the repository.")

    def test_one_that_leads_out_by_another_is_refused(
        self, repository: Repository, following: RunOptions
    ) -> None:
        link(repository, "other/out", "/etc")
        link(repository, "mail/in", "../other")
        (found,) = findings_of(lambda: following(repository.url, path="mail").look(never))
        assert "mail/in/out" in found.message

    def test_a_path_that_is_one_is_refused(
        self, repository: Repository, following: RunOptions
    ) -> None:
        link(repository, "mail", "/etc")
        findings_of(lambda: following(repository.url, path="mail").look(never))
        findings_of(lambda: following(repository.url, state="s2", path="mail/ssl").look(never))

    def test_one_within_is_followed(self, repository: Repository, following: RunOptions) -> None:
        repository.commit("other/a.yaml", "y")
        link(repository, "mail/in", "../other")
        tree = following(repository.url, path="mail").look(never)
        assert (Path(tree.path) / "in/a.yaml").read_text() == "y"

    def test_one_that_nobody_reads_is_no_matter(
        self, repository: Repository, following: RunOptions
    ) -> None:
        link(repository, "web/out", "/etc")
        link(repository, "mail/.hidden", "/etc")
        following(repository.url, path="mail").look(never)


class TestPrograms:
    """Each would write the file ``ran`` if it came to run."""

    def test_no_hook_runs(
        self, repository: Repository, following: RunOptions, home: Path, tmp_path: Path
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
        follower.keep(follower.look(never))
        assert not (tmp_path / "ran").exists()

    def test_no_filter_runs_and_no_byte_is_changed(
        self, repository: Repository, following: RunOptions, home: Path, tmp_path: Path
    ) -> None:
        """As LFS would, or line ends for another system."""
        repository.put(".gitattributes", "*.yaml filter=lfs ident eol=crlf text\n")
        repository.commit(text="$Id$\n")
        with (home / ".gitconfig").open("a") as config:
            config.write(f'[filter "lfs"]\nsmudge = touch {tmp_path}/ran; cat\nrequired = true\n')
            config.write("[core]\nautocrlf = true\n")
        tree = following(repository.url).look(never)
        assert (Path(tree.path) / "a.yaml").read_bytes() == b"$Id$\n"
        assert not (tmp_path / "ran").exists()

    def test_a_submodule_is_an_empty_folder(
        self, repository: Repository, following: RunOptions, tmp_path: Path
    ) -> None:
        other = Repository(tmp_path / "other")
        other.commit("inner.yaml")
        repository.commit()
        allowed = ["-c", "protocol.file.allow=always"]
        repository.git(*allowed, "submodule", "add", "-q", other.url, "sub")
        repository.commit("b.yaml")
        tree = following(repository.url).look(never)
        assert list((Path(tree.path) / "sub").iterdir()) == []

    def test_a_configuration_that_leads_to_a_program_is_not_followed(
        self, repository: Repository, following: RunOptions, home: Path, tmp_path: Path
    ) -> None:
        with (home / ".gitconfig").open("a") as config:
            config.write(f'[url "ext::touch {tmp_path}/ran "]\ninsteadOf = {repository.url}\n')
            config.write('[protocol "ext"]\nallow = always\n')
        (found,) = findings_of(lambda: following(repository.url).look(never))
        assert "may not use that protocol" in found.message
        assert not (tmp_path / "ran").exists()

    def test_a_variable_of_a_hook_leads_nowhere(
        self,
        repository: Repository,
        following: RunOptions,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        commit = repository.commit()
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
        monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nowhere/index"))
        monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
        assert following(repository.url).look(never).commit == commit
        assert not (tmp_path / "trace").exists()


def test_a_name_that_this_file_system_does_not_take_is_told(
    repository: Repository, following: RunOptions
) -> None:
    repository.commit("x")
    blob = repository.git("rev-parse", "HEAD:x")
    name = "n" * 300 + ".yaml"
    repository.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    repository.git("commit", "-q", "-m", "long")
    (found,) = findings_of(lambda: following(repository.url).look(never))
    assert "cannot be checked out" in found.message


def test_a_tree_that_would_write_elsewhere_is_told(
    repository: Repository, following: RunOptions, tmp_path: Path
) -> None:
    """A folder named .. cannot be made by git add, but by whoever writes objects."""
    repository.commit("x")
    tree = repository.git("rev-parse", "HEAD^{tree}")
    entry = b"40000 ..\0" + bytes.fromhex(tree)
    (tmp_path / "entry").write_bytes(entry)
    outer = repository.git(
        "hash-object", "-t", "tree", "-w", "--literally", str(tmp_path / "entry")
    )
    commit = repository.git("commit-tree", "-m", "evil", outer)
    repository.git("update-ref", "refs/heads/main", commit)
    findings_of(lambda: following(repository.url).look(never))
    assert list(tmp_path.rglob("state/**/x")) == []
