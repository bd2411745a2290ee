"""What git and ssh say, and what people are told: words of theirs that no test here can provoke."""

import pytest

from sendroute.following.causes import cause_of

SAID = {
    "fatal: write error: No space left on device": "the disk is full",
    "error: file write error: Disk quota exceeded": "the disk is full",
    "No ED25519 host key is known for h and you have requested strict checking.\n"
    "Host key verification failed.\nfatal: Could not read from remote repository.": (
        "ssh does not know the server's host key"
    ),
    "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.": (
        "the server asks for credentials, or refuses those it got"
    ),
    "fatal: unable to access 'https://h/x/': SSL certificate problem: self-signed certificate": (
        "the server's TLS certificate is not trusted"
    ),
    "fatal: unable to access 'https://h/certificates/': Could not resolve host: h": (
        "its host is not found"
    ),
    "ERROR: Repository not found.\nfatal: Could not read from remote repository.": (
        "the server has no such repository, or does not show it to this user"
    ),
    "fatal: detected dubious ownership in repository at '/srv/x'": (
        "the repository belongs to another user"
    ),
    "ssh: connect to host h port 22: Connection timed out": "the host does not answer",
    "ssh: connect to host h port 22: No route to host": "the host does not take the connection",
    "fetch-pack: unexpected disconnect while reading sideband packet\nfatal: early EOF": (
        "the server broke off in the middle"
    ),
    "git: 'remote-https' is not a git command.\nfatal: unable to find remote helper for 'https'": (
        "git lacks the program for that protocol"
    ),
}


@pytest.mark.parametrize(("said", "told"), SAID.items())
def test_a_cause_is_told_by_its_words(said: str, told: str) -> None:
    cause = cause_of(said)
    assert cause is not None
    assert cause.sentence == told
    assert cause.hint


@pytest.mark.parametrize("said", ["", "fatal: something new", "remote: No space left on device"])
def test_what_is_not_known_and_what_a_server_says_is_no_cause(said: str) -> None:
    assert cause_of(said) is None
