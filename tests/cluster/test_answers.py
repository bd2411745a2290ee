"""What a tenant nests deeply in an object hides no other object, and no Secret."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import DecodeError, Struct, ValidationError
from tests.cluster.scripted_api import ScriptedApi, domain, page, scripted_api, watch
from tests.cluster.test_reflector import eventually, reflecting

from sendroute.cluster.answers import decoder, shallow
from sendroute.cluster.approvals import UNKNOWN_ACTOR, writer_of
from sendroute.cluster.objects import ObjectKey
from sendroute.cluster.secrets import _content_of

DEEP = 20_000
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(alphabet='a"\\{}[]é\n'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


class Named(Struct):
    name: str


def nested(levels: int = DEEP) -> bytes:
    return b'{"f:a":' * levels + b"[]" + b"}" * levels


def with_fields(item: dict[str, Any], fields: bytes) -> bytes:
    entry = [{"manager": "tenant", "fieldsV1": "FIELDS"}]
    whole = {**item, "metadata": {**item["metadata"], "managedFields": entry}}
    return json.dumps(whole).encode().replace(b'"FIELDS"', fields)


@given(VALUES)
def test_what_is_not_nested_deeply_stays_as_it_is(value: object) -> None:
    text = json.dumps(value).encode()
    assert shallow(text) == text


@given(VALUES)
def test_only_what_is_nested_too_deeply_becomes_null(value: object) -> None:
    text = b'{"before":%s,"deep":%s,"after":%s}'
    inner = json.dumps(value).encode()
    answer = json.loads(shallow(text % (inner, nested(), inner)))
    assert answer["before"] == answer["after"] == value
    for _ in range(63):
        answer = answer["deep" if "deep" in answer else "f:a"]
    assert answer == {"f:a": None}


@pytest.mark.parametrize("text", [b'{"name": 1}', b'{"name": 1, "x": ' + nested() + b"}"])
def test_damaged_data_stays_damaged(text: bytes) -> None:
    with pytest.raises(ValidationError):
        decoder(Named)(text)
    with pytest.raises(DecodeError):
        decoder(Named)(b'{"name": "x", "y": ' + nested()[:-3])


@pytest.fixture
def api() -> Any:
    with scripted_api() as scripted:
        yield scripted


def test_a_deep_object_hides_no_other_of_its_page_or_watch(api: ScriptedApi) -> None:
    deep = [domain("deep", 3), domain("changed", 11)]
    texts = [with_fields(item, nested()) for item in deep]
    listed = page(["DEEP", domain("other", 4)], 10)
    watched = watch(("ADDED", "DEEP"), ("ADDED", domain("later", 12)))
    listed.replaces = {b'"DEEP"': texts[0]}
    watched.replaces = {b'"DEEP"': texts[1]}
    api.script += [listed, watched]
    with reflecting(api) as (reflector, copy):
        eventually(lambda: "later" in copy.objects)
        assert copy.versions == {"deep": "3", "other": "4", "changed": "11", "later": "12"}
        assert all(item.document is not None for item in copy.objects.values())
        assert reflector.fault is None


def test_a_deep_secret_is_read() -> None:
    secret = {"metadata": {"uid": "1"}, "data": {"username": base64.b64encode(b"u").decode()}}
    content = _content_of(with_fields(secret, nested()))
    assert content is not None
    assert content.keys == {"username": b"u"}


@pytest.mark.parametrize(
    "fields",
    [nested(), b"7", b'{"f:metadata": 7}', b'{"f:metadata": {"f:annotations": [[]]}}'],
    ids=["deep", "a number", "metadata", "annotations"],
)
def test_the_writer_of_an_annotation_is_unknown_if_the_fields_are_in_another_form(
    api: ScriptedApi, fields: bytes
) -> None:
    answer = page([], 1)
    answer.body, answer.replaces = "DEEP", {b'"DEEP"': with_fields(domain("deep", 3), fields)}
    api.script.append(answer)
    assert writer_of(api.api, ObjectKey("SendingDomain", "acme", "deep")) == UNKNOWN_ACTOR
