"""Calls of the Kubernetes API: the one module that imports ``kubernetes``.

The official client gives the connection: where the API is, TLS, tokens and their renewal. Answers
are raw bytes, and their HTTP status is checked here: the client's models would cost ten times the
memory and the time. It repeats no request by itself, so callers decide when to try again.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import msgspec
from msgspec import Struct

from sendroute.cluster.answers import decoder
from sendroute.cluster.credential_plugins import keep_our_variables
from sendroute.cluster.objects import PLATFORM_KIND, PLURALS, ObjectKey
from sendroute.files.reason import reason_of
from sendroute.manifests.shapes import API_VERSION
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError

NO_ANSWER = 0
"""The status of a request without an answer."""

TIMEOUT = (5.0, 90.0)
"""Seconds to connect, and to wait for the next bytes of an answer."""

SHORT_TIMEOUT = (5.0, 10.0)
"""The same for one object, whose answer is short."""

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

_CONNECTIONS = 32
_CHUNK = 1 << 16
_PART = 1 << 20
_LONGEST_MESSAGE = 300

Query = Sequence[tuple[str, str]]
Observe = Callable[[str, int, float], None]
"""Called after each request with its verb, its HTTP status and its seconds."""


class ApiError(Exception):
    """A request failed. ``status`` is the HTTP status, or :data:`NO_ANSWER`; ``reason`` is the
    API's own word, such as ``Expired``; ``retry_after`` are the seconds that the API asks to
    wait."""

    def __init__(
        self, status: int, message: str, reason: str = "", retry_after: float = 0.0
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.reason = reason
        self.retry_after = retry_after


class LongAnswerError(ApiError):
    """An answer is longer than the caller takes."""


class _ErrorStatus(Struct, rename="camel"):
    """https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/"""

    message: str = ""
    reason: str = ""
    code: int = 0


_decode_error = decoder(_ErrorStatus)


class Connection(NamedTuple):
    """How the API is reached: ``client`` is the library's, ``namespace`` the one of the current
    context or of the pod's service account."""

    client: Any
    namespace: str


