"""Commits signed with ssh-keygen and gpg: which ones are accepted."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sendroute.model.problem import ProblemError

from .conftest import Follow, Repository, never

SSH = ("-c", "gpg.format=ssh")


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The keys ``ours`` and ``theirs``, and a file of allowed signers that lists ``ours``."""
    directory = tmp_path / "keys"
    directory.mkdir()
    for name in ("ours", "theirs"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(directory / name))
    allow(directory, "")
    return directory


def allow(keys: Path, options: str, name: str = "ours") -> None:
    public = (keys / f"{name}.pub").read_text()
    (keys / "allowed").write_text(f"a@example.com {options} {public}")


def signed(repository: Repository, key: Path, *options: str) -> str:
    repository.put("a.yaml", key.name)
    repository.git("add", "-A")
    arguments = ["commit", "-q", "--allow-empty", "-m", "x", "-S", *options]
    repository.git(*SSH, "-c", f"user.signingKey={key}", *arguments)
    return repository.git("rev-parse", "HEAD")


def altered(repository: Repository, commit: str, before: bytes, after: bytes) -> str:
    """A commit with other content under the same signature."""
    content = subprocess.run(
        ["git", "-C", str(repository.directory), "cat-file", "commit", commit],
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    assert before in content
    path = repository.directory.parent / "altered"
    path.write_bytes(content.replace(before, after))
    object_name = repository.git("hash-object", "-t", "commit", "-w", str(path))
    repository.git("update-ref", "refs/heads/main", object_name)
    return object_name


class TestSsh:
    @pytest.fixture
    def follower(self, repository: Repository, following: Follow, keys: Path) -> object:
        repository.commit(text="unsigned")
        return following(
            repository.url, verify_signatures=True, allowed_signers=str(keys / "allowed")
        )

    @staticmethod
    def refused(follower: object) -> str:
        with pytest.raises(ProblemError) as caught:
            follower.poll(never)  # type: ignore[attr-defined]
        (finding,) = caught.value.findings
        assert finding.code == "unsigned-commit"
        assert finding.hint
        return finding.message

    def accepted_commit(self, follower: object) -> str:
        return follower.poll(never).commit  # type: ignore[attr-defined, no-any-return]

    def test_a_commit_by_an_allowed_key_is_accepted(
        self, follower: object, repository: Repository, keys: Path
    ) -> None:
        commit = signed(repository, keys / "ours")
        assert self.accepted_commit(follower) == commit

    def test_an_unsigned_commit_is_rejected(self, follower: object, repository: Repository) -> None:
        commit = repository.commit()
        assert self.refused(follower) == f"Commit {commit} is not signed."

    def test_a_commit_by_another_key_is_rejected(
        self, follower: object, repository: Repository, keys: Path
    ) -> None:
        commit = signed(repository, keys / "theirs")
        assert self.refused(follower).startswith(
            f"Commit {commit} has no valid signature by an allowed key"
        )

    def test_a_key_that_is_allowed_in_another_namespace_is_rejected(
        self, follower: object, repository: Repository, keys: Path
    ) -> None:
        allow(keys, 'namespaces="file"')
        signed(repository, keys / "ours")
        self.refused(follower)

    @pytest.mark.parametrize("first_line", ["", "# ours\n"])
    def test_a_byte_order_mark_in_the_file_of_signers_is_no_content(
        self, follower: object, repository: Repository, keys: Path, first_line: str
    ) -> None:
        allowed = keys / "allowed"
        allowed.write_bytes(f"\ufeff{first_line}{allowed.read_text()}".encode())
        commit = signed(repository, keys / "ours")
        assert self.accepted_commit(follower) == commit
        signed(repository, keys / "theirs")
        self.refused(follower)

    @pytest.mark.parametrize(
        ("replace", "reason"),
        [
            (os.mkfifo, "it is not a regular file"),
            (lambda path: Path(path).symlink_to("/dev/zero"), "it is not a regular file"),
            (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 1 << 32), "has more"),
            (lambda _: None, "no such file or directory"),
        ],
    )
    def test_signers_that_cannot_be_read_are_reported(
        self,
        follower: object,
        following: Follow,
        repository: Repository,
        keys: Path,
        replace: Callable[[str], None],
        reason: str,
    ) -> None:
        """A pipe has no end, and a file without an end read for ever."""
        signed(repository, keys / "ours")
        allowed = str(keys / "allowed")
        Path(allowed).unlink()
        replace(allowed)
        for call in (
            lambda: follower.poll(never),  # type: ignore[attr-defined]
            lambda: following(
                repository.url, state="new", verify_signatures=True, allowed_signers=allowed
            ),
        ):
            with pytest.raises(ProblemError) as caught:
                call()
            (finding,) = caught.value.findings
            assert finding.code == "unreadable"
            assert reason in finding.message
            assert finding.hint

    def test_an_expired_key_is_rejected(
        self, follower: object, repository: Repository, keys: Path
    ) -> None:
        allow(keys, 'valid-before="20200101"')
        signed(repository, keys / "ours")
        self.refused(follower)

    @pytest.mark.parametrize(
        ("validity", "dated"),
        [('valid-before="20200101"', "2019-06-01"), ('valid-after="20900101"', "2090-06-01")],
    )
    def test_the_date_of_the_commit_does_not_make_a_key_valid(
        self,
        follower: object,
        repository: Repository,
        keys: Path,
        monkeypatch: pytest.MonkeyPatch,
        validity: str,
        dated: str,
    ) -> None:
        allow(keys, validity)
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"{dated}T00:00:00Z")
        signed(repository, keys / "ours")
        self.refused(follower)
        allow(keys, 'valid-after="20200101",valid-before="20900101"')
        self.accepted_commit(follower)

    def test_a_commit_that_was_seen_while_its_key_was_valid_stays_accepted(
        self, repository: Repository, following: Follow, keys: Path, tmp_path: Path
    ) -> None:
        options = {"verify_signatures": True, "allowed_signers": str(keys / "allowed")}
        commit = signed(repository, keys / "ours")
        first = following(repository.url, **options)
        first.remember(first.poll(never))
        first.close()
        seen = tmp_path / "state/sendroute-source/first-seen.json"
        assert list(json.loads(seen.read_text())) == [commit]
        seen.write_text(json.dumps({commit: datetime(2019, 6, 1, tzinfo=UTC).timestamp()}))
        allow(keys, 'valid-before="20200101"')
        second = following(repository.url, **options)
        assert second.poll(never).commit == commit
        good = second.last_good(never)
        assert good is not None
        assert good.commit == commit
        signed(repository, keys / "ours", "--date=2019-06-01T00:00:00Z")
        self.refused(second)

    def test_a_revoked_key_is_rejected(
        self, follower: object, repository: Repository, keys: Path, home: Path
    ) -> None:
        signed(repository, keys / "ours")
        with (home / ".gitconfig").open("a") as config:
            config.write(f'[gpg "ssh"]\nrevocationFile = {keys}/ours.pub\n')
        self.refused(follower)

    def test_a_second_signature_is_rejected(
        self, follower: object, repository: Repository, keys: Path
    ) -> None:
        commit = signed(repository, keys / "ours")
        end = b"-----END SSH SIGNATURE-----\n"
        altered(repository, commit, end, end + b"gpgsig-sha256 x\n")
        self.refused(follower)

    def test_another_tree_under_a_valid_signature_is_rejected(
        self, follower: object, repository: Repository, keys: Path
    ) -> None:
        commit = signed(repository, keys / "ours")
        tree = repository.git("rev-parse", f"{commit}^{{tree}}")
        repository.put("evil.yaml")
        repository.git("add", "-A")
        evil = repository.git("write-tree")
        altered(repository, commit, tree.encode(), evil.encode())
        self.refused(follower)

    def test_a_signature_in_the_commit_message_does_not_count(
        self, follower: object, repository: Repository
    ) -> None:
        message = "x\n\ngpgsig -----BEGIN SSH SIGNATURE-----\n -----END SSH SIGNATURE-----"
        commit = repository.commit("a.yaml", "y", "-m", message)
        assert self.refused(follower) == f"Commit {commit} is not signed."

    def test_a_commit_is_accepted_once_its_key_is_allowed(
        self, follower: object, repository: Repository, keys: Path
    ) -> None:
        commit = signed(repository, keys / "theirs")
        self.refused(follower)
        allow(keys, "", "theirs")
        assert self.accepted_commit(follower) == commit

    def test_the_previous_tree_stays_when_the_next_is_rejected(
        self, follower: object, repository: Repository, keys: Path
    ) -> None:
        signed(repository, keys / "ours")
        before = follower.poll(never)  # type: ignore[attr-defined]
        repository.commit(text="unsigned")
        self.refused(follower)
        assert (Path(before.path) / "a.yaml").read_text() == "ours"

    def test_the_last_good_commit_is_verified_too(
        self, repository: Repository, following: Follow, keys: Path
    ) -> None:
        repository.commit(text="unsigned")
        first = following(repository.url)
        first.remember(first.poll(never))
        first.close()
        second = following(
            repository.url, verify_signatures=True, allowed_signers=str(keys / "allowed")
        )
        with pytest.raises(ProblemError):
            second.last_good(never)

    def test_the_allowed_signers_of_the_users_configuration_count(
        self, repository: Repository, following: Follow, keys: Path, home: Path
    ) -> None:
        with (home / ".gitconfig").open("a") as config:
            config.write(f'[gpg "ssh"]\nallowedSignersFile = {keys}/allowed\n')
        commit = signed(repository, keys / "ours")
        follower = following(repository.url, verify_signatures=True)
        assert follower.poll(never).commit == commit
        signed(repository, keys / "theirs")
        self.refused(follower)

    def test_a_repository_of_sha256_is_verified(
        self, tmp_path: Path, following: Follow, keys: Path
    ) -> None:
        repository = Repository(tmp_path / "origin", "--object-format=sha256")
        commit = signed(repository, keys / "ours")
        follower = following(
            repository.url, verify_signatures=True, allowed_signers=str(keys / "allowed")
        )
        assert follower.poll(never).commit == commit
        repository.commit(text="unsigned")
        self.refused(follower)


