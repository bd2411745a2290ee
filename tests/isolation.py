"""Makes the tests, and every process that they start, independent of the calling shell.

A process inherits ignored and blocked signals (nohup ignores SIGHUP, a script ignores SIGINT for
its background jobs), an umask, perhaps a closed standard input, and all environment variables.
"""

import os
import signal
from types import FrameType

_VARIABLES = frozenset(
    {"HOME", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "SHELL", "TMPDIR", "USER", "XDG_CACHE_HOME"}
    | {"KUBEBUILDER_ASSETS", "REAL_KUBERNETES_TESTS", "REAL_KUBERNETES_VERSION", "REAL_MAIL_TESTS"}
)
_PREFIXES = ("HYPOTHESIS_", "PYTEST_", "SENDROUTE_TEST_")
# Not in os.environ, but children inherit it: readline, which pytest imports, exports the size of
# the terminal (readline(3), rl_change_environment).
_SET_BY_READLINE = ("COLUMNS", "LINES")
_LOCALE = {"LC_ALL": "C.UTF-8"}
# Python itself ignores these, and resets them in the processes that subprocess starts.
_IGNORED_BY_PYTHON = frozenset({signal.SIGPIPE, getattr(signal, "SIGXFSZ", signal.SIGPIPE)})


def isolate() -> None:
    """Replace what this process inherited with the values of a login shell.

    Must be called in the main thread, before the first test is collected.
    """
    _reset_signals()
    os.umask(0o022)
    _open_standard_input()
    for name in list(os.environ):
        if name not in _VARIABLES and not name.startswith(_PREFIXES):
            del os.environ[name]
    for name in _SET_BY_READLINE:
        os.unsetenv(name)
    os.environ |= _LOCALE


def _reset_signals() -> None:
    """Give ignored signals a handler that does nothing.

    So `nohup make test` continues after its terminal is closed, and processes that the tests start
    get the default action, because execve(2) resets handled signals but not ignored ones. SIGINT
    gets its default handler, because tests interrupt themselves.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in signal.valid_signals() - _IGNORED_BY_PYTHON:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _do_nothing)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    pass


def _open_standard_input() -> None:
    try:
        os.fstat(0)
    except OSError:  # closed: the first opened file would become standard input
        os.open(os.devnull, os.O_RDONLY)