class LineStream:
    """The lines of an answer that lasts. :meth:`close` may be called by another thread."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def lines(self) -> Iterator[bytes]:
        """The lines as they arrive, without their ends.

        Raises:
            ApiError: the connection broke, or nothing arrived for too long.
        """
        rest = b""
        try:
            for chunk in self._response.stream(_CHUNK, decode_content=False):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from filter(None, lines)
        except Exception as error:  # urllib3, http.client, ssl and socket each raise their own
            raise _no_answer(error) from error

    def close(self) -> None:
        """End the answer at once."""
        with suppress(Exception):
            self._response.shutdown()
        with suppress(Exception):
            self._response.close()


class SendsRequests(Protocol):
    """The part of :class:`Api` that sends a request and reads its whole answer."""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query = ...,
        body: Any = ...,
        content_type: str = ...,
        timeout: tuple[float, float] = ...,
    ) -> bytes:
        """Send a request, and read its whole answer. Arguments and errors are as for
        :meth:`Api.request`."""
        ...


class Api:
    """The API of one cluster, for any thread. A context manager, which closes it."""

    def __init__(self, client: Any, observe: Observe = lambda *_: None) -> None:
        self._client = client
        self._observe = observe

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept open. A stream is closed by its caller."""
        self._client.close()

    @property
    def client(self) -> Any:
        """The library's client, for the Lease lock."""
        return self._client

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: Any = None,
        content_type: str = "application/json",
        timeout: tuple[float, float] = TIMEOUT,
        longest: float = math.inf,
    ) -> bytes:
        """Send a request, and read its whole answer.

        Args:
            method: the HTTP method.
            path: the path, from the root of the API.
            query: the parameters, in order.
            body: plain data; None for none.
            content_type: how the body is meant; server-side apply has its own.
            timeout: seconds to connect, and to wait for the next bytes.
            longest: bytes of a body that is read.

        Returns:
            The body of the answer.

        Raises:
            ApiError: there was no answer, or its status is not 2xx.
            LongAnswerError: the body is longer.
        """
        response = self._open(method, path, query, body, content_type, timeout)
        answer = bytearray()
        try:
            while part := response.read(_PART):
                answer += part
                if len(answer) > longest:
                    response.close()
                    raise LongAnswerError(NO_ANSWER, "the answer of the Kubernetes API is too long")
            return bytes(answer)
        except ApiError:
            raise
        except Exception as error:  # urllib3, http.client, ssl and socket each raise their own
            raise _no_answer(error) from error
        finally:
            response.release_conn()

    def stream(
        self, path: str, *, query: Query = (), timeout: tuple[float, float] = TIMEOUT
    ) -> LineStream:
        """Begin a watch.

        Returns:
            The stream; the caller closes it.

        Raises:
            ApiError: as :meth:`request`.
        """
        return LineStream(self._open("GET", path, query, None, "", timeout, watch=True))

    def _open(
        self,
        method: str,
        path: str,
        query: Query,
        body: Any,
        content_type: str,
        timeout: tuple[float, float],
        *,
        watch: bool = False,
    ) -> Any:
        verb = "WATCH" if watch else "LIST" if _is_list(method, path) else method
        started = time.monotonic()
        status = NO_ANSWER
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            serialized = self._client.param_serialize(
                method,
                path,
                query_params=list(query),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = self._client.call_api(*serialized, _request_timeout=timeout).response
            status = response.status
            if not 200 <= status < 300:
                raise _refused(response)
        except ApiError:
            raise
        except Exception as error:  # urllib3, http.client, ssl and socket each raise their own
            raise _no_answer(error) from error
        finally:
            self._observe(verb, status, time.monotonic() - started)
        return response


def connect(kubeconfig: str | None) -> Connection:
    """Find the API: by a file, as a pod, or by the user's own configuration, in this order.

    Args:
        kubeconfig: the path of a kubeconfig; None to use the pod's service account, or outside a
            pod what ``KUBECONFIG`` or ``~/.kube/config`` says.

    Returns:
        The connection. No request was made yet.

    Raises:
        ProblemError: there is no usable configuration (``cluster-unreachable``).
    """
    from kubernetes import client
    from kubernetes import config as loading

    keep_our_variables()
    config: Any = loading  # its functions have no types
    configuration = client.Configuration()
    namespace = "default"
    try:
        if kubeconfig is None and (SERVICE_ACCOUNT / "token").exists():
            config.load_incluster_config(client_configuration=configuration)
            namespace = (SERVICE_ACCOUNT / "namespace").read_text().strip() or namespace
        else:
            config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
            _, context = config.list_kube_config_contexts(config_file=kubeconfig)
            namespace = context["context"].get("namespace") or namespace
    except Exception as error:
        # Of a file in another form, the library raises whatever its use of it raises.
        match error:
            case OSError():
                reason = reason_of(error)
            case config.ConfigException():
                reason = _plain(error).rstrip(".")
            case _:
                reason = "it is not in the form of a kubeconfig"
        subject = (
            f"The kubeconfig {kubeconfig}" if kubeconfig else "The Kubernetes API's configuration"
        )
        raise ProblemError(
            finding(
                "cluster-unreachable",
                f"{subject} cannot be used: {reason}.",
                hint="Run it in a pod with a service account, or give a kubeconfig file.",
            )
        ) from error
    configuration.retries = False  # each caller decides
    configuration.connection_pool_maxsize = _CONNECTIONS
    return Connection(client.ApiClient(configuration), namespace)


def path_of(kind: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The path of an object of ours, or of all of them.

    Args:
        kind: the kind.
        namespace: the namespace; empty for all, and for a kind without one.
        name: the object; empty for all.
        subresource: for example ``status``.

    Returns:
        The path.
    """
    parts = ["/apis", API_VERSION]
    if namespace and kind != PLATFORM_KIND:
        parts += ["namespaces", namespace]
    return "/".join([*parts, PLURALS[kind], *filter(None, (name, subresource))])


def path_of_object(key: ObjectKey, subresource: str = "") -> str:
    """The path of one object of ours, or of its subresource."""
    return path_of(key.kind, key.namespace, key.name, subresource)


def _is_list(method: str, path: str) -> bool:
    return method == "GET" and path.rpartition("/")[2] in PLURALS.values()


def _no_answer(error: Exception) -> ApiError:
    return ApiError(NO_ANSWER, f"the Kubernetes API does not answer: {_plain(error)}")


def _refused(response: Any) -> ApiError:
    """The error of an answer; its text is the API's, cut short."""
    after = response.headers.get("Retry-After", "")
    try:
        body = bytes(response.data)
    except Exception:  # noqa: BLE001 - the status alone says enough
        body = b""
    finally:
        response.release_conn()
    return error_of(body, response.status, float(after) if after.isdigit() else 0.0)


def error_of(body: bytes, status: int, retry_after: float = 0.0) -> ApiError:
    """The error that a ``Status`` of the API describes: the body of an answer, or an event of a
    watch.

    Args:
        body: the object, as JSON.
        status: the HTTP status, if the object has none.
        retry_after: the seconds that the API asks to wait.

    Returns:
        The error.
    """
    try:
        answer = _decode_error(body)
    except msgspec.DecodeError:
        answer = _ErrorStatus()
    code = answer.code or status
    message = answer.message[:_LONGEST_MESSAGE] or f"the Kubernetes API answered {code}"
    return ApiError(code, message, answer.reason, retry_after)


def _plain(error: Exception) -> str:
    """An error of a library in one short line."""
    return " ".join(str(error).split())[:_LONGEST_MESSAGE] or type(error).__name__
