"""CustomResourceDefinitions of the kinds, derived from the shapes.

The structural schema has the types and limits, :mod:`~sendroute.manifests.admission` the rest. An
API server refuses what reading a file refuses, as far as that depends on no other object.
Kubernetes drops fields that no schema describes, unless a client asks to refuse them, as kubectl
does. No rule runs on an object that the structural schema refuses, and the schema's own words name
no field of a union with two fields ("Too many: 2"). So a rule alone refuses the second field, and
names all of them.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec import inspect

from sendroute.manifests.admission import AdmissionRule, rule_of, rules_of
from sendroute.manifests.fields import OneOfShape
from sendroute.manifests.models import bare, type_of
from sendroute.manifests.shapes import API_GROUP, API_VERSION
from sendroute.manifests.statuses import STATUSES
from sendroute.manifests.yaml_writer import slow_dump
from sendroute.model.stored_values import INT64_MAX

_VERSION = API_VERSION.partition("/")[2]
CATEGORY = "sendroute"


class Column(NamedTuple):
    """A column of ``kubectl get``. ``wide``: only with ``-o wide``."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False


class Resource(NamedTuple):
    """How the API names a kind, and what a table of its objects shows."""

    plural: str
    singular: str
    short: str
    columns: tuple[Column, ...]


def _condition(field: str) -> str:
    return f'.status.conditions[?(@.type=="Ready")].{field}'


_STATE = (
    Column("Ready", _condition("status")),
    Column("Reason", _condition("reason")),
    Column("Age", ".metadata.creationTimestamp", "date"),
    Column("Message", _condition("message"), wide=True),
)
_ACCOUNT = Column("Account", ".spec.account")

RESOURCES: dict[str, Resource] = {
    "MailPlatform": Resource("mailplatforms", "mailplatform", "mplat", _STATE),
    "MailAccount": Resource(
        "mailaccounts",
        "mailaccount",
        "macct",
        (
            Column("Plan", ".spec.plan"),
            Column("Default", ".status.effectiveDefaultText"),
            Column("Domains", ".status.counts.domains", "integer"),
            *_STATE,
        ),
    ),
    "SMTPProfile": Resource(
        "smtpprofiles",
        "smtpprofile",
        "smtpp",
        (
            _ACCOUNT,
            Column("Provider", ".spec.provider", wide=True),
            Column("Host", ".spec.host"),
            *_STATE,
        ),
    ),
    "SendingDomain": Resource(
        "sendingdomains",
        "sendingdomain",
        "sdom",
        (
            _ACCOUNT,
            Column("Domain", ".spec.domain", wide=True),
            Column("Route", ".status.routeText"),
            Column("Origin", ".status.origin"),
            *_STATE,
        ),
    ),
}
# Lists of mappings that have a key: the API server refuses two items with one key.
_LIST_KEYS = {"plans": ["name"], "conditions": ["type"], "heldBack": ["namespace", "account"]}
_TYPE_META = {
    "apiVersion": {"type": "string", "description": "The API group and version."},
    "kind": {"type": "string", "description": "The kind of the object."},
}


def crd(kind: str) -> dict[str, Any]:
    """Create the CustomResourceDefinition of a kind.

    Args:
        kind: one of :data:`~sendroute.manifests.shapes.KINDS`.

    Returns:
        The definition, as plain data.

    Raises:
        KeyError: the kind is unknown.
    """
    resource = RESOURCES[kind]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{API_GROUP}"},
        "spec": {
            "group": API_GROUP,
            "scope": "Cluster" if kind == "MailPlatform" else "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": resource.plural,
                "singular": resource.singular,
                "shortNames": [resource.short],
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": _VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(item) for item in resource.columns],
                    "schema": {"openAPIV3Schema": _root(kind)},
                }
            ],
        },
    }


def as_yaml(kind: str) -> str:
    """Return the CustomResourceDefinition of a kind as a YAML document."""
    return slow_dump(crd(kind))


def file_name(kind: str) -> str:
    """Return the name of a committed definition."""
    return f"{RESOURCES[kind].plural}.yaml"


def _column(column: Column) -> dict[str, Any]:
    priority = {"priority": 1} if column.wide else {}
    return {"name": column.name, "type": column.type, "jsonPath": column.path, **priority}


