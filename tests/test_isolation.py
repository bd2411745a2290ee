"""Tests and the processes that they start do not depend on the calling shell."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

_INHERITED = """
import json, os, signal
print(json.dumps({
    "ignored": [n for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN],
    "blocked": [*signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    "umask": os.umask(0),
    "has standard input": os.path.exists("/dev/fd/0"),
    "variables": dict(os.environ),
}))
"""
# Variables that a shell, a git hook, a CI job or a user's profile may set.
_ODD = {
    "CLICOLOR_FORCE": "1",
    "COLUMNS": "20",
    "FORCE_COLOR": "1",
    "GIT_DIR": "/nowhere",
    "GIT_AUTHOR_DATE": "yesterday",
    "GITHUB_ACTOR": "octocat",
    "LANGUAGE": "de",
    "LC_ALL": "POSIX",
    "NO_COLOR": "1",
    "PGHOST": "db.invalid",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "SENDROUTE_STORE": "sqlite:////nowhere/else.db",
    "TERM": "dumb",
    "TZ": "Asia/Kathmandu",
    "XDG_CONFIG_HOME": "/nowhere",
}


def test_a_process_has_the_defaults_of_a_login_shell() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _INHERITED], check=True, capture_output=True, text=True
    )
    inherited = json.loads(ran.stdout)
    python_ignores = {signal.SIGPIPE, signal.SIGXFSZ}
    assert set(inherited["ignored"]) == python_ignores
    assert inherited["blocked"] == []
    assert inherited["umask"] == 0o022
    assert inherited["has standard input"]
    assert inherited["variables"]["LC_ALL"] == "C.UTF-8"
    assert not inherited["variables"].keys() & (_ODD.keys() - {"LC_ALL"})


def test_the_tests_do_not_depend_on_the_calling_shell() -> None:
    """Run the test above with everything that a process can inherit from a shell."""
    hostile = 'trap "" HUP INT QUIT TERM USR1 CHLD; umask 077; exec "$@" <&-'
    inner = f"{Path(__file__).relative_to(ROOT)}::test_a_process_has_the_defaults_of_a_login_shell"
    ran = subprocess.run(
        [
            "sh",
            "-c",
            hostile,
            "sh",
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            inner,
        ],
        cwd=ROOT,
        env={**os.environ, **_ODD},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout
