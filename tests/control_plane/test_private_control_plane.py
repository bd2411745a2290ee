"""A control plane that a test kills, restarts and stops."""

import http.client
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from .control_plane import PrivateControlPlane
from .polling import eventually

ROOT = Path(__file__).parents[2]
EXPIRED = 410


def processes(directory: Path) -> list[str]:
    """The processes of a control plane: its directory stands in the arguments of each."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], check=True, capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if f"{directory}/" in line]


def configmap(server: PrivateControlPlane, namespace: str, name: str) -> None:
    server.kubectl("create", "configmap", name, "--namespace", namespace)


def test_a_restart_keeps_objects_and_clients(private_control_plane: PrivateControlPlane) -> None:
    server = private_control_plane
    namespace = server.create_namespace()
    account = server.service_account(namespace, "app")
    configmap(server, namespace, "kept")
    before = server.pids
    server.restart_apiserver()
    changed = {name for name, pid in server.pids.items() if before[name] != pid}
    assert changed == {"kube-apiserver"}
    kept = f"/api/v1/namespaces/{namespace}/configmaps/kept"
    assert server.request("GET", kept).status == 200
    assert server.request("GET", kept, user=account).status == 403  # known still


def test_a_killed_server_refuses_connections(private_control_plane: PrivateControlPlane) -> None:
    server = private_control_plane
    server.kill_apiserver()
    with pytest.raises(OSError, match="refused"):
        server.request("GET", "/readyz")
    server.start_apiserver()
    namespace = server.create_namespace()
    server.kubectl("delete", "namespace", namespace, "--timeout=60s")  # controllers have come back


def test_a_watch_from_before_a_restart_is_answered_410(
    private_control_plane: PrivateControlPlane,
) -> None:
    server = private_control_plane
    path = f"/api/v1/namespaces/{server.create_namespace()}/configmaps"
    old = server.request("GET", path).document["metadata"]["resourceVersion"]
    for number in range(3):
        body = {"metadata": {"name": f"new-{number}"}}
        assert server.request("POST", path, body).status == 201
    server.compact()
    server.restart_apiserver()
    answer = server.request("GET", f"{path}?watch=1&resourceVersion={old}&timeoutSeconds=5")
    code = answer.document.get("code") or answer.document["object"]["code"]
    assert code == EXPIRED, answer


def test_a_page_of_a_forgotten_list_is_answered_410(
    private_control_plane: PrivateControlPlane,
) -> None:
    server = private_control_plane
    path = f"/api/v1/namespaces/{server.create_namespace()}/configmaps"
    for number in range(5):
        assert server.request("POST", path, {"metadata": {"name": f"m{number}"}}).status == 201
    page = server.request("GET", f"{path}?limit=2").document["metadata"]["continue"]
    assert server.request("GET", f"{path}?limit=2&continue={page}").status == 200
    assert server.request("POST", path, {"metadata": {"name": "later"}}).status == 201

    def is_forgotten() -> bool:
        server.compact()
        return server.request("GET", f"{path}?limit=2&continue={page}").status == EXPIRED

    eventually(is_forgotten)


def test_a_hanging_server_does_not_answer(private_control_plane: PrivateControlPlane) -> None:
    server = private_control_plane
    with server.hanging_apiserver(), pytest.raises(TimeoutError):
        server.request("GET", "/readyz", timeout=0.5)
    eventually(lambda: server.request("GET", "/readyz").status == 200)


@pytest.mark.usefixtures("servers")
def test_a_stopped_control_plane_leaves_no_process(tmp_path: Path) -> None:
    with PrivateControlPlane(tmp_path / "plane") as server:
        assert len(processes(tmp_path)) >= 3
        with suppress(http.client.HTTPException):
            assert server.request("GET", "/readyz").status == 200
    assert processes(tmp_path) == []
    assert not (tmp_path / "plane/etcd").exists()


@pytest.mark.usefixtures("servers")
@pytest.mark.parametrize(
    "script",
    [
        "from tests.control_plane.control_plane import PrivateControlPlane\n"
        "with PrivateControlPlane(Path(sys.argv[1]) / 'plane') as it: print(it.url, flush=True);"
        " time.sleep(600)",
        "from tests.control_plane.shared import shared\n"
        "with shared(Path(sys.argv[1]) / 'shared') as it: print(it.url, flush=True);"
        " time.sleep(600)",
    ],
    ids=["private", "shared"],
)
def test_a_control_plane_ends_when_the_tests_are_killed(tmp_path: Path, script: str) -> None:
    program = f"import sys, time\nfrom pathlib import Path\n{script}"
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        assert tests.stdout.readline().startswith("https://")
        assert len(processes(tmp_path)) >= 3
        tests.kill()
    eventually(lambda: processes(tmp_path) == [])
