"""Whether a commit is signed by a key that is allowed to: git's own judgement."""

from collections.abc import Callable

from sendroute.following.calling import Git, GitFailedError
from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError

# Where allowed signers are named, nobody else is: not whoever is in a GPG keyring.
_SSH_ONLY = ("gpg.program", "gpg.openpgp.program", "gpg.x509.program")
# As git writes the header of a commit, SHA-1 and SHA-256 (gitformat-signature(5)).
_HEADERS = (b"\ngpgsig ", b"\ngpgsig-sha256 ")


def demand_signature(
    git: Git, repository: str, commit: str, allowed: str | None, ended: Callable[[], bool]
) -> None:
    """``allowed`` is a file as in ssh-keygen(1), ALLOWED SIGNERS; None leaves it to git's own
    configuration. Raises ``ProblemError`` where the signature does not hold now.

    Only this commit's signature counts: it covers the whole tree and all that came before.
    """
    settings = []
    if allowed is not None:
        settings = ["-c", f"gpg.ssh.allowedSignersFile={allowed}"]
        settings += [part for name in _SSH_ONLY for part in ("-c", f"{name}=false")]
    try:
        git.run([f"--git-dir={repository}", *settings, "verify-commit", commit], ended)
    except GitFailedError as error:
        if error.is_of_the_call:
            raise
        signed = _is_signed(git, repository, commit, ended)
        raise ProblemError(_unsigned(commit, signed)) from error


def _is_signed(git: Git, repository: str, commit: str, ended: Callable[[], bool]) -> bool:
    content = git.local([f"--git-dir={repository}", "cat-file", "commit", commit], ended)
    head = content.partition(b"\n\n")[0]
    return any(header in head for header in _HEADERS)


def _unsigned(commit: str, signed: bool) -> Finding:
    if not signed:
        return finding(
            "unsigned-commit",
            f"Commit {commit} is not signed.",
            hint="Sign it (git commit --amend -S) and push; what was applied before stands.",
        )
    return finding(
        "unsigned-commit",
        f"Commit {commit} is signed, but by no key that is allowed and valid, or it was altered.",
        hint="Run git verify-commit on it, as the user that runs sendroute; what was applied "
        "before stands.",
    )
