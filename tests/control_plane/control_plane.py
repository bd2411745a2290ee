"""A control plane of Kubernetes: etcd, an API server with RBAC, and the controllers it needs."""

import base64
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple, Self

import trustme
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.private_server import PrivateServer, free_port

from .polling import eventually
from .programs import home

Document = dict[str, Any]
_CRDS = Path(__file__).parents[2] / "charts/sendroute/crds"
_TIMEOUT = 120.0
_CONTROLLERS = (
    "namespace-controller,garbage-collector-controller,serviceaccount-controller,"
    "serviceaccount-token-controller,root-ca-certificate-publisher-controller,"
    "clusterrole-aggregation-controller"
)


class ApiResponse(NamedTuple):
    status: int
    document: Document


@dataclass(frozen=True)
class User:
    """A user whom the API server knows. ``token`` is None where a client certificate signs in."""

    name: str
    kubeconfig: Path
    token: str | None = None


class ControlPlane:
    """A running control plane, as its clients see it. ``directory`` holds what they need."""

    def __init__(self, directory: Path, programs: Path) -> None:
        self.directory = directory
        self.programs = programs

    @property
    def ca_file(self) -> Path:
        return self.directory / "ca.pem"

    @cached_property
    def url(self) -> str:
        return (self.directory / "url").read_text()

    @property
    def admin(self) -> User:
        """A member of system:masters, with a token."""
        token = (self.directory / "admin-token").read_text()
        return User("admin", self.directory / "admin.kubeconfig", token)

    @property
    def kubeconfig(self) -> Path:
        return self.admin.kubeconfig

    def admin_at(self, server: str) -> User:
        """The administrator, with a kubeconfig that has another URL of this API server."""
        token = self.admin.token
        assert token is not None
        return User("admin", self._write_kubeconfig({"token": token}, server), token)

    def kubectl(
        self,
        *words: str | Path,
        user: User | None = None,
        stdin: str | None = None,
        status: int | None = 0,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, as the administrator unless a user is given. ``status``: None for any."""
        done = subprocess.run(
            (self.programs / "kubectl", *words),
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.directory),
                "KUBECONFIG": str((user or self.admin).kubeconfig),
            },
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
        )
        assert status in (done.returncode, None), done.stdout + done.stderr
        return done

    def get(self, *words: str, user: User | None = None) -> Document:
        """What ``kubectl get`` answers, decoded."""
        document: Document = json.loads(self.kubectl("get", *words, "-o", "json", user=user).stdout)
        return document

    def apply(self, *documents: Document, user: User | None = None) -> None:
        self.kubectl("apply", "-f", "-", user=user, stdin=yaml.safe_dump_all(documents))

    def install_crds(self) -> None:
        """Define Sendroute's kinds, as its chart does. More than one process may do so at once."""
        documents = [yaml.safe_load(file.read_text()) for file in _CRDS.glob("*.yaml")]
        kinds = [
            document for document in documents if document["kind"] == "CustomResourceDefinition"
        ]
        apply = ("apply", "--server-side", "--force-conflicts", "-f", "-")
        self.kubectl(*apply, stdin=yaml.safe_dump_all(kinds))
        for kind in kinds:
            spec = kind["spec"]
            path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
            eventually(lambda path=path: self.request("GET", path).status == 200)  # type: ignore[misc]

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        user: User | None = None,
        content_type: str = "application/json",
        timeout: float = 60,
        url: str | None = None,
    ) -> ApiResponse:
        """One request to the API server, by a user with a token. ``url``: another way to it."""
        token = (user or self.admin).token
        assert token is not None, "this user signs in with a certificate"
        host = (url or self.url).removeprefix("https://")
        headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
        with closing(
            http.client.HTTPSConnection(host, context=self._tls, timeout=timeout)
        ) as server:
            server.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = server.getresponse()
            text = answer.read().decode()
        with suppress(ValueError):
            return ApiResponse(answer.status, json.loads(text))
        return ApiResponse(answer.status, {"message": text})

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca_file))

    def create_namespace(self, prefix: str = "test") -> str:
        """Create a namespace with a name of its own."""
        name = f"{prefix}-{token_hex(4)}"
        answer = self.request(
            "POST",
            "/api/v1/namespaces",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        )
        assert answer.status == 201, answer
        return name

    def user(self, name: str, group: str | None = None) -> User:
        """A person, who signs in with a certificate. Without a RoleBinding they may do nothing."""
        authority = trustme.CA.from_pem(
            self.ca_file.read_bytes(), (self.directory / "ca-key.pem").read_bytes()
        )
        leaf = authority.issue_cert("client", common_name=name, organization_name=group)
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        signed_in = {
            "client-certificate-data": base64.b64encode(chain).decode(),
            "client-key-data": base64.b64encode(leaf.private_key_pem.bytes()).decode(),
        }
        return User(name, self._write_kubeconfig(signed_in))

    def service_account(self, namespace: str, name: str, server: str | None = None) -> User:
        """A service account with a token; created if it is not there. ``server``: another URL that
        its kubeconfig names."""
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        created = self.request("POST", accounts, {"metadata": {"name": name}})
        assert created.status in (201, 409), created
        issued = self.request("POST", f"{accounts}/{name}/token", {"spec": {}})
        assert issued.status == 201, issued
        token = issued.document["status"]["token"]
        kubeconfig = self._write_kubeconfig({"token": token}, server)
        return User(f"system:serviceaccount:{namespace}:{name}", kubeconfig, token)

    def allow(self, user: User, rules: list[Document], namespace: str | None = None) -> None:
        """Bind a user to a new role, in one namespace or in the whole cluster."""
        kind = "Role" if namespace else "ClusterRole"
        group = "rbac.authorization.k8s.io"
        metadata: Document = {"name": f"allow-{token_hex(4)}"}
        if namespace:
            metadata["namespace"] = namespace
        role = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "rules": rules}
        binding = {
            **role,
            "kind": f"{kind}Binding",
            "roleRef": {"apiGroup": group, "kind": kind, "name": metadata["name"]},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user.name}],
        }
        del binding["rules"]
        self.apply(role, binding)

    def _write_kubeconfig(self, signed_in: Mapping[str, str], server: str | None = None) -> Path:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "tests",
                    "cluster": {
                        "server": server or self.url,
                        "certificate-authority": str(self.ca_file),
                    },
                }
            ],
            "users": [{"name": "user", "user": dict(signed_in)}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "user"}}],
            "current-context": "tests",
        }
        path = self.directory / f"{token_hex(8)}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path


