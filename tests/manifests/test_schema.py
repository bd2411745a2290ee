"""The schemas: generated, committed, and exactly as strict as the reader."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import jsonschema
import pytest
from jsonschema.protocols import Validator
from pydantic import Field, TypeAdapter, ValidationError

from sendroute.manifests.schema import DRAFTS, Draft, file_name, schema_for
from sendroute.manifests.shapes import KINDS

DIRECTORY = Path(__file__).parents[2] / "schemas"
NAMES: list[str | None] = [*KINDS, None]


def validator(kind: str | None, draft: Draft) -> Validator:
    schema = schema_for(kind, draft)
    judge = jsonschema.validators.validator_for(schema)
    judge.check_schema(schema)
    schema_validator: Validator = judge(schema)
    return schema_validator


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("kind", NAMES, ids=str)
def test_the_committed_schema_is_up_to_date(
    kind: str | None, draft: Draft, request: pytest.FixtureRequest
) -> None:
    path = DIRECTORY / file_name(kind, draft)
    text = json.dumps(schema_for(kind, draft), indent=2) + "\n"
    if request.config.getoption("--rewrite-cases", default=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text


def test_no_other_schema_is_committed() -> None:
    files = {path.relative_to(DIRECTORY).as_posix() for path in DIRECTORY.rglob("*.json")}
    assert files == {file_name(kind, draft) for kind in NAMES for draft in DRAFTS}


def fields_of(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        properties = schema.get("properties", {})
        yield from properties.items()
        for part in schema.values():
            yield from fields_of(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from fields_of(part)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described_and_its_examples_are_valid(kind: str) -> None:
    schema = schema_for(kind)
    for name, field in fields_of(schema):
        if name == "kind":
            continue
        assert field.get("description"), name
        judge = jsonschema.Draft202012Validator({**field, "$defs": schema["$defs"]})
        for example in field.get("examples", ()):
            judge.validate(example)


def patterns_of(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, part in schema.items():
            if key == "pattern" and isinstance(part, str):
                yield part
            yield from patterns_of(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from patterns_of(part)


@pytest.mark.parametrize("draft", DRAFTS)
def test_patterns_use_only_what_all_dialects_support(draft: Draft) -> None:
    for pattern in patterns_of(schema_for(None, draft)):
        assert "(?" not in pattern  # no lookaround in RE2 and Rust
        assert r"\Z" not in pattern
        assert r"\u" not in pattern
        # The dialects of Rust and RE2: no pattern accepts a newline at the end.
        rust = TypeAdapter(Annotated[str, Field(pattern=pattern)])
        if pattern == r"\n":
            continue
        with pytest.raises(ValidationError):
            rust.validate_python("acme\n")


def beside_refs(schema: Any) -> Iterator[set[str]]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield set(schema) - {"$ref"}
        for part in schema.values():
            yield from beside_refs(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from beside_refs(part)


def test_draft_07_has_nothing_beside_a_reference() -> None:
    assert set().union(*beside_refs(schema_for(None, "draft-07"))) == set()


ACCOUNT = {
    "apiVersion": "sendroute.dev/v1alpha1",
    "kind": "MailAccount",
    "metadata": {"name": "acme"},
    "spec": {"plan": "pro"},
}
FOREIGN = {"apiVersion": "v1", "kind": "ConfigMap", "data": None}


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize(
    ("document", "accepted"),
    [
        (ACCOUNT, True),
        (FOREIGN, True),
        (None, True),
        ({"kind": "Anything", "plan": 1}, True),
        ({"apiVersion": "example.com/v1", "kind": "MailAccount", "spec": 5}, True),
        ({"apiVersion": "v1", "kind": "List", "items": [ACCOUNT, FOREIGN]}, True),
        (ACCOUNT | {"spec": {}}, False),
        (ACCOUNT | {"kind": "MailAcount"}, False),
        (ACCOUNT | {"apiVersion": "sendroute.dev/v2"}, False),
        ({key: ACCOUNT[key] for key in ("kind", "metadata", "spec")}, False),
        ({"apiVersion": "v1", "kind": "List", "items": [ACCOUNT | {"spec": {}}]}, False),
        (ACCOUNT | {"apiVersion": "Sendroute.dev/v1alpha1"}, False),
        (ACCOUNT | {"apiVersion": ""}, False),
        ({"apiVersion": "v1", "kind": "List", "items": {}}, True),
    ],
    ids=[
        "one of ours",
        "a foreign document",
        "an empty document",
        "another kind",
        "our kind in another group",
        "a list of both",
        "our kind with a problem",
        "an unknown kind in our group",
        "an unknown version of our group",
        "our kind without its group",
        "a list with a problem in it",
        "our group in capitals",
        "our kind with an empty group",
        "an invalid list",
    ],
)
def test_the_schema_of_all_kinds_accepts_what_the_reader_accepts(
    document: Any, accepted: bool, draft: Draft
) -> None:
    assert validator(None, draft).is_valid(document) == accepted


@pytest.mark.parametrize("draft", DRAFTS)
def test_a_name_that_ends_in_a_newline_is_refused(draft: Draft) -> None:
    assert not validator("MailAccount", draft).is_valid(ACCOUNT | {"metadata": {"name": "acme\n"}})
