"""Programs are built once, into the user's cache, whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .polling import eventually
from .programs import DEFAULT, TOOLS, kubernetes, versions

ROOT = Path(__file__).parents[2]
# Writes the program that it builds, and does what $GO_DOES says after that.
GO = """#!/bin/sh
echo "$@" >>"$HOME/calls"
while [ "$1" != -o ]; do shift; done
echo '#!/bin/sh' >"$2"
chmod +x "$2"
eval "$GO_DOES"
"""


@pytest.fixture
def with_go(tmp_path: Path) -> dict[str, str]:
    """The variables of a build with a Go of our own and an empty cache."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/go").write_text(GO)
    (tmp_path / "bin/go").chmod(0o755)
    path = f"{tmp_path}/bin{os.pathsep}/usr/bin{os.pathsep}/bin"
    return {"HOME": str(tmp_path), "PATH": path, "GO_DOES": ":"}


def start(variables: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        (sys.executable, "-m", "tests.control_plane.programs", *words),
        cwd=ROOT,
        env=variables,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def build(variables: dict[str, str], *words: str) -> tuple[int, str]:
    with start(variables, *words) as building:
        message = building.communicate()[1]
    return building.returncode, message


def cached(home: Path) -> list[str]:
    """The programs that are in the cache, by the version of their toolset."""
    paths = home.glob(".cache/sendroute/*/v*/*")
    return sorted(f"{path.parent.name.partition('-')[0]}/{path.name}" for path in paths)


def calls(home: Path) -> list[str]:
    path = home / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_every_version_has_its_own_module() -> None:
    assert DEFAULT in versions()
    assert len(versions()) == 3
    for minor in versions():
        assert kubernetes(minor).version.startswith(f"v{minor}.")


def test_all_programs_are_built_once(tmp_path: Path, with_go: dict[str, str]) -> None:
    assert build(with_go)[0] == 0
    toolsets = (kubernetes(DEFAULT), *TOOLS)
    expected = [f"{toolset.version}/{name}" for toolset in toolsets for name in toolset.programs]
    assert cached(tmp_path) == sorted(expected)
    built = calls(tmp_path)
    assert build(with_go) == (0, "")
    assert calls(tmp_path) == built


def test_the_servers_answer_their_version(tmp_path: Path, with_go: dict[str, str]) -> None:
    build(with_go)
    version = kubernetes(DEFAULT).version
    (call,) = (call for call in calls(tmp_path) if call.endswith("/kube-apiserver"))
    assert f"-X k8s.io/component-base/version.gitVersion={version} " in call


def test_other_versions_are_built_beside_it(tmp_path: Path, with_go: dict[str, str]) -> None:
    assert build(with_go, *versions())[0] == 0
    servers = [name for name in cached(tmp_path) if name.endswith("/kube-apiserver")]
    assert servers == [f"{kubernetes(minor).version}/kube-apiserver" for minor in versions()]


def test_an_unknown_version_is_refused(with_go: dict[str, str]) -> None:
    status, message = build(with_go, "1.2")
    assert status == 2
    assert f"Kubernetes 1.2 is not one of {', '.join(versions())}" in message


def test_a_failed_build_leaves_nothing(tmp_path: Path, with_go: dict[str, str]) -> None:
    fails = {**with_go, "GO_DOES": 'case "$2" in */kubectl) exit 1;; esac'}
    status, message = build(fails)
    assert (status, cached(tmp_path)) == (0, [])
    assert "NO CONTROL PLANE is here: Go cannot build k8s.io/kubernetes/cmd/kubectl." in message
    assert build({**fails, "CI": "true"})[0] == 1


def test_a_killed_build_leaves_nothing_half(tmp_path: Path, with_go: dict[str, str]) -> None:
    hangs = {**with_go, "GO_DOES": 'case "$2" in */kubectl) exec sleep 600;; esac'}
    with start(hangs) as building:
        eventually(lambda: any(call.endswith("/kubectl") for call in calls(tmp_path)))
        os.killpg(building.pid, 9)
    assert cached(tmp_path) == []
    assert build(with_go)[0] == 0
    assert f"{kubernetes(DEFAULT).version}/kubectl" in cached(tmp_path)
    assert list(tmp_path.glob(".cache/sendroute/*/.v*")) == []


def test_a_missing_go_is_a_failure_only_in_ci(tmp_path: Path, with_go: dict[str, str]) -> None:
    without = {**with_go, "GO": "a-program-that-is-not-there"}
    status, message = build(without)
    assert (status, cached(tmp_path)) == (0, [])
    assert "NO CONTROL PLANE is here: Go is missing." in message
    assert build({**without, "CI": "true"})[0] == 1


def test_programs_of_kubebuilder_are_taken_as_they_are(
    tmp_path: Path, with_go: dict[str, str]
) -> None:
    assert build({**with_go, "KUBEBUILDER_ASSETS": str(tmp_path)})[0] == 0
    tools = {tool.name for tool in TOOLS}
    assert {name.partition("/")[2] for name in cached(tmp_path)} == tools


@pytest.mark.parametrize("minor", versions())
def test_the_tests_run_on_the_version_that_the_shell_chose(minor: str) -> None:
    program = (
        "from tests.isolation import isolate; isolate();"
        "from tests.control_plane.programs import chosen; print(chosen())"
    )
    done = subprocess.run(
        (sys.executable, "-c", program),
        cwd=ROOT,
        env={**os.environ, "REAL_KUBERNETES_VERSION": minor},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == minor
