"""Whether a commit is signed by a key that is allowed, and was when the commit was first seen."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from sendroute.files.reason import reason_of
from sendroute.files.regular import regular
from sendroute.git.failures import GitFailedError
from sendroute.git.process import Git
from sendroute.model.byte_order_mark import without_mark
from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, GitTask, Setting, UseGit

_SSH = b"-----BEGIN SSH SIGNATURE-----"
# The headers of a signed commit begin so, for SHA-1 and SHA-256 (gitformat-signature(5)).
_HEADER = b"gpgsig"
_MAX_SIGNERS = 16 << 20


class SignedCommit(NamedTuple):
    """A commit to verify: ``commit`` in the repository with this path. ``first_seen`` is when it
    came here, in seconds of the Unix time."""

    repository: str
    commit: str
    first_seen: float


def verify_signature(
    git: Git, signed: SignedCommit, allowed_signers: str | None, should_stop: Callable[[], bool]
) -> None:
    """Verify the signature of a commit. It covers the commit's whole tree and its history, so older
    commits are not checked.

    An ssh key must be valid at the time when the commit was first seen. git takes the date that the
    commit gives itself, so the holder of an expired key could date commits back. A GPG key must be
    valid now.

    Args:
        git: runs git.
        signed: the commit.
        allowed_signers: a file as in ssh-keygen(1), ALLOWED SIGNERS; None uses git's configuration.
        should_stop: checked while git runs.

    Raises:
        ProblemError: the commit has no valid signature by an allowed key (``unsigned-commit``), or
            the file of allowed keys cannot be read (``unreadable``).
        GitFailedError, StoppedError: as for :meth:`Git.run`.
    """
    in_repository = [f"--git-dir={signed.repository}"]
    content = git.local([*in_repository, "cat-file", "commit", signed.commit], should_stop)
    payload, signatures = _parts(content)
    if not signatures:
        raise ProblemError(_unsigned(signed.commit))
    try:
        if len(signatures) > 1:
            is_valid = False  # git and other programs do not agree on which one counts
        elif signatures[0].startswith(_SSH):
            setting = _Settings(git, in_repository, should_stop)
            signers = allowed_signers or setting.path("gpg.ssh.allowedSignersFile")
            revoked = setting.path("gpg.ssh.revocationFile")
            verify = _SshSignature(git, signatures[0], signed.first_seen, signers, should_stop)
            is_valid = verify.covers(payload, revoked)
        elif allowed_signers is None:
            git.run([*in_repository, "verify-commit", signed.commit], should_stop)
            is_valid = True
        else:
            is_valid = False  # the keys of a GPG keyring do not count
    except GitFailedError as error:
        if error.is_of_the_call:
            raise
        raise ProblemError(_invalid(signed)) from error
    if not is_valid:
        raise ProblemError(_invalid(signed))


def _parts(content: bytes) -> tuple[bytes, list[bytes]]:
    """What the signature of a commit covers, and its signatures: the commit without the headers of
    signatures (gitformat-signature(5)). Lines of one header begin with a space after the first."""
    head, blank, message = content.partition(b"\n\n")
    covered: list[bytes] = []
    signatures: list[bytes] = []
    in_signature = False
    for line in head.split(b"\n"):
        name, _, value = line.partition(b" ")
        if name:
            in_signature = name.startswith(_HEADER)
            if in_signature:
                signatures.append(value + b"\n")
        elif in_signature:
            signatures[-1] += value + b"\n"
        if not in_signature:
            covered.append(line)
    return b"\n".join(covered) + blank + message, signatures


class _Settings(NamedTuple):
    """The user's configuration of git."""

    git: Git
    in_repository: Sequence[str]
    should_stop: Callable[[], bool]

    def path(self, name: str) -> str | None:
        arguments = ["config", "--type=path", "--default", "", "--get", name]
        printed = self.git.run([*self.in_repository, *arguments], self.should_stop)
        return printed.decode(errors="surrogateescape").removesuffix("\n") or None


class _SshSignature(NamedTuple):
    """A signature that is verified as of a time, against a file of allowed signers."""

    git: Git
    signature: bytes
    when: float
    signers: str | None
    should_stop: Callable[[], bool]

    def covers(self, payload: bytes, revoked: str | None) -> bool:
        """Whether it is a valid one of this content; ``revoked`` is a file of keys that are not."""
        if self.signers is None:
            return False
        # In local time, which every ssh-keygen reads.
        when = time.strftime("%Y%m%d%H%M%S", time.localtime(self.when))
        with tempfile.NamedTemporaryFile() as file, _signers_file(self.signers) as signers:
            file.write(self.signature)
            file.flush()
            given = ["-s", file.name, "-f", signers, f"-Overify-time={when}"]
            listed = self._run("find-principals", *given)
            more = ["-n", "git", *(["-r", revoked] if revoked else [])]
            principals = (listed or b"").decode(errors="surrogateescape").splitlines()
            return any(
                self._run("verify", *given, *more, "-I", principal, stdin=payload) is not None
                for principal in principals
            )

    def _run(self, action: str, *arguments: str, stdin: bytes = b"") -> bytes | None:
        try:
            return self.git.ssh_keygen(["-Y", action, *arguments], self.should_stop, stdin)
        except GitFailedError as error:
            if error.is_of_the_call:
                raise
            return None


def read_signers(path: str) -> bytes:
    """Read a file of allowed signers, without a byte-order mark: ssh-keygen takes it for a part of
    the first line.

    Args:
        path: the path of the file.

    Returns:
        Its content.

    Raises:
        ProblemError: it is no regular file, too large, or cannot be read (``unreadable``).
    """
    try:
        with open(path, "rb", opener=regular) as file:
            content = file.read(_MAX_SIGNERS + 1)
    except OSError as error:
        raise _unreadable(path, reason_of(error)) from error
    if len(content) > _MAX_SIGNERS:
        raise _unreadable(path, f"it has more than {_MAX_SIGNERS >> 20} MiB")
    return without_mark(content)


@contextmanager
def _signers_file(path: str) -> Iterator[str]:
    """A copy of the file of allowed signers."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(read_signers(path))
        file.flush()
        yield file.name


def _unreadable(path: str, reason: str) -> ProblemError:
    return ProblemError(
        finding(
            "unreadable",
            f"The allowed signers file {ascii(path)[1:-1]} cannot be read: {reason}.",
            hint="Give a file as in ssh-keygen(1), ALLOWED SIGNERS.",
            remedy=Configure(Setting.ALLOWED_SIGNERS),
        )
    )


def _unsigned(commit: str) -> Finding:
    return finding(
        "unsigned-commit",
        f"Commit {commit} is not signed.",
        hint="Sign it, then push it.",
        remedy=UseGit(GitTask.SIGN_COMMIT),
    )


def _invalid(signed: SignedCommit) -> Finding:
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(signed.first_seen))
    return finding(
        "unsigned-commit",
        f"Commit {signed.commit} has no valid signature by an allowed key, or it was altered.",
        hint="Push a commit with a valid signature, or check, as the user that runs sendroute, that"
        f" the key was valid when this one was first seen here ({when}).",
        remedy=UseGit(GitTask.VERIFY_COMMIT, signed.commit),
    )
