"""The registry that counts are kept in; prometheus-client is imported when there is one."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


def registry() -> "CollectorRegistry":
    """One of our own, not the library's global one: with the process's memory, processor time and
    open files in it, and the version of Python."""
    from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

    made = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    return made
