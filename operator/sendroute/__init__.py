"""Sendroute: a GitOps reconciler for outbound email.

The public names below are imported on first use, so ``import sendroute`` costs next to nothing.
"""

# Type checkers take this name for typing's own; importing typing would triple the import's time.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from sendroute.api import load, open_store, plan, validate
    from sendroute.manifests.tree import LoadedTree
    from sendroute.model.change import (
        AccountChange,
        AccountPlan,
        Action,
        Change,
        DomainChange,
        Plan,
        PlatformChange,
        ProfileChange,
    )
    from sendroute.model.current import Current
    from sendroute.model.desired import AccountKey, Desired
    from sendroute.model.finding import Finding, Position, Severity, Where
    from sendroute.model.problem import ProblemError
    from sendroute.model.route import MANAGED, UNCONFIGURED, Origin, Route, via
    from sendroute.model.version import __version__
    from sendroute.planner.guards import Guards
    from sendroute.store.record import Store

_MODULES = {
    "api": ("load", "open_store", "plan", "validate"),
    "manifests.tree": ("LoadedTree",),
    "model.change": (
        "AccountChange",
        "AccountPlan",
        "Action",
        "Change",
        "DomainChange",
        "Plan",
        "PlatformChange",
        "ProfileChange",
    ),
    "model.current": ("Current",),
    "model.desired": ("AccountKey", "Desired"),
    "model.finding": ("Finding", "Position", "Severity", "Where"),
    "model.problem": ("ProblemError",),
    "model.route": ("MANAGED", "UNCONFIGURED", "Origin", "Route", "via"),
    "model.version": ("__version__",),
    "planner.guards": ("Guards",),
    "store.record": ("Store",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "MANAGED",
    "UNCONFIGURED",
    "AccountChange",
    "AccountKey",
    "AccountPlan",
    "Action",
    "Change",
    "Current",
    "Desired",
    "DomainChange",
    "Finding",
    "Guards",
    "LoadedTree",
    "Origin",
    "Plan",
    "PlatformChange",
    "Position",
    "ProblemError",
    "ProfileChange",
    "Route",
    "Severity",
    "Store",
    "Where",
    "__version__",
    "load",
    "open_store",
    "plan",
    "validate",
    "via",
]


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    from importlib import import_module

    if name not in _MODULE_OF:
        raise AttributeError(f"module 'sendroute' has no attribute {name!r}")
    value = getattr(import_module(f"sendroute.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
