"""The state directory, of which another user could own or change a part."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sendroute.following.state import SUBDIRECTORY
from sendroute.model.problem import ProblemError

from .conftest import Follow, Repository, never

STRANGER = 65534
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


def reason(call: Callable[[], object]) -> str:
    with pytest.raises(ProblemError) as caught:
        call()
    (finding,) = caught.value.findings
    assert finding.code == "unwritable"
    return finding.message


class TestWhoCouldReplaceIt:
    @only_root
    @pytest.mark.parametrize("owned", ["state", "."])
    def test_a_directory_below_that_of_another_user_is_refused(
        self, repository: Repository, following: Follow, tmp_path: Path, owned: str
    ) -> None:
        directory = tmp_path / "above/state"
        directory.mkdir(parents=True)
        os.chown(tmp_path / "above" / owned, STRANGER, -1)
        message = reason(lambda: following(repository.url, state="above/state"))
        assert f"{(tmp_path / 'above' / owned)} belongs to another user." in message

    def test_a_directory_in_which_others_may_rename_files_is_refused(
        self, repository: Repository, following: Follow, tmp_path: Path
    ) -> None:
        directory = tmp_path / "state"
        directory.mkdir()
        directory.chmod(0o777)
        message = reason(lambda: following(repository.url))
        assert f"is not safe: other users may write to {directory}." in message
        directory.chmod(0o1777)  # as /tmp: only owners rename
        repository.commit()
        assert following(repository.url).poll(never)

    @only_root
    def test_a_directory_that_a_foreign_group_may_write_is_refused(
        self, repository: Repository, following: Follow, tmp_path: Path
    ) -> None:
        directory = tmp_path / "state"
        directory.mkdir()
        directory.chmod(0o2775)
        os.chown(directory, -1, 4242)
        assert "other users may write" in reason(lambda: following(repository.url))

    @only_root
    def test_a_link_leads_past_the_directory_of_another_user(
        self, repository: Repository, following: Follow, tmp_path: Path
    ) -> None:
        (tmp_path / "theirs/state").mkdir(parents=True)
        os.chown(tmp_path / "theirs", STRANGER, -1)
        (tmp_path / "state").symlink_to("theirs/state")
        assert "belongs to another user" in reason(lambda: following(repository.url))

    def test_a_directory_that_was_replaced_is_not_used(
        self, repository: Repository, following: Follow, tmp_path: Path
    ) -> None:
        repository.commit()
        follower = following(repository.url)
        follower.poll(never)
        directory = tmp_path / "state" / SUBDIRECTORY
        directory.rename(tmp_path / "moved")
        directory.mkdir()
        repository.commit(text="newer")
        assert "it was moved or deleted" in reason(lambda: follower.poll(never))
        assert list(directory.iterdir()) == []


class TestWhatAnotherUserPutThere:
    def plant(self, repository: Repository, top: Path, marker: Path) -> None:
        """Name a program wherever git looks for one."""
        program = marker.with_suffix(".sh")
        program.write_text(f'#!/bin/sh\ntouch {marker}\nexec git-upload-pack "$@"\n')
        program.chmod(0o755)
        with (top / "repository/config").open("a") as config:
            config.write(
                f'[remote "{repository.url}"]\n\tuploadpack = {program}\n'
                f"[core]\n\tfsmonitor = {program}\n\tsshCommand = {program}\n"
                f"\talternateRefsCommand = {program}\n\tgitProxy = {program}\n"
                f"[credential]\n\thelper = !{program}\n"
                '[url "file:///nowhere"]\n\tinsteadOf = file://\n'
            )
        hooks = top / "repository/hooks"
        hooks.mkdir(exist_ok=True)
        for name in ("reference-transaction", "post-index-change", "pre-auto-gc"):
            (hooks / name).symlink_to(program)

    def prepared(self, repository: Repository, following: Follow, tmp_path: Path) -> Path:
        """A state directory that an earlier process left, with programs planted in it."""
        repository.commit(text="good")
        first = following(repository.url)
        first.remember(first.poll(never))
        first.close()
        top = tmp_path / "state" / SUBDIRECTORY
        self.plant(repository, top, tmp_path / "ran")
        return top

    def test_what_a_member_of_the_own_group_planted_is_not_run(
        self, repository: Repository, following: Follow, tmp_path: Path
    ) -> None:
        """The kubelet gives the own group all rights at each start (fsGroup): what was fetched
        is kept nevertheless."""
        top = self.prepared(repository, following, tmp_path)
        top.chmod(0o2770)
        newer = repository.commit(text="newer")
        follower = following(repository.url)
        good = follower.last_good(never)
        assert good is not None
        assert good.commit != newer
        assert follower.poll(never).commit == newer
        assert not (tmp_path / "ran").exists()
        assert not (top / "repository/hooks").exists()

    def test_another_repository_is_not_obeyed(
        self, repository: Repository, following: Follow, tmp_path: Path
    ) -> None:
        """`commondir` names the repository whose configuration counts."""
        top = self.prepared(repository, following, tmp_path)
        (top / "repository").rename(tmp_path / "theirs")
        (top / "repository").mkdir()
        (top / "repository/HEAD").write_text("ref: refs/heads/main\n")
        (top / "repository/config").write_text("[core]\n\tbare = true\n")
        (top / "repository/commondir").write_text(f"{tmp_path / 'theirs'}\n")
        newer = repository.commit(text="newer")
        assert following(repository.url).poll(never).commit == newer
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("name", ["repository", "first-seen.json", "repository/objects"])
    def test_what_a_link_leads_to_stays_as_it_is(
        self, repository: Repository, following: Follow, tmp_path: Path, name: str
    ) -> None:
        top = self.prepared(repository, following, tmp_path)
        theirs = tmp_path / "theirs"
        (theirs / "sub").mkdir(parents=True)
        for file in ("HEAD", "a.txt", "config", "sub/b.txt"):
            (theirs / file).write_text("theirs")
        if (top / name).exists():
            (top / name).rename(tmp_path / "moved")
        (top / name).symlink_to(theirs)
        newer = repository.commit(text="newer")
        assert following(repository.url).poll(never).commit == newer
        left = sorted(str(path.relative_to(theirs)) for path in theirs.rglob("*"))
        assert left == ["HEAD", "a.txt", "config", "sub", "sub/b.txt"]
        assert {path.read_text() for path in theirs.rglob("*") if path.is_file()} == {"theirs"}
        assert not (top / name).is_symlink()

    def test_a_repository_without_a_plain_configuration_is_fetched_again(
        self, repository: Repository, following: Follow, tmp_path: Path
    ) -> None:
        top = self.prepared(repository, following, tmp_path)
        config = top / "repository/config"
        config.rename(tmp_path / "config")
        config.symlink_to(tmp_path / "config")
        (top / "repository/objects/info").mkdir(exist_ok=True)
        (top / "repository/objects/info/alternates").write_text("/nowhere\n")
        newer = repository.commit(text="newer")
        assert following(repository.url).poll(never).commit == newer
        assert not config.is_symlink()
        assert not (tmp_path / "ran").exists()

    def test_a_repository_keeps_its_object_format(self, following: Follow, tmp_path: Path) -> None:
        repository = Repository(tmp_path / "sha256", "--object-format=sha256")
        repository.commit()
        first = following(repository.url)
        first.remember(first.poll(never))
        first.close()
        assert following(repository.url).last_good(never)

    @only_root
    def test_nothing_is_kept_that_a_foreign_group_could_write(
        self,
        repository: Repository,
        following: Follow,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        top = self.prepared(repository, following, tmp_path)
        (top / "first-seen.json").write_text("{}")
        (top / ".git").mkdir()
        os.chown(top, -1, 4242)
        top.chmod(0o2770)
        follower = following(repository.url)
        assert [path.name for path in top.iterdir()] == ["trees"]
        assert "Other users could change" in caplog.text
        assert follower.last_good(never) is None
        assert follower.poll(never)
        assert not (tmp_path / "ran").exists()

    @only_root
    @pytest.mark.parametrize("name", ["repository", "first-seen.json", ".git"])
    def test_what_another_user_owns_is_deleted(
        self, repository: Repository, following: Follow, tmp_path: Path, name: str
    ) -> None:
        top = self.prepared(repository, following, tmp_path)
        (top / name).mkdir(exist_ok=True)
        os.chown(top / name, STRANGER, -1)
        following(repository.url)
        assert not (top / name).exists()
