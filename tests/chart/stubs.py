"""CustomResourceDefinitions of other projects' kinds, as stubs.yaml describes them."""

from pathlib import Path
from typing import Any

import yaml

_FREE = {"x-kubernetes-preserve-unknown-fields": True}
_TYPES: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "truth": {"type": "boolean"},
    "number": {"type": "integer"},
    "map": {"type": "object", **_FREE},
    "list": {"type": "array", "items": _FREE},
}


def stubs() -> list[dict[str, Any]]:
    """The definitions."""
    described = yaml.safe_load(Path(__file__).with_name("stubs.yaml").read_text())
    return [_definition(**stub) for stub in described]


def _definition(group: str, version: str, kind: str, spec: dict[str, str]) -> dict[str, Any]:
    fields = {name: _TYPES[of] for name, of in spec.items()}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}
    plural = f"{kind.lower()[:-1]}ies" if kind.endswith("y") else f"{kind.lower()}s"
    plural = plural.replace("classs", "classes")
    served = {"name": version, "served": True, "storage": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{**served, "schema": {"openAPIV3Schema": schema}}],
        },
    }
