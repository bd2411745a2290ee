"""Secrets of the API: which are read, how long they are kept, and that none is ever shown."""

import base64
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from sendroute.cluster.api import NO_ANSWER, ApiError
from sendroute.cluster.secrets import KEPT, UNUSED, ApiSecrets
from sendroute.model.credential import Credential
from sendroute.model.secret import PLATFORM_NAMESPACE, SecretProblem, SecretRef

NAME, WORD = "canary-name-1f0d", "canary-word-77ab"
REF = SecretRef("acme", "ses-smtp")
OF_PLATFORM = SecretRef(PLATFORM_NAMESPACE, "managed-relay", of_platform=True)
HOST, PORT = "smtp.ses.example", 587


def encoded(**keys: str | bytes) -> dict[str, str]:
    contents = {k: v.encode() if isinstance(v, str) else v for k, v in keys.items()}
    return {
        key.replace("_", "-"): base64.b64encode(value).decode() for key, value in contents.items()
    }


class FakeApi:
    """Secrets by path, or the status with which a request fails; it counts the requests."""

    def __init__(self) -> None:
        self.secrets: dict[str, Any] = {}
        self.requests: list[str] = []
        self.version = 0

    def put(self, namespace: str, name: str, **keys: str | bytes) -> None:
        self.version += 1
        self.secrets[f"/api/v1/namespaces/{namespace}/secrets/{name}"] = {
            "metadata": {"uid": "u1", "resourceVersion": str(self.version)},
            "data": encoded(**keys),
        }

    def fail(self, namespace: str, name: str, status: int) -> None:
        self.secrets[f"/api/v1/namespaces/{namespace}/secrets/{name}"] = status

    def request(self, method: str, path: str, *, timeout: tuple[float, float] = (1, 1)) -> bytes:
        assert method == "GET"
        assert timeout < (60, 60)
        self.requests.append(path)
        answer = self.secrets.get(path, 404)
        if isinstance(answer, int):
            raise ApiError(answer, f"secrets is refused: {answer}")
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    api.put("acme", "ses-smtp", username=NAME, password=WORD)
    return api


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def secrets(api: FakeApi, clock: Clock) -> ApiSecrets:
    return ApiSecrets(api, "mail-system", clock)


def problem_of(secrets: ApiSecrets, ref: SecretRef = REF) -> SecretProblem:
    answer = secrets.run().credential(ref, HOST, PORT)
    assert isinstance(answer, SecretProblem), "it can be used"
    return answer


def test_a_secret_is_read_by_its_name_in_the_namespace_of_its_owner(
    secrets: ApiSecrets, api: FakeApi
) -> None:
    assert secrets.run().credential(REF, HOST, PORT) == Credential(NAME, WORD)
    assert api.requests == ["/api/v1/namespaces/acme/secrets/ses-smtp"]


def test_the_platforms_secrets_are_in_the_namespace_of_the_operator(
    secrets: ApiSecrets, api: FakeApi
) -> None:
    api.put("mail-system", "managed-relay", username=NAME, password=WORD)
    assert secrets.run().credential(OF_PLATFORM, HOST, PORT) == Credential(NAME, WORD)
    assert api.requests == ["/api/v1/namespaces/mail-system/secrets/managed-relay"]
    assert (
        "namespace mail-system"
        in problem_of(secrets, SecretRef(PLATFORM_NAMESPACE, "gone", of_platform=True)).message
    )


@pytest.mark.parametrize("namespace", ["mail-system", PLATFORM_NAMESPACE])
def test_no_tenant_reads_a_secret_of_the_platform(
    secrets: ApiSecrets, api: FakeApi, namespace: str
) -> None:
    api.put(namespace, "managed-relay", username=NAME, password=WORD)
    assert problem_of(secrets, SecretRef(namespace, "managed-relay")).code == "secret-not-bound"
    assert api.requests == []


@pytest.mark.parametrize("name", ["../../../nodes/x", "A", "a/b", "", "ses?watch=true"])
def test_a_name_is_never_another_path(secrets: ApiSecrets, api: FakeApi, name: str) -> None:
    assert problem_of(secrets, SecretRef("acme", name)).code == "secret-missing"
    assert api.requests == []


def prepare_missing(api: FakeApi) -> None:
    api.secrets.clear()


def prepare_forbidden(api: FakeApi) -> None:
    api.fail("acme", "ses-smtp", 403)


def prepare_without_password(api: FakeApi) -> None:
    api.put("acme", "ses-smtp", username=NAME, PASSWORD=WORD)


def prepare_without_data(api: FakeApi) -> None:
    api.put("acme", "ses-smtp")


def prepare_empty(api: FakeApi) -> None:
    api.put("acme", "ses-smtp", username=NAME, password="")


