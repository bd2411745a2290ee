"""The fixtures of tests that need Kubernetes. If no control plane can be started they skip, and
say so; with REAL_KUBERNETES_TESTS=required, as in CI, they fail."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .control_plane import ControlPlane, PrivateControlPlane
from .programs import ACTIONLINT, HELM, KSTATUS, Toolset, home, why_not
from .shared import shared


def _need(reason: str | None) -> None:
    if reason is None:
        return
    if os.environ.get("REAL_KUBERNETES_TESTS") == "required":
        pytest.fail(f"NO CONTROL PLANE: {reason}")
    pytest.skip(f"NO CONTROL PLANE: {reason}")


@pytest.fixture(scope="session")
def servers() -> Path:
    """The directory of the server programs and kubectl, for tests that start servers themselves."""
    _need(why_not())
    return home()


@pytest.fixture(scope="session")
def control_plane(
    servers: Path,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ControlPlane]:
    """The control plane that all tests of this run share. A test takes a namespace of its own, and
    gives what is not in a namespace names of its own."""
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with shared(run / "control-plane") as running:
        yield running


@pytest.fixture(scope="session")
def crds(control_plane: ControlPlane) -> None:
    """Sendroute's kinds are defined on the shared control plane. No test may delete them."""
    control_plane.install_crds()


@pytest.fixture(scope="module")
def private_control_plane(
    servers: Path,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PrivateControlPlane]:
    """A control plane that the tests of one module may kill, restart and compact."""
    with PrivateControlPlane(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A new namespace on the shared control plane."""
    name = control_plane.create_namespace()
    yield name
    control_plane.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="session")
def helm() -> Path:
    """The program helm."""
    return _tool(HELM)


@pytest.fixture(scope="session")
def kstatus() -> Path:
    """The program that computes the status of objects, as Flux does."""
    return _tool(KSTATUS)


@pytest.fixture(scope="session")
def actionlint() -> Path:
    """The program actionlint."""
    return _tool(ACTIONLINT)


def _tool(toolset: Toolset) -> Path:
    missing = toolset.missing(toolset.home)
    _need(f"{toolset.name} is missing: `make control-plane` builds it" if missing else None)
    return toolset.home / toolset.name
