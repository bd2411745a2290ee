"""The causes of git's and ssh's messages, for messages that no test can provoke."""

import pytest

from sendroute.git.failures import cause_of

CAUSE_BY_MESSAGES = {
    "fatal: write error: No space left on device": "the disk is full",
    "error: file write error: Disk quota exceeded": "the disk is full",
    "No ED25519 host key is known for h and you have requested strict checking.\n"
    "Host key verification failed.\nfatal: Could not read from remote repository.": (
        "ssh does not know the server's host key"
    ),
    "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.": (
        "the server requires credentials, or rejects the ones it received"
    ),
    "fatal: unable to access 'https://h/x/': SSL certificate problem: self-signed certificate": (
        "the server's TLS certificate is not trusted"
    ),
    "fatal: unable to access 'https://h/certificates/': Could not resolve host: h": (
        "the host name cannot be resolved"
    ),
    "ERROR: Repository not found.\nfatal: Could not read from remote repository.": (
        "the repository does not exist, or the user that runs sendroute may not read it"
    ),
    "fatal: detected dubious ownership in repository at '/srv/x'": (
        "the repository belongs to another user"
    ),
    "fatal: unsafe repository ('/srv/x' is owned by someone else)": (
        "the repository belongs to another user"
    ),
    "ssh: connect to host h port 22: Connection timed out": "the host does not answer",
    "ssh: connect to host h port 22: No route to host": "the connection to the host failed",
    "fetch-pack: unexpected disconnect while reading sideband packet\nfatal: early EOF": (
        "the server closed the connection during the transfer"
    ),
    "git: 'remote-https' is not a git command.\nfatal: unable to find remote helper for 'https'": (
        "the program that git needs for the protocol of the URL is missing"
    ),
}


@pytest.mark.parametrize(("messages", "sentence"), CAUSE_BY_MESSAGES.items())
def test_known_messages_have_a_cause(messages: str, sentence: str) -> None:
    cause = cause_of(messages)
    assert cause is not None
    assert cause.sentence == sentence
    assert cause.hint


@pytest.mark.parametrize(
    "messages", ["", "fatal: something new", "remote: No space left on device"]
)
def test_unknown_messages_and_messages_of_the_server_have_no_cause(messages: str) -> None:
    assert cause_of(messages) is None
