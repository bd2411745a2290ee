"""What kstatus says of an object: the rules of the library that Argo CD's and Flux's waiting and
``kubectl``-like tools share, without their special cases for built-in kinds.

https://github.com/kubernetes-sigs/cli-utils/blob/5895ad6c/pkg/kstatus/status/generic.go
(checkGenericProperties, checkGeneration) and status.go (checkReadyCondition).
"""

from typing import Any


def kstatus(generation: int, status: dict[str, Any] | None) -> str:
    """Compute what a tool that waits sees.

    Args:
        generation: ``metadata.generation``.
        status: ``status``, None without one.

    Returns:
        ``Current``, ``InProgress`` or ``Failed``.
    """
    status = status or {}
    observed = status.get("observedGeneration")
    if observed is not None and observed != generation:
        return "InProgress"
    conditions = status.get("conditions", [])
    for condition in conditions:
        if condition["status"] == "True" and condition["type"] == "Reconciling":
            return "InProgress"
        if condition["status"] == "True" and condition["type"] == "Stalled":
            return "Failed"
    for condition in conditions:
        if condition["type"] == "Ready":
            return "Current" if condition["status"] == "True" else "InProgress"
    return "Current"
