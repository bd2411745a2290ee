"""Whether a commit is signed by an allowed key, as git itself verifies it."""

from collections.abc import Callable

from sendroute.git.process import Git, GitFailedError
from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError

# With a file of allowed signers only these count, not the keys of a GPG keyring.
_SSH_ONLY = ("gpg.program", "gpg.openpgp.program", "gpg.x509.program")
# The header of a signed commit, for SHA-1 and SHA-256 (gitformat-signature(5)).
_HEADERS = (b"\ngpgsig ", b"\ngpgsig-sha256 ")


def verify_signature(
    git: Git,
    repository: str,
    commit: str,
    allowed_signers: str | None,
    should_stop: Callable[[], bool],
) -> None:
    """Verify the signature of a commit. It covers the commit's whole tree and its history, so older
    commits are not checked.

    Args:
        git: runs git.
        repository: the path of the repository.
        commit: the commit's object name.
        allowed_signers: a file as in ssh-keygen(1), ALLOWED SIGNERS; None uses git's configuration.
        should_stop: checked while git runs.

    Raises:
        ProblemError: the commit has no valid signature by an allowed key (``unsigned-commit``).
        GitFailedError, StoppedError: as for :meth:`Git.run`.
    """
    settings = []
    if allowed_signers is not None:
        settings = ["-c", f"gpg.ssh.allowedSignersFile={allowed_signers}"]
        settings += [part for name in _SSH_ONLY for part in ("-c", f"{name}=false")]
    try:
        git.run([f"--git-dir={repository}", *settings, "verify-commit", commit], should_stop)
    except GitFailedError as error:
        if error.is_of_the_call:
            raise
        signed = _is_signed(git, repository, commit, should_stop)
        raise ProblemError(_unsigned(commit, signed)) from error


def _is_signed(git: Git, repository: str, commit: str, should_stop: Callable[[], bool]) -> bool:
    content = git.local([f"--git-dir={repository}", "cat-file", "commit", commit], should_stop)
    head = content.partition(b"\n\n")[0]
    return any(header in head for header in _HEADERS)


def _unsigned(commit: str, signed: bool) -> Finding:
    if not signed:
        return finding(
            "unsigned-commit",
            f"Commit {commit} is not signed.",
            hint="Sign it (git commit --amend -S) and push; until then the previous version stays "
            "in effect.",
        )
    return finding(
        "unsigned-commit",
        f"Commit {commit} has no valid signature by an allowed key, or it was altered.",
        hint="Run git verify-commit on it, as the user that runs sendroute; until it is valid the "
        "previous version stays in effect.",
    )
