"""The environment of the programs that a kubeconfig names: credential plugins and token commands.

The official client gives them the whole environment of this process, which may hold the key and
passwords.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sendroute.model.child_environment import child_environment, is_ours


def keep_our_variables() -> None:
    """From now on, the client starts programs without the variables that are for Sendroute alone.
    Only its own use of ``subprocess`` changes."""
    from kubernetes.config import exec_provider, kube_config

    modules: tuple[Any, ...] = (exec_provider, kube_config)
    for module in modules:
        module.subprocess = SimpleNamespace(PIPE=subprocess.PIPE, Popen=_start)


def _start(
    arguments: Sequence[str], *, env: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[Any]:
    variables = os.environ if env is None else env
    passed = child_environment(variables, lambda name: not is_ours(name))
    start: Any = subprocess.Popen  # the client chooses the options, and their types
    process: subprocess.Popen[Any] = start(arguments, env=passed, **options)
    return process