def prepare_encrypted(api: FakeApi) -> None:
    api.put("acme", "ses-smtp", username=NAME, password=f"ENC[AES256_GCM,{WORD}]")


def prepare_not_text(api: FakeApi) -> None:
    api.put("acme", "ses-smtp", username=NAME, password=WORD.encode("utf-16"))


def prepare_not_base64(api: FakeApi) -> None:
    path = "/api/v1/namespaces/acme/secrets/ses-smtp"
    api.secrets[path]["data"] = {"username": f"{NAME}!", "password": f"{WORD}!"}


def prepare_not_json(api: FakeApi) -> None:
    path = "/api/v1/namespaces/acme/secrets/ses-smtp"
    api.secrets[path] = f'{{"data": {{"username": {NAME}, "password": "{WORD}"'.encode()


def prepare_bound_elsewhere(api: FakeApi) -> None:
    api.put("acme", "ses-smtp", username=NAME, password=WORD, allowed_hosts="other.example:587")


def prepare_misspelt_binding(api: FakeApi) -> None:
    prepare_bound_elsewhere(api)
    data = api.secrets["/api/v1/namespaces/acme/secrets/ses-smtp"]["data"]
    data["allowed_hosts"] = data.pop("allowed-hosts")


PROBLEMS: list[tuple[str, Callable[[FakeApi], None]]] = [
    ("secret-missing", prepare_missing),
    ("secret-forbidden", prepare_forbidden),
    ("secret-key-missing", prepare_without_password),
    ("secret-key-missing", prepare_without_data),
    ("secret-invalid", prepare_empty),
    ("secret-invalid", prepare_encrypted),
    ("secret-invalid", prepare_not_text),
    ("secret-invalid", prepare_not_base64),
    ("secret-invalid", prepare_not_json),
    ("secret-not-bound", prepare_bound_elsewhere),
    ("secret-not-bound", prepare_misspelt_binding),
]


@pytest.mark.parametrize(
    ("code", "prepare"), PROBLEMS, ids=lambda value: getattr(value, "__name__", value)
)
def test_each_problem_has_its_code_and_shows_no_value(
    secrets: ApiSecrets, api: FakeApi, code: str, prepare: Callable[[FakeApi], None]
) -> None:
    prepare(api)
    problem = problem_of(secrets)
    assert problem.code == code
    assert "ses-smtp" in problem.message
    assert problem.hint
    for value in (NAME, WORD):
        for form in (value, base64.b64encode(value.encode()).decode()):
            assert form not in f"{problem.message} {problem.hint} {problem!r}"


def test_an_allowed_host_is_allowed(secrets: ApiSecrets, api: FakeApi) -> None:
    api.put("acme", "ses-smtp", username=NAME, password=WORD, allowed_hosts=f"{HOST}:{PORT}\n")
    assert secrets.run().credential(REF, HOST, PORT) == Credential(NAME, WORD)


@pytest.mark.parametrize("status", [NO_ANSWER, 401, 429, 500, 503])
def test_an_api_that_does_not_answer_is_no_missing_secret(
    secrets: ApiSecrets, api: FakeApi, status: int
) -> None:
    api.fail("acme", "ses-smtp", status)
    assert problem_of(secrets).code == "secret-unreadable"


def test_a_secret_that_the_api_cannot_decrypt_stops_no_other(
    secrets: ApiSecrets, api: FakeApi
) -> None:
    api.fail("acme", "broken", 500)
    run = secrets.run()
    assert isinstance(run.credential(SecretRef("acme", "broken"), HOST, PORT), SecretProblem)
    assert run.credential(REF, HOST, PORT) == Credential(NAME, WORD)


def test_an_api_that_is_away_is_asked_once_in_a_run(secrets: ApiSecrets, api: FakeApi) -> None:
    run = secrets.run()
    for number in range(5):
        api.fail("acme", f"s{number}", NO_ANSWER)
        answer = run.credential(SecretRef("acme", f"s{number}"), HOST, PORT)
        assert isinstance(answer, SecretProblem)
        assert answer.code == "secret-unreadable"
    assert len(api.requests) == 1


def test_a_secret_is_read_once_in_a_run(secrets: ApiSecrets, api: FakeApi, clock: Clock) -> None:
    run = secrets.run()
    assert run.credential(REF, HOST, PORT) == Credential(NAME, WORD)
    api.put("acme", "ses-smtp", username=NAME, password="another")
    clock.now += 2 * KEPT
    assert run.credential(REF, HOST, PORT) == Credential(NAME, WORD)
    assert run.credential(REF, "other.example", PORT) == Credential(NAME, WORD)
    assert len(api.requests) == 1


def test_a_value_is_kept_for_a_minute(secrets: ApiSecrets, api: FakeApi, clock: Clock) -> None:
    for seconds, requests in ((0.0, 1), (KEPT - 1, 1), (2.0, 2)):
        clock.now += seconds
        secrets.run().credential(REF, HOST, PORT)
        assert len(api.requests) == requests


