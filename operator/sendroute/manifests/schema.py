"""JSON Schemas of the manifests, generated from the shapes.

They accept exactly the documents that :func:`~sendroute.manifests.shapes.decode` accepts. The
patterns use only what the regular expressions of Python, ECMAScript, Go and Rust have in common, so
that every validator reads them in the same way.
"""

import re
from inspect import cleandoc
from typing import Any, Literal

import msgspec

from sendroute.manifests.shapes import API_GROUP, KINDS

Draft = Literal["2020-12", "draft-07"]
DRAFTS: tuple[Draft, ...] = ("2020-12", "draft-07")

_DIALECT = {
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
    "draft-07": "http://json-schema.org/draft-07/schema#",
}
_HOME = "https://sendroute.dev/schemas"
# Of the structs whose plain name is that of a value in the model; authors see the plain name.
_SUFFIX = "Shape"


def schema_for(kind: str | None, draft: Draft = "2020-12") -> dict[str, Any]:
    """Create the JSON Schema of a kind.

    Args:
        kind: the kind, or None for any document of a tree: one of ours, a ``List`` of documents, or
            a foreign document, which may have any content.
        draft: most editors support ``draft-07``.

    Returns:
        The schema, as plain data.

    Raises:
        KeyError: the kind is unknown.
    """
    kinds = list(KINDS) if kind is None else [kind]
    definitions = _definitions(kinds)
    if kind is None:
        kind_schema = _any_document()
        definitions["Document"] = _document()
    else:
        kind_schema = definitions.pop(kind)
    name = file_name(kind, draft)
    schema = {
        "$schema": _DIALECT[draft],
        "$id": f"{_HOME}/{name}",
        **kind_schema,
        "$defs": definitions,
    }
    return schema if draft == "2020-12" else _as_draft_07(schema)


def file_name(kind: str | None, draft: Draft) -> str:
    """Return the path of a schema in the directory ``schemas``, which also ends its ``$id``."""
    return ("" if draft == "2020-12" else f"{draft}/") + f"{kind or 'any'}.json"


def _definitions(kinds: list[str]) -> dict[str, Any]:
    types = [KINDS[kind] for kind in kinds]
    _, components = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    named = {name.removesuffix(_SUFFIX): schema for name, schema in components.items()}
    return {name: _portable(schema) for name, schema in sorted(named.items())}


def _any_document() -> dict[str, Any]:
    group_and_kind = {"apiVersion": {"const": "v1"}, "kind": {"const": "List"}}
    a_list = {
        "type": "object",
        "required": ["apiVersion", "kind", "items"],
        "properties": {**group_and_kind, "items": {"type": "array"}},
    }
    items = {"items": {"items": {"$ref": "#/$defs/Document"}}}
    return {
        "title": "Sendroute manifest",
        "description": "Any document of a tree: one of Sendroute's kinds, a List, or a document of "
        "another API group, which is skipped.",
        "allOf": [{"$ref": "#/$defs/Document"}, {"if": a_list, "then": {"properties": items}}],
    }


def _document() -> dict[str, Any]:
    """One of ours, or a foreign document. A document is ours if it is of our API group, in upper or
    lower case, or if it is of one of our kinds and has no group."""
    letters = (f"[{char}{char.upper()}]" if char.isalpha() else r"\." for char in API_GROUP)
    of_our_group = {
        "type": "object",
        "required": ["apiVersion"],
        "properties": {"apiVersion": {"type": "string", "pattern": f"^{''.join(letters)}(/|$)"}},
    }
    of_any_group = {
        "required": ["apiVersion"],
        "properties": {"apiVersion": {"type": "string", "minLength": 1}},
    }
    rules: list[dict[str, Any]] = [
        {
            "if": of_our_group,
            "then": {"required": ["kind"], "properties": {"kind": {"enum": list(KINDS)}}},
        }
    ]
    for kind in KINDS:
        is_ours = {
            "type": "object",
            "required": ["kind"],
            "properties": {"kind": {"const": kind}},
            "anyOf": [of_our_group, {"not": of_any_group}],
        }
        rules.append({"if": is_ours, "then": {"$ref": f"#/$defs/{kind}"}})
    return {"title": "Document", "allOf": rules}


def _portable(value: Any) -> Any:
    """Return the schema with plain names, and with patterns that every dialect reads alike."""
    match value:
        case {"$ref": str(ref), **rest}:
            return {**_portable(rest), "$ref": ref.removesuffix(_SUFFIX)}
        case {"title": str(title), "type": "object", **rest}:
            return {"title": title.removesuffix(_SUFFIX), "type": "object", **_portable(rest)}
        case {"pattern": str(pattern), **rest}:
            # "$" also matches before a newline at the end in Python's dialect, and "\\Z" is only
            # Python's: so a newline is refused by a rule of its own.
            return {**rest, "pattern": _common(pattern), "not": {"pattern": "\\n"}}
        case dict():
            return {key: _portable(_unindented(key, item)) for key, item in value.items()}
        case list():
            return [_portable(item) for item in value]
        case _:
            return value


def _unindented(key: str, value: Any) -> Any:
    """Versions of msgspec differ in whether they keep the indentation of a docstring."""
    return cleandoc(value) if key == "description" and isinstance(value, str) else value


def _common(pattern: str) -> str:
    # A lone surrogate cannot be written in a file of UTF-8, and its range would forbid every
    # character beyond the BMP where ECMAScript matches UTF-16 units.
    pattern = pattern.replace(r"\Z", "$").replace(r"\ud800-\udfff", "")
    return re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), pattern)


def _as_draft_07(value: Any) -> Any:
    """Return the schema in draft-07: ``definitions``, and no other key beside a ``$ref``, which
    would hide it."""
    match value:
        case {"$ref": str(ref), **rest}:
            pointer = {"$ref": ref.replace("#/$defs/", "#/definitions/")}
            return {**_as_draft_07(rest), "allOf": [pointer]} if rest else pointer
        case dict():
            return {
                "definitions" if key == "$defs" else key: _as_draft_07(item)
                for key, item in value.items()
            }
        case list():
            return [_as_draft_07(item) for item in value]
        case _:
            return value
