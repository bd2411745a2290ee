"""Approvals by annotation: ``sendroute.dev/approve: DIGEST`` on the MailAccount, or on the
MailPlatform for an account whose MailAccount is gone.

The annotation approves the one change that is held back with this digest. It stays on the object,
and approves nothing else later.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from sendroute.cluster.answers import decoder
from sendroute.cluster.api import SHORT_TIMEOUT, ApiError, SendsRequests, path_of_object
from sendroute.cluster.objects import APPROVE, PLATFORM_KIND, ClusterObject, ObjectKey
from sendroute.model.account_status import AccountStatus
from sendroute.model.owner import Owner
from sendroute.reconcile.approvals import (
    ApprovalStore,
    approve_held_back,
    held_back_accounts,
    is_digest_of,
)

UNKNOWN_ACTOR = "kubernetes"
"""Who approved, if the API does not say who wrote the annotation."""

_FIELD = f"f:{APPROVE}"
_LONGEST = 128

_decode = decoder(object)

_log = logging.getLogger(__name__)


def digest_in(text: str) -> str:
    """The digest in the value of an annotation."""
    return text.strip().lower()


def approve_annotated(
    store: ApprovalStore,
    annotated: Iterable[ClusterObject],
    statuses: Mapping[Owner, AccountStatus],
    find_writer: Callable[[ObjectKey], str],
    at: datetime,
) -> int:
    """Record the approvals that annotations give.

    Args:
        store: the store.
        annotated: objects with annotations.
        statuses: the account statuses.
        find_writer: finds who wrote the annotation of an object.
        at: the time, aware, in UTC.

    Returns:
        How many changes were approved now.
    """
    approved = 0
    for seen, status in _approvals(annotated, statuses):
        actor = find_writer(seen.key)
        if approve_held_back(store, status, actor, at):
            approved += 1
            _log.info(
                "The change of account %s is approved by %s on %s.", status.key, actor, seen.key
            )
    return approved


def _approvals(
    annotated: Iterable[ClusterObject], statuses: Mapping[Owner, AccountStatus]
) -> Iterator[tuple[ClusterObject, AccountStatus]]:
    """Each change that is held back, and not approved yet, with the object that approves it."""
    waiting = {
        key: status for key, status in held_back_accounts(statuses).items() if not status.approved
    }
    for seen in annotated if waiting else ():
        text = seen.annotations.get(APPROVE)
        if text is None:
            continue
        if seen.key.kind == PLATFORM_KIND:
            digests = frozenset(map(digest_in, text.split(",")))
            approved = [key for key, status in waiting.items() if status.digest in digests]
        else:
            approved = [
                key
                for key, status in waiting.items()
                if key == seen.account
                and seen.key.kind == "MailAccount"
                and is_digest_of(status, digest_in(text))
            ]
        for key in approved:
            yield seen, waiting.pop(key)


def writer_of(api: SendsRequests, key: ObjectKey) -> str:
    """Find who wrote the annotation of an object, as the API records it.

    Args:
        api: the Kubernetes API.
        key: the object.

    Returns:
        The field manager, after ``kubernetes:``; ``kubernetes`` if that is unknown.
    """
    try:
        document = _decode(api.request("GET", path_of_object(key), timeout=SHORT_TIMEOUT))
    except (ApiError, msgspec.DecodeError):
        return UNKNOWN_ACTOR
    managers = [entry for entry in _entries(document) if _owns_annotation(entry)]
    if not managers:
        return UNKNOWN_ACTOR
    latest = max(managers, key=lambda entry: str(entry.get("time", "")))
    return f"{UNKNOWN_ACTOR}:{latest.get('manager', '')}"[:_LONGEST]


def _entries(document: Any) -> list[dict[str, Any]]:
    """https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management"""
    entries = _field(_field(document, "metadata"), "managedFields")
    return [entry for entry in entries if isinstance(entry, dict)] if entries else []


def _owns_annotation(entry: Mapping[str, Any]) -> bool:
    fields = _field(_field(entry.get("fieldsV1"), "f:metadata"), "f:annotations")
    return isinstance(fields, dict) and _FIELD in fields


def _field(value: Any, name: str) -> Any:
    """A field of an object that a tenant may have given any form."""
    return value.get(name) if isinstance(value, dict) else None