def _root(kind: str) -> dict[str, Any]:
    node = type_of(kind)
    types = {field.encode_name: field.type for field in node.fields}
    metadata: Any = bare(types["metadata"])
    name = next(field for field in metadata.fields if field.encode_name == "name")
    limits = _schema(name.type)
    del limits["description"]
    status = _schema(inspect.type_info(STATUSES[kind]))
    return {
        "type": "object",
        "description": _summary(node.cls),
        "required": ["metadata", "spec"],
        "properties": {
            **_TYPE_META,
            "metadata": {"type": "object", "properties": {"name": limits}},
            "spec": _schema(types["spec"]),
            # Tools that wait for an object to be ready take it for one that nobody looked at.
            "status": {**status, "default": {"observedGeneration": -1}},
        },
        **_validations(rules_of(node.cls)),
    }


def _schema(node: inspect.Type) -> dict[str, Any]:
    """The structural schema of a value, with its description."""
    words = node.extra_json_schema or {} if isinstance(node, inspect.Metadata) else {}
    schema = _bare_schema(bare(node))
    if description := words.get("description"):
        schema["description"] = description
    return schema


def _bare_schema(node: inspect.Type) -> dict[str, Any]:
    match node:
        case inspect.StructType():
            return _object(node)
        case inspect.ListType(item_type=item, min_length=least, max_length=most):
            return {"type": "array", "items": _schema(item)} | _given(minItems=least, maxItems=most)
        case inspect.StrType(min_length=least, max_length=most, pattern=pattern):
            return {
                "type": "string",
                **_given(minLength=least, maxLength=most),
                **({} if pattern is None else {"pattern": _re2(pattern)}),
            }
        case inspect.IntType(ge=least, le=most):
            narrow = most is not None and most < 2**31
            # int64 is the limit itself, and a schema's numbers are floats, which cannot hold it.
            maximum = None if most == INT64_MAX else most
            return {
                "type": "integer",
                "format": "int32" if narrow else "int64",
                **_given(minimum=least, maximum=maximum),
            }
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.DateTimeType():
            return {"type": "string", "format": "date-time"}
        case inspect.LiteralType(values=values):
            return {"type": "string", "enum": list(values)}
        case inspect.EnumType(cls=enum):
            return {"type": "string", "enum": [str(member.value) for member in enum]}
        case other:
            raise NotImplementedError(f"no schema is derived from {other}")


def _object(node: inspect.StructType) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for field in node.fields:
        schema = properties[field.encode_name] = _schema(field.type)
        rule = rule_of(node.cls, field.encode_name)
        if rule is not None:
            of_items = schema["type"] == "array"
            (schema["items"] if of_items else schema).update(_validations([rule]))
        if keys := _LIST_KEYS.get(field.encode_name):
            schema |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
    required = [field.encode_name for field in node.fields if field.required]
    union = {"minProperties": 1} if issubclass(node.cls, OneOfShape) else {}
    return {
        "type": "object",
        "description": _summary(node.cls),
        **({"required": required} if required else {}),
        **({"properties": properties} if properties else {}),
        **union,
        **_validations(rules_of(node.cls)),
    }


def _validations(rules: list[AdmissionRule]) -> dict[str, Any]:
    return {"x-kubernetes-validations": list(map(_validation, rules))} if rules else {}


def _validation(rule: AdmissionRule) -> dict[str, Any]:
    where = {"fieldPath": rule.path} if rule.path else {}
    return {"rule": rule.condition, "message": rule.message, **where}


def _given(**limits: int | None) -> dict[str, int]:
    return {name: limit for name, limit in limits.items() if limit is not None}


def _re2(pattern: str) -> str:
    """A pattern of the shapes for Go, whose ``$`` is only the end, and whose text holds no lone
    surrogate."""
    return "".join(_pieces(pattern.replace(r"\ud800-\udfff", "").replace(r"\Z", "$")))


def _pieces(pattern: str) -> Iterator[str]:
    before, *rest = pattern.split(r"\u")
    yield before
    for piece in rest:
        yield rf"\x{{{piece[:4]}}}{piece[4:]}"


def _summary(shape: type) -> str:
    return " ".join((shape.__doc__ or "").partition("\n\n")[0].split()).replace("`", "")
