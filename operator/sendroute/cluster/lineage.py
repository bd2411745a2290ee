"""Whether the store is the one whose state the cluster shows."""

from collections.abc import Iterable

from sendroute.cluster.objects import ClusterObject
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, TenantText

_HINT = (
    "Nothing is assigned again. Create the store from its lock file or its backup. If the new store"
    " is meant, remove status.store of the MailAccounts and of the MailPlatform."
)


def shown_lineage(item: ClusterObject) -> str:
    """The lineage of the store in an object's status; empty if it has none."""
    status = item.status or {}
    store = status.get("store")
    lineage = store.get("lineage") if isinstance(store, dict) else None
    return lineage if isinstance(lineage, str) else ""


def check_lineage(
    objects: Iterable[ClusterObject], lineage: str, *, is_empty: bool
) -> Finding | None:
    """Compare the store with what the statuses in the cluster show.

    Args:
        objects: MailAccounts and the MailPlatform.
        lineage: that of the given store.
        is_empty: whether the given store holds no domain.

    Returns:
        The finding about another store; None if it is the right one, or if no status names one.
    """
    for item in objects:
        shown = shown_lineage(item)
        if shown and shown != lineage:
            written = f"was written from the store {shown}, but the given store is {lineage}."
            account = item.account
            return finding(
                "store-empty" if is_empty else "wrong-store",
                f"The status of {item.key} {written}",
                hint=_HINT,
                for_tenant=TenantText(
                    f"The status of an object {written}",
                    _HINT,
                    () if account is None else (account,),
                ),
            )
    return None