class PrivateControlPlane(ControlPlane):
    """A control plane that this process starts, kills and stops. A context manager.

    It ends with this process, also if that is killed. ``flags``: more for the API server.
    """

    def __init__(
        self, directory: Path, minor: str | None = None, flags: tuple[str, ...] = ()
    ) -> None:
        super().__init__(directory, home(minor))
        self._flags = flags
        self._etcd_port = free_port()
        self._port = free_port()
        self._servers: dict[str, PrivateServer] = {}

    def __enter__(self) -> Self:
        try:
            self._prepare()
            self._start_etcd()
            self.start_apiserver()
            self._start_controllers()
            self._wait(self._has_default_account, "no service account is made")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End all servers and remove what they stored."""
        for name in ("kube-controller-manager", "kube-apiserver", "etcd"):
            if (server := self._servers.pop(name, None)) is not None:
                server.stop(signal.SIGKILL)
        shutil.rmtree(self.directory / "etcd", ignore_errors=True)

    @property
    def pids(self) -> dict[str, int]:
        return {name: server.pid for name, server in self._servers.items()}

    def _prepare(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        authority.private_key_pem.write_to_path(str(self.directory / "ca-key.pem"))
        server = authority.issue_cert("127.0.0.1", "localhost", "kubernetes.default.svc")
        server.private_key_and_cert_chain_pem.write_to_path(str(self.directory / "server.pem"))
        token = token_hex(16)
        (self.directory / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
        (self.directory / "admin-token").write_text(token)
        (self.directory / "url").write_text(f"https://127.0.0.1:{self._port}")
        self._write_kubeconfig({"token": token}).rename(self.directory / "admin.kubeconfig")
        key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        (self.directory / "accounts.pem").write_bytes(key)

    def _start(self, name: str, *flags: str) -> None:
        log = self.directory / f"{name}.log"
        self._servers[name] = PrivateServer((self.programs / name, *flags), log)

    def _start_etcd(self) -> None:
        url = f"http://127.0.0.1:{self._etcd_port}"
        self._start(
            "etcd",
            f"--data-dir={self.directory}/etcd",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            "--listen-peer-urls=http://127.0.0.1:0",
            "--unsafe-no-fsync",
            "--log-level=error",
        )

    def start_apiserver(self) -> None:
        """Start the API server and return when it is ready."""
        at = self.directory
        self._start(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={at}",
            f"--tls-cert-file={at}/server.pem",
            f"--tls-private-key-file={at}/server.pem",
            f"--client-ca-file={at}/ca.pem",
            f"--token-auth-file={at}/tokens.csv",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--endpoint-reconciler-type=none",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={at}/accounts.pem",
            f"--service-account-signing-key-file={at}/accounts.pem",
            *self._flags,
        )
        self._wait(self._is_ready, "the API server is not ready")

    def _start_controllers(self) -> None:
        at = self.directory
        self._start(
            "kube-controller-manager",
            f"--kubeconfig={at}/admin.kubeconfig",
            f"--controllers={_CONTROLLERS}",
            f"--root-ca-file={at}/ca.pem",
            f"--service-account-private-key-file={at}/accounts.pem",
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--secure-port=0",
        )

    def kill_apiserver(self) -> None:
        """End the API server at once; every connection to it breaks."""
        self._servers.pop("kube-apiserver").stop(signal.SIGKILL)

    def restart_apiserver(self) -> None:
        """Kill the API server, start it again, and return when it is ready."""
        self.kill_apiserver()
        self.start_apiserver()

    @contextmanager
    def hanging_apiserver(self) -> Iterator[None]:
        """The API server accepts connections and does not answer."""
        server = self._servers["kube-apiserver"]
        server.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            server.send_signal(signal.SIGCONT)

    def compact(self) -> int:
        """Forget all history before now, as the API server lets etcd do every five minutes.

        A page of a list from before answers 410. A watch from before does so only after
        :meth:`restart_apiserver`, because the API server remembers what it has seen.

        Returns the revision of etcd from which on there is history.
        """
        key = base64.b64encode(b"compact_rev_key").decode()
        revision = int(self.etcd("kv/range", key=key)["header"]["revision"])
        value = base64.b64encode(str(revision).encode()).decode()
        self.etcd("kv/compaction", revision=revision, physical=True)
        self.etcd("kv/put", key=key, value=value)
        return revision

    def etcd(self, call: str, **body: object) -> Document:
        """Call etcd itself, by its gateway for JSON."""
        server = http.client.HTTPConnection("127.0.0.1", self._etcd_port, timeout=30)
        with closing(server):
            server.request("POST", f"/v3/{call}", json.dumps(body))
            answer = server.getresponse()
            document: Document = json.load(answer)
        assert answer.status == 200, document
        return document

    def _is_ready(self) -> bool:
        return self.request("GET", "/readyz").status == 200

    def _has_default_account(self) -> bool:
        path = "/api/v1/namespaces/default/serviceaccounts/default"
        return self.request("GET", path).status == 200

    def _wait(self, until: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + _TIMEOUT
        while True:
            with suppress(OSError, http.client.HTTPException):
                if until():
                    return
            ended = [name for name, server in self._servers.items() if server.has_ended]
            if ended or time.monotonic() > deadline:
                raise RuntimeError(f"{complaint}; ended: {ended}\n{self._logs()}")
            time.sleep(0.02)

    def _logs(self) -> str:
        """The last lines of each server."""
        texts = []
        for log in sorted(self.directory.glob("*.log")):
            texts += [log.name, *log.read_text(errors="replace").splitlines()[-30:]]
        return "\n".join(texts)
