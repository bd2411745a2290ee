"""Signed commits, by ssh-keygen and gpg themselves: whose are taken, and whose are not."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sendroute.model.problem import ProblemError

from .conftest import Repository, RunOptions, never

SSH = ("-c", "gpg.format=ssh")


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """``ours`` and ``theirs``, and the file of allowed signers, which lists ours."""
    folder = tmp_path / "keys"
    folder.mkdir()
    for name in ("ours", "theirs"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name))
    allow(folder, "")
    return folder


def allow(keys: Path, options: str, name: str = "ours") -> None:
    public = (keys / f"{name}.pub").read_text()
    (keys / "allowed").write_text(f"a@example.com {options} {public}")


def signed(repository: Repository, key: Path, *options: str) -> str:
    repository.put("a.yaml", key.name)
    repository.git("add", "-A")
    words = ["commit", "-q", "--allow-empty", "-m", "x", "-S", *options]
    repository.git(*SSH, "-c", f"user.signingKey={key}", *words)
    return repository.git("rev-parse", "HEAD")


def altered(repository: Repository, commit: str, before: bytes, after: bytes) -> str:
    """The commit with other content under the same signature."""
    content = subprocess.run(
        ["git", "-C", str(repository.folder), "cat-file", "commit", commit],
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    assert before in content
    path = repository.folder.parent / "altered"
    path.write_bytes(content.replace(before, after))
    made = repository.git("hash-object", "-t", "commit", "-w", str(path))
    repository.git("update-ref", "refs/heads/main", made)
    return made


class TestSsh:
    @pytest.fixture
    def follower(self, repository: Repository, following: RunOptions, keys: Path) -> object:
        repository.commit(text="unsigned")
        return following(
            repository.url, verify_signatures=True, allowed_signers=str(keys / "allowed")
        )

    @staticmethod
    def refused(follower: object) -> str:
        with pytest.raises(ProblemError) as caught:
            follower.look(never)  # type: ignore[attr-defined]
        (found,) = caught.value.findings
        assert found.code == "unsigned-commit"
        assert found.hint
        return found.message

    def taken(self, follower: object) -> str:
        return follower.look(never).commit  # type: ignore[attr-defined, no-any-return]

    def test_one_by_an_allowed_key_is_taken(
        self, follower: object, repository: Repository, keys: Path
    ) -> None:
        commit = signed(repository, keys / "ours")
        assert self.taken(follower) == commit

    def test_one_without_a_signature_is_refused(
        self, follower: object, repository: Repository
    ) -> None:
        commit = repository.commit()
        assert self.refused(follower) == f"Commit {commit} is not signed."

    def test_one_by_another_key_is_refused(
        self, follower: object, repository: Repository, keys: Path
    ) -> None:
        commit = signed(repository, keys / "theirs")
        assert self.refused(follower).startswith(
            f"Commit {commit} has no valid signature by an allowed key"
        )

    def test_a_key_that_is_allowed_for_something_else_is_refused(
        self, follower: object, repository: Repository, keys: Path
    ) -> None:
        allow(keys, 'namespaces="file"')
        signed(repository, keys / "ours")
        self.refused(follower)

    def test_a_key_that_has_expired_is_refused(
        self, follower: object, repository: Repository, keys: Path
    ) -> None:
        allow(keys, 'valid-before="20200101"')
        signed(repository, keys / "ours")
        self.refused(follower)

    def test_a_tree_that_was_put_under_a_signature_is_refused(
        self, follower: object, repository: Repository, keys: Path
    ) -> None:
        commit = signed(repository, keys / "ours")
        tree = repository.git("rev-parse", f"{commit}^{{tree}}")
        repository.put("evil.yaml")
        repository.git("add", "-A")
        evil = repository.git("write-tree")
        altered(repository, commit, tree.encode(), evil.encode())
        self.refused(follower)

    def test_a_signature_in_the_message_is_none(
        self, follower: object, repository: Repository
    ) -> None:
        message = "x\n\ngpgsig -----BEGIN SSH SIGNATURE-----\n -----END SSH SIGNATURE-----"
        commit = repository.commit("a.yaml", "y", "-m", message)
        assert self.refused(follower) == f"Commit {commit} is not signed."

    def test_a_key_that_is_allowed_later_lets_the_commit_in(
        self, follower: object, repository: Repository, keys: Path
    ) -> None:
        commit = signed(repository, keys / "theirs")
        self.refused(follower)
        allow(keys, "", "theirs")
        assert self.taken(follower) == commit

    def test_the_tree_before_stays_when_the_next_is_refused(
        self, follower: object, repository: Repository, keys: Path
    ) -> None:
        signed(repository, keys / "ours")
        before = follower.look(never)  # type: ignore[attr-defined]
        repository.commit(text="unsigned")
        self.refused(follower)
        assert (Path(before.path) / "a.yaml").read_text() == "ours"

    def test_a_last_good_one_is_judged_as_well(
        self, repository: Repository, following: RunOptions, keys: Path
    ) -> None:
        repository.commit(text="unsigned")
        first = following(repository.url)
        first.keep(first.look(never))
        first.close()
        second = following(
            repository.url, verify_signatures=True, allowed_signers=str(keys / "allowed")
        )
        with pytest.raises(ProblemError):
            second.last_good(never)

    def test_the_signers_of_ones_own_configuration_are_asked(
        self, repository: Repository, following: RunOptions, keys: Path, home: Path
    ) -> None:
        with (home / ".gitconfig").open("a") as config:
            config.write(f'[gpg "ssh"]\nallowedSignersFile = {keys}/allowed\n')
        commit = signed(repository, keys / "ours")
        follower = following(repository.url, verify_signatures=True)
        assert follower.look(never).commit == commit
        signed(repository, keys / "theirs")
        self.refused(follower)

    def test_a_repository_of_sha256_is_verified(
        self, tmp_path: Path, following: RunOptions, keys: Path
    ) -> None:
        repository = Repository(tmp_path / "origin", "--object-format=sha256")
        commit = signed(repository, keys / "ours")
        follower = following(
            repository.url, verify_signatures=True, allowed_signers=str(keys / "allowed")
        )
        assert follower.look(never).commit == commit
        repository.commit(text="unsigned")
        self.refused(follower)


class TestGpg:
    @pytest.fixture
    def keyring(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        # Not in tmp_path: the socket of gpg's agent takes 107 characters (unix(7)).
        folder = Path(run("mktemp", "-d").strip())
        monkeypatch.setenv("GNUPGHOME", str(folder))
        yield folder
        run("gpgconf", "--kill", "all")
        shutil.rmtree(folder, ignore_errors=True)

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

    def test_a_key_of_the_keyring_is_taken_and_one_that_left_it_is_refused(
        self, repository: Repository, following: RunOptions, keyring: Path
    ) -> None:
        assert keyring.is_dir()
        self.key("ours")
        self.key("theirs")
        commit = self.commit(repository, "ours")
        follower = following(repository.url, verify_signatures=True)
        assert follower.look(never).commit == commit
        self.commit(repository, "theirs")
        theirs = run("gpg", "--batch", "--with-colons", "--list-keys", "theirs@example.com")
        mark = next(line for line in theirs.splitlines() if line.startswith("fpr")).split(":")[9]
        run("gpg", "--batch", "--yes", "--delete-secret-and-public-key", mark)
        assert "has no valid signature by an allowed key" in TestSsh.refused(follower)

    def test_a_key_that_has_expired_is_refused(
        self, repository: Repository, following: RunOptions, keyring: Path
    ) -> None:
        then = "--faked-system-time=20200101T000000!"
        self.key("ours", then, expires="1d")
        gpg = keyring / "gpg"
        gpg.write_text(f'#!/bin/sh\nexec gpg {then} "$@"\n')
        gpg.chmod(0o755)
        self.commit(repository, "ours", "-c", f"gpg.program={gpg}")
        follower = following(repository.url, verify_signatures=True)
        assert "has no valid signature by an allowed key" in TestSsh.refused(follower)

    def test_where_signers_are_named_the_keyring_is_not_asked(
        self, repository: Repository, following: RunOptions, keyring: Path, keys: Path
    ) -> None:
        assert keyring.is_dir()
        self.key("ours")
        self.commit(repository, "ours")
        follower = following(
            repository.url, verify_signatures=True, allowed_signers=str(keys / "allowed")
        )
        TestSsh.refused(follower)