class TestGpg:
    @pytest.fixture
    def keyring(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        # Not in tmp_path: the socket of gpg's agent takes 107 characters (unix(7)).
        directory = Path(run("mktemp", "-d").strip())
        monkeypatch.setenv("GNUPGHOME", str(directory))
        yield directory
        run("gpgconf", "--kill", "all")
        shutil.rmtree(directory, ignore_errors=True)

    @staticmethod
    def key(name: str, *options: str, expires: str = "never") -> None:
        silent = ["--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"]
        address = f"{name}@example.com"
        run("gpg", *silent, *options, "--quick-generate-key", address, "ed25519", "sign", expires)

    @staticmethod
    def commit(repository: Repository, name: str, *options: str) -> str:
        repository.put("a.yaml", name)
        repository.git("add", "-A")
        signer = f"user.signingKey={name}@example.com"
        repository.git(*options, "-c", signer, "commit", "-q", "-m", name, "-S")
        return repository.git("rev-parse", "HEAD")

    def test_only_a_key_in_the_keyring_is_accepted(
        self, repository: Repository, following: Follow, keyring: Path
    ) -> None:
        assert keyring.is_dir()
        self.key("ours")
        self.key("theirs")
        commit = self.commit(repository, "ours")
        follower = following(repository.url, verify_signatures=True)
        assert follower.poll(never).commit == commit
        self.commit(repository, "theirs")
        theirs = run("gpg", "--batch", "--with-colons", "--list-keys", "theirs@example.com")
        fingerprint = next(line for line in theirs.splitlines() if line.startswith("fpr")).split(
            ":"
        )[9]
        run("gpg", "--batch", "--yes", "--delete-secret-and-public-key", fingerprint)
        assert "has no valid signature by an allowed key" in TestSsh.refused(follower)

    def test_an_expired_key_is_rejected(
        self, repository: Repository, following: Follow, keyring: Path
    ) -> None:
        then = "--faked-system-time=20200101T000000!"
        self.key("ours", then, expires="1d")
        gpg = keyring / "gpg"
        gpg.write_text(f'#!/bin/sh\nexec gpg {then} "$@"\n')
        gpg.chmod(0o755)
        self.commit(repository, "ours", "-c", f"gpg.program={gpg}")
        follower = following(repository.url, verify_signatures=True)
        assert "has no valid signature by an allowed key" in TestSsh.refused(follower)

    def test_with_allowed_signers_the_keyring_does_not_count(
        self, repository: Repository, following: Follow, keyring: Path, keys: Path
    ) -> None:
        assert keyring.is_dir()
        self.key("ours")
        self.commit(repository, "ours")
        follower = following(
            repository.url, verify_signatures=True, allowed_signers=str(keys / "allowed")
        )
        TestSsh.refused(follower)
