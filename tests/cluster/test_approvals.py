"""Approvals by annotation: exactly the change that is held back, and recorded with who gave it."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from tests.cluster.projected import ACCOUNT, PLATFORM, PROFILE, objects_in
from tests.cluster.recording_api import RecordingApi

from sendroute.cluster.api import ApiError
from sendroute.cluster.approvals import approve_annotated, writer_of
from sendroute.cluster.objects import APPROVE, ClusterObject, ObjectKey
from sendroute.model.account_status import AccountStatus, Approval, StatusReason, StatusReport
from sendroute.model.desired import AccountKey
from sendroute.model.owner import PLATFORM as THE_PLATFORM
from sendroute.model.owner import Owner
from sendroute.model.provenance import Provenance

ACME, ZETA = AccountKey("acme", "acme"), AccountKey("zeta", "zeta")
DIGEST = "b8d6fd0d3b6a87663fcf1cd6e27a38b8d34e783a38d21913ef948368611fa0a6"
OTHER = "4f1a22b09c6a87663fcf1cd6e27a38b8d34e783a38d21913ef948368611fa0a6"
AT = datetime(2026, 11, 28, 20, 0, tzinfo=UTC)


def held(key: AccountKey, digest: str, **fields: Any) -> AccountStatus:
    status = AccountStatus(key, StatusReason.HELD_BACK, StatusReport(), AT, digest)
    return msgspec.structs.replace(status, **fields)


class Store:
    def __init__(self, *, gone: bool = False) -> None:
        self.approved: list[tuple[AccountKey, str | None, str]] = []
        self.gone = gone

    def approve(self, shown: AccountStatus, provenance: Provenance) -> bool:
        assert isinstance(shown.key, AccountKey)
        self.approved.append((shown.key, shown.digest, provenance.actor))
        return not self.gone


def annotated(document: str, value: str | None) -> ClusterObject:
    [seen] = objects_in(document)
    annotations = {} if value is None else {APPROVE: value}
    return msgspec.structs.replace(seen, annotations=annotations)


def approve(store: Store, *objects: ClusterObject, **statuses: AccountStatus) -> int:
    by_owner: dict[Owner, AccountStatus] = {item.key: item for item in statuses.values()}
    return approve_annotated(store, objects, by_owner, lambda _key: "kubernetes:kubectl", AT)


@pytest.mark.parametrize("value", [DIGEST, f" {DIGEST.upper()}\n", DIGEST[:10]])
def test_the_digest_on_the_account_approves_its_change(value: str) -> None:
    store = Store()
    assert approve(store, annotated(ACCOUNT, value), acme=held(ACME, DIGEST)) == 1
    assert store.approved == [(ACME, DIGEST, "kubernetes:kubectl")]


@pytest.mark.parametrize("value", [OTHER, "", DIGEST[:7], "*", "yes", None])
def test_another_value_approves_nothing(value: str | None) -> None:
    store = Store()
    assert approve(store, annotated(ACCOUNT, value), acme=held(ACME, DIGEST)) == 0
    assert store.approved == []


def test_an_account_approves_no_change_of_another_one() -> None:
    store = Store()
    assert approve(store, annotated(ACCOUNT, DIGEST), zeta=held(ZETA, DIGEST)) == 0
    assert store.approved == []


def test_no_other_kind_of_an_account_approves() -> None:
    store = Store()
    assert approve(store, annotated(PROFILE, DIGEST), acme=held(ACME, DIGEST)) == 0
    assert store.approved == []


def test_the_platform_approves_accounts_whose_object_is_gone() -> None:
    store = Store()
    platform = annotated(PLATFORM, f"{OTHER}, {DIGEST}")
    statuses = {"acme": held(ACME, DIGEST), "zeta": held(ZETA, OTHER)}
    assert approve(store, platform, **statuses) == 2
    assert {key for key, *_ in store.approved} == {ACME, ZETA}


def test_the_platform_needs_the_whole_digest() -> None:
    store = Store()
    assert approve(store, annotated(PLATFORM, DIGEST[:20]), acme=held(ACME, DIGEST)) == 0


def test_what_is_approved_already_is_not_approved_again() -> None:
    store = Store()
    done = held(ACME, DIGEST, approval=Approval(DIGEST, "ada", AT))
    assert approve(store, annotated(ACCOUNT, DIGEST), acme=done) == 0
    assert store.approved == []


def test_an_account_that_only_failed_is_not_approved() -> None:
    store = Store()
    failed = held(ACME, DIGEST, reason=StatusReason.FAILED)
    assert approve(store, annotated(ACCOUNT, DIGEST), acme=failed) == 0


def test_a_change_that_is_no_longer_held_back_is_not_approved() -> None:
    assert approve(Store(gone=True), annotated(ACCOUNT, DIGEST), acme=held(ACME, DIGEST)) == 0


def test_the_status_of_the_platform_is_no_change_of_an_account() -> None:
    status = AccountStatus(THE_PLATFORM, StatusReason.HELD_BACK, StatusReport(), AT, DIGEST)
    store = Store()
    assert (
        approve_annotated(store, [annotated(PLATFORM, DIGEST)], {THE_PLATFORM: status}, str, AT)
        == 0
    )


KEY = ObjectKey("MailAccount", "acme", "acme")
PATH = "/apis/sendroute.dev/v1alpha1/namespaces/acme/mailaccounts/acme"


def entry(manager: str, at: str, *annotations: str) -> dict[str, Any]:
    fields = {f"f:{name}": {} for name in annotations}
    return {
        "manager": manager,
        "time": at,
        "fieldsV1": {"f:metadata": {"f:annotations": fields}, "f:spec": {}},
    }


def test_who_approved_is_the_last_manager_of_the_annotation() -> None:
    api = RecordingApi()
    api.answers[PATH] = {
        "metadata": {
            "managedFields": [
                entry("argocd", "2026-11-28T20:05:00Z", "other"),
                entry("kubectl-annotate", "2026-11-28T20:04:00Z", APPROVE),
                entry("flux", "2026-11-28T20:03:00Z", APPROVE),
            ]
        }
    }
    assert writer_of(api, KEY) == "kubernetes:kubectl-annotate"
    api.answers[PATH] = {"metadata": {}}
    assert writer_of(api, KEY) == "kubernetes"
    api.fails = lambda *_: ApiError(503, "away")
    assert writer_of(api, KEY) == "kubernetes"
