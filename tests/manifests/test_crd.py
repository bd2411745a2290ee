"""The CustomResourceDefinitions: generated, committed, structural, and as strict as the reader.

A real API server decides on the same documents in :mod:`tests.kubernetes`.
"""

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sendroute.manifests import admission
from sendroute.manifests.crd import as_yaml, crd, file_name
from sendroute.manifests.names import InvalidNameError, domain_name, host
from sendroute.manifests.shapes import KINDS

from .admission_cases import CASES, INT64_MAX, Case, Refused

DIRECTORY = Path(__file__).parents[2] / "charts/sendroute/crds"


@pytest.mark.parametrize("kind", KINDS)
def test_the_committed_definition_is_up_to_date(kind: str, rewrite_cases: bool) -> None:
    path = DIRECTORY / file_name(kind)
    if rewrite_cases:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_yaml(kind))
    assert path.read_text() == as_yaml(kind)


def test_no_other_definition_is_committed() -> None:
    files = {path.name for path in DIRECTORY.iterdir()} - {"kustomization.yaml"}
    assert files == {file_name(kind) for kind in KINDS}


def version_of(kind: str) -> dict[str, Any]:
    [version] = crd(kind)["spec"]["versions"]
    assert isinstance(version, dict)
    return version


def schema_of(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = version_of(kind)["schema"]["openAPIV3Schema"]
    return schema


def parts_of(schema: Any) -> Iterator[dict[str, Any]]:
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from parts_of(inner)
    if "items" in schema:
        yield from parts_of(schema["items"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_a_type_and_a_description(kind: str) -> None:
    root = schema_of(kind)
    for name in ("spec", "status"):
        for part in parts_of(root["properties"][name]):
            assert part["type"] in {"object", "array", "string", "integer", "boolean"}
            for field, inner in part.get("properties", {}).items():
                assert inner.get("description"), field


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_is_bounded(kind: str) -> None:
    """The API server estimates the cost of a rule from the longest values."""

    def check(schema: dict[str, Any], within_rule: bool) -> None:
        here = within_rule or "x-kubernetes-validations" in schema
        if here and schema["type"] == "string":
            assert "maxLength" in schema or "enum" in schema, schema
        if here and schema["type"] == "array":
            assert "maxItems" in schema, schema
        for inner in schema.get("properties", {}).values():
            check(inner, here)
        if "items" in schema:
            check(schema["items"], here)

    check(schema_of(kind)["properties"]["spec"], within_rule=False)


def test_a_domain_cannot_move_and_a_profile_cannot_change_its_account() -> None:
    for kind, fields in (("SendingDomain", {"account", "domain"}), ("SMTPProfile", {"account"})):
        spec = schema_of(kind)["properties"]["spec"]
        rules = {rule["rule"] for rule in spec["x-kubernetes-validations"]}
        assert {f"self.{field} == oldSelf.{field}" for field in fields} <= rules
        assert fields <= set(spec["required"]), "a rule on two states needs the field in both"


def test_an_object_that_nobody_looked_at_says_so() -> None:
    for kind in KINDS:
        assert schema_of(kind)["properties"]["status"]["default"] == {"observedGeneration": -1}
        assert version_of(kind)["subresources"] == {"status": {}}


def test_a_table_shows_what_a_domain_does() -> None:
    columns = version_of("SendingDomain")["additionalPrinterColumns"]
    shown = [column["name"] for column in columns if not column.get("priority")]
    assert shown == ["Account", "Route", "Origin", "Ready", "Reason", "Age"]


# --- the structural part, decided offline -------------------------------------------------------


def as_json_schema(schema: dict[str, Any], *, strict: bool) -> dict[str, Any]:
    """The schema as JSON Schema: with the limits of int64, Python's patterns, and the uniqueness of
    keys left to :func:`unique`."""
    result = dict(schema)
    if schema.get("format") == "int64":
        result |= {"maximum": INT64_MAX}
    if "pattern" in schema:
        result["pattern"] = for_python(schema["pattern"])
    if "properties" in schema:
        result["properties"] = {
            name: as_json_schema(inner, strict=strict)
            for name, inner in schema["properties"].items()
        }
    if schema["type"] == "object" and strict and set(schema.get("properties", ())) != {"name"}:
        result["additionalProperties"] = False
    if "items" in schema:
        result["items"] = as_json_schema(schema["items"], strict=strict)
    return result


def for_python(pattern: str) -> str:
    pattern = re.sub(r"\\x\{([0-9a-f]+)\}", lambda match: f"\\U{match[1]:0>8}", pattern)
    return re.sub(r"(?<!\\)\$", r"\\Z", pattern)


def pruned(value: Any, schema: dict[str, Any]) -> Any:
    """What an API server keeps: no null, and no field that it does not know."""
    match value:
        case dict() if schema["type"] == "object":
            if schema.get("properties", {}).keys() == {"name"}:  # metadata
                return value
            known = schema.get("properties", {})
            return {
                key: pruned(item, known[key])
                for key, item in value.items()
                if key in known and item is not None
            }
        case list() if "items" in schema:
            return [pruned(item, schema["items"]) for item in value]
        case _:
            return value


def keys_are_unique(value: Any, schema: dict[str, Any]) -> bool:
    match value:
        case dict():
            inner = schema.get("properties", {})
            return all(keys_are_unique(value[key], inner[key]) for key in value if key in inner)
        case list() if "x-kubernetes-list-map-keys" in schema:
            keys = [
                tuple(item.get(key) for key in schema["x-kubernetes-list-map-keys"])
                for item in value
            ]
            return len(keys) == len(set(keys))
        case _:
            return True


def structure_accepts(document: dict[str, Any], *, strict: bool) -> bool:
    schema = schema_of(document["kind"])
    value = document if strict else pruned(document, schema)
    judge = jsonschema.Draft202012Validator(as_json_schema(schema, strict=strict))
    return judge.is_valid(value) and keys_are_unique(value, schema)


# Labels and annotations are in no schema: the API server decodes them itself.
DECIDED_HERE = [case for case in CASES if case.why_not is None and "metadata" not in case.name]


@pytest.mark.parametrize("case", DECIDED_HERE, ids=[case.name for case in DECIDED_HERE])
def test_the_structure_refuses_what_the_list_says(case: Case) -> None:
    assert structure_accepts(case.document, strict=False) == (
        case.admission not in {Refused.BY_SCHEMA}
    )
    if case.admission is Refused.IF_STRICT:
        assert not structure_accepts(case.document, strict=True)


# --- the patterns of the rules, against what reads a file ---------------------------------------


def matches(pattern: str, text: str) -> bool:
    return re.search(for_python(pattern), text) is not None


OCTETS = st.sampled_from(["0", "1", "9", "10", "64", "128", "192", "255", "256", "00", "01", ""])
GROUPS = st.sampled_from(["", "0", "1", "ff", "FFFF", "2001", "12345", "g", "192.0.2.1"])
ADDRESSES = st.one_of(
    st.lists(OCTETS, min_size=3, max_size=5).map(".".join),
    st.lists(GROUPS, min_size=2, max_size=10).map(":".join),
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda address: address.exploded),
)


@given(ADDRESSES, st.booleans())
def test_an_address_is_what_reading_a_file_takes_for_one(text: str, brackets: bool) -> None:
    text = f"[{text}]" if brackets else text
    try:
        expected = host(text).is_address
    except InvalidNameError:
        expected = False
    assert matches(admission.ADDRESS, text) == expected


@given(
    st.one_of(
        st.lists(OCTETS, min_size=4, max_size=4).map(".".join),
        st.ip_addresses(v=4).map(str),
        st.builds(
            lambda bits, prefix: str(ipaddress.ip_network((bits, prefix), strict=False)[0]),
            st.integers(0, 2**32 - 1),
            st.integers(0, 32),
        ),
    ),
    st.integers(0, 33),
)
def test_a_network_is_what_reading_a_file_takes_for_one(address: str, prefix: int) -> None:
    try:
        ipaddress.IPv4Network(f"{address}/{prefix}")
        expected = True
    except ValueError:
        expected = False
    assert matches(admission.CIDR, f"{address}/{prefix}") == expected


def is_name(text: str, labels: str) -> bool:
    ascii_name, other_name = admission.name_patterns(labels)
    if text.isascii():
        is_name = matches(ascii_name, text) and len(text) <= 253
    else:
        is_name = matches(other_name, text)
    return is_name and not matches(admission.NUMBER_AT_END, text)


LABELS = st.one_of(
    st.text(st.sampled_from("aZ0-_ .@\u3002ü☃"), max_size=4),
    st.sampled_from(["shop", "x" * 63, "x" * 64, "123", "0x1F", "0x", "xn--bcher-kva", "example"]),
)


@given(st.lists(LABELS, min_size=1, max_size=5).map(".".join))
def test_no_rule_refuses_a_name_that_reading_a_file_accepts(text: str) -> None:
    """The other way round holds for names in ASCII without A-labels, which need no table."""
    for read, labels in ((domain_name, "+"), (host, "*")):
        try:
            read(text)
            accepted = True
        except InvalidNameError:
            accepted = False
        if matches(admission.ADDRESS, text):
            continue
        by_rule = is_name(text, labels)
        if text.isascii() and "xn--" not in text.lower():
            assert by_rule == accepted, text
        assert by_rule or not accepted, text


def test_every_rule_belongs_to_a_field_that_exists() -> None:
    for shape, field in admission.FIELD_RULES:
        assert field in shape.__struct_encode_fields__
    for shape, rules in admission.SHAPE_RULES.items():
        fields = {f".{field}" for field in shape.__struct_encode_fields__}
        assert {rule.path for rule in rules} <= fields | {".metadata.name"}


def test_definitions_are_read_alike_by_all_yaml() -> None:
    for kind in KINDS:
        assert yaml.safe_load(as_yaml(kind)) == crd(kind)
