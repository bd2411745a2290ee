"""The metrics registry; prometheus-client is imported when it is created."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


def registry() -> "CollectorRegistry":
    """Create a registry, instead of the library's global one, with the process's memory, processor
    time, open files and Python version."""
    from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

    created = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=created)
    PlatformCollector(registry=created)
    return created