def test_a_changed_profile_reads_its_secret_again(secrets: ApiSecrets, api: FakeApi) -> None:
    secrets.run().credential(REF, HOST, PORT)
    api.put("acme", "ses-smtp", username=NAME, password="another")
    secrets.forget("other")
    assert secrets.run().credential(REF, HOST, PORT) == Credential(NAME, WORD)
    secrets.forget("acme")
    assert secrets.run().credential(REF, HOST, PORT) == Credential(NAME, "another")


def test_a_missing_secret_is_looked_for_again_at_once(secrets: ApiSecrets, api: FakeApi) -> None:
    api.secrets.clear()
    assert problem_of(secrets).code == "secret-missing"
    api.put("acme", "ses-smtp", username=NAME, password=WORD)
    assert secrets.run().credential(REF, HOST, PORT) == Credential(NAME, WORD)


def test_a_change_is_noticed_after_a_minute(
    secrets: ApiSecrets, api: FakeApi, clock: Clock
) -> None:
    secrets.run().credential(REF, HOST, PORT)
    api.put("acme", "ses-smtp", username=NAME, password="another")
    assert secrets.changed() == frozenset()
    clock.now += KEPT
    assert secrets.changed() == {REF}
    assert secrets.changed() == frozenset(), "it is reported once"
    assert secrets.run().credential(REF, HOST, PORT) == Credential(NAME, "another")
    api.secrets.clear()
    clock.now += KEPT
    assert secrets.changed() == {REF}, "deleted"
    clock.now += KEPT
    assert secrets.changed() == frozenset()
    api.put("acme", "ses-smtp", username=NAME, password=WORD)
    clock.now += KEPT
    assert secrets.changed() == {REF}, "created again"


def test_nothing_is_read_again_while_the_api_is_away(
    secrets: ApiSecrets, api: FakeApi, clock: Clock
) -> None:
    other = SecretRef("acme", "other")
    for ref in (REF, other):
        secrets.run().credential(ref, HOST, PORT)
    api.requests.clear()
    for name in ("ses-smtp", "other"):
        api.fail("acme", name, NO_ANSWER)
    clock.now += KEPT
    assert secrets.changed() == frozenset()
    assert len(api.requests) == 1
    api.fail("acme", "other", 404)
    api.put("acme", "ses-smtp", username=NAME, password="another")
    assert secrets.changed() == {REF}


def test_a_secret_that_cannot_be_read_for_a_while_is_not_reported(
    secrets: ApiSecrets, api: FakeApi, clock: Clock
) -> None:
    secrets.run().credential(REF, HOST, PORT)
    before = dict(api.secrets)
    api.fail("acme", "ses-smtp", 500)
    for _ in range(2):
        clock.now += KEPT
        assert secrets.changed() == frozenset()
    api.secrets = before
    clock.now += KEPT
    assert secrets.changed() == frozenset()


def test_a_secret_that_nobody_asks_for_is_no_longer_read(
    secrets: ApiSecrets, api: FakeApi, clock: Clock
) -> None:
    secrets.run().credential(REF, HOST, PORT)
    clock.now += UNUSED + 1
    assert secrets.changed() == frozenset()
    assert len(api.requests) == 1


def test_only_some_secrets_are_read_at_once(
    secrets: ApiSecrets, api: FakeApi, clock: Clock
) -> None:
    refs = [SecretRef("acme", f"s{number}") for number in range(120)]
    for ref in refs:
        api.put("acme", ref.name, username=NAME, password=WORD)
        secrets.run().credential(ref, HOST, PORT)
    clock.now += KEPT
    for ref in refs:
        api.put("acme", ref.name, username=NAME, password="another")
    calls = [secrets.changed() for _ in range(4)]
    assert max(map(len, calls)) == 50
    assert frozenset().union(*calls) == set(refs)


def test_no_value_is_in_a_repr_or_a_traceback(
    secrets: ApiSecrets, api: FakeApi, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    run = secrets.run()
    run.credential(REF, HOST, PORT)
    texts = [repr(secrets), repr(run), repr(vars(secrets)), repr(vars(run)), caplog.text]
    prepare_not_json(api)
    secrets.forget("acme")
    texts.append(repr(secrets.run().credential(REF, HOST, PORT)))
    api.fail("acme", "ses-smtp", 500)
    clock.now += KEPT
    texts.append(repr(secrets.run().credential(REF, HOST, PORT)))
    for value in (NAME, WORD):
        for form in (value, base64.b64encode(value.encode()).decode()):
            assert all(form not in text for text in texts)
    with pytest.raises(TypeError):
        pickle.dumps(run.credential(REF, HOST, PORT))
