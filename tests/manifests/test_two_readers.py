"""The fast and the exact reader give the same values and the same findings."""

import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sendroute.manifests import fast
from sendroute.manifests.exact import DocumentDraft, drafts
from sendroute.manifests.headers import is_secret
from sendroute.manifests.plain_secrets import plain_fields
from sendroute.manifests.scalars import AMBIGUOUS, resolve

SCALARS = st.one_of(
    st.text(st.sampled_from("0123456789+-._:eExXobnyNainfullturs~ "), max_size=8),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.text(max_size=6), VALUES, min_size=1, max_size=5)


def exactly(text: str) -> list[Any]:
    results = list(drafts(text))
    assert all(isinstance(result, DocumentDraft) for result in results), results
    return [result.node.value for result in results if isinstance(result, DocumentDraft)]


def same(first: Any, second: Any) -> bool:
    """Whether both are equal in value and type; NaN is equal to itself."""
    if type(first) is not type(second):
        return False
    if isinstance(first, float) and math.isnan(first):
        return math.isnan(second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


@given(st.lists(DOCUMENTS, min_size=1, max_size=3), st.booleans())
def test_both_readers_give_the_same_values_of_any_yaml(documents: list[Any], flow: bool) -> None:
    text = yaml.safe_dump_all(
        documents, allow_unicode=True, default_flow_style=flow, explicit_start=True
    )
    fast_values = fast.parse(text.encode())
    if fast_values is None:
        return
    exact = list(drafts(text))
    for value, draft in zip(fast_values, exact, strict=True):
        assert isinstance(draft, DocumentDraft)
        if all(fault.code == "ambiguous-scalar" for fault in draft.faults):
            assert same(draft.node.value, value) or _is_wide(value), text
        if _is_wide(value):
            assert not fast.is_plain(value), text
        if draft.faults:
            assert not fast.is_plain(value), text


@given(DOCUMENTS.map(lambda value: json.dumps(value, allow_nan=False) if _finite(value) else "{}"))
def test_both_readers_give_the_same_values_of_any_json(text: str) -> None:
    fast_values = fast.parse(text.encode())
    assert fast_values is not None
    assert same(exactly(text), fast_values) or "e" in text, text


PLAIN = st.sampled_from(["", None, {}, 465, "x", "bm90", "${X}", "ENC[AES256_GCM,x]", {"a": "b"}])
SECRETS = st.fixed_dictionaries(
    {"apiVersion": st.just("v1"), "kind": st.just("Secret")},
    optional={
        "data": PLAIN | st.dictionaries(st.sampled_from("ab"), PLAIN, max_size=2),
        "stringData": PLAIN | st.dictionaries(st.sampled_from("ab"), PLAIN, max_size=2),
        "metadata": st.sampled_from(
            [{}, {"annotations": {"sendroute.dev/accept": "secret-in-manifests"}}]
        ),
    },
)


@given(
    st.lists(SECRETS, min_size=1, max_size=3).flatmap(
        lambda items: st.sampled_from(
            [
                items,
                [{"apiVersion": "v1", "kind": "List", "items": items}],
                [{"apiVersion": "v1", "kind": "SecretList", "items": items}],
            ]
        )
    ),
    st.booleans(),
)
def test_both_readers_find_the_same_secrets_in_plain_text(
    documents: list[Any], sort_keys: bool
) -> None:
    distinct = json.loads(json.dumps(documents))  # else what they share is written as an alias
    text = yaml.safe_dump_all(distinct, sort_keys=sort_keys)
    parsed = fast.read(text.encode())
    assert parsed is not None
    exact = [result for result in drafts(text) if isinstance(result, DocumentDraft)]
    assert list(parsed.plain_secrets) == [
        (number, path)
        for number, draft in enumerate(exact)
        if is_secret(draft.node.value)
        for path in plain_fields(draft.node.value, draft.blind)
    ]


def test_a_secret_may_have_more_values_than_a_manifest() -> None:
    keys = "".join(f"  k{number}: x\n" for number in range(fast.MAX_VALUES + 1))
    head = "apiVersion: v1\nkind: Secret\n"
    large = f"{head}stringData:\n{keys}more: {{a: [b]}}\n---\n{head}data: {{a: eA==}}\n"
    exact = [result for result in drafts(large) if isinstance(result, DocumentDraft)]
    assert [list(plain_fields(draft.node.value)) for draft in exact] == [
        [("stringData",)],
        [("data",)],
    ]
    assert [draft.position(("stringData",), of_key=True) for draft in exact[:1]] == [(3, 1)]


def _is_wide(value: Any) -> bool:
    """Whether a document has a number beyond 128 bits; then it must not be plain."""
    match value:
        case float():
            return math.isfinite(value) and abs(value) >= 2**127
        case dict():
            return any(map(_is_wide, value.values()))
        case list():
            return any(map(_is_wide, value))
        case _:
            return False


def _finite(value: Any) -> bool:
    match value:
        case float():
            return math.isfinite(value)
        case dict():
            return all(map(_finite, value.values()))
        case list():
            return all(map(_finite, value))
        case _:
            return True


@given(st.from_regex(r"[-+]?[0-9a-fox_.:eE]{1,6}", fullmatch=True))
def test_both_readers_resolve_every_number_alike(text: str) -> None:
    fast_values = fast.parse(f"- {text}\n".encode())
    if fast_values is not None and not isinstance(fast_values[0][0], dict):  # of 1: a key
        assert same(resolve(text), fast_values[0][0])


@pytest.mark.parametrize(
    "number",
    [2**128, -(2**127) - 1, 10**50, -(10**300)],
    ids=["2^128", "-2^127-1", "10^50", "-10^300"],
)
@pytest.mark.parametrize("form", ["a: {}", "a: [{{b: {}}}]", "a:\n- {}"])
def test_an_integer_beyond_128_bits_is_left_to_the_exact_reader(number: int, form: str) -> None:
    """The fast parser gives a float."""
    (value,) = fast.parse(form.format(number).encode()) or [None]
    assert value is None or not fast.is_plain(value)
    assert fast.is_plain({"a": 1.5, "b": [-2.5e37, 2**63]})


@pytest.mark.parametrize(
    "text",
    [
        "y",
        "Y",
        "n",
        "N",
        "yes",
        "Yes",
        "YES",
        "no",
        "No",
        "NO",
        "on",
        "On",
        "ON",
        "off",
        "Off",
        "OFF",
        "0465",
        "-012",
        "08",
        "00",
        "0b11",
        "-0b1",
        "0B1",
        "0o17",
        "0O17",
        "0X1F",
        "-0x1F",
        "0x1_F",
        "1_000",
        "1_0.5",
        "1:30",
        "190:20:30",
        "-1:30",
        "1:30.5",
        "1__0",
    ],
)
def test_scalars_that_yaml_1_1_reads_differently_are_ambiguous(text: str) -> None:
    assert AMBIGUOUS.fullmatch(text)
    assert fast.parse(f"a: {text}".encode()) is None or not fast.is_plain({"a": resolve(text)})


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-1",
        "465",
        "0x1F",
        "1.5",
        ".5",
        "-.5e+3",
        "1e3",
        "true",
        "False",
        "~",
        "null",
        ".inf",
        ".NaN",
        "2026-11-01",
        "2026-11-01T10:00:00Z",
        "10.0.0.1",
        "10.0.0.0/8",
        "1.2.3",
        "a:b",
        "nope",
        "only",
        "yess",
        "1a",
        "12:ab",
        "0465.example.com",
        "-",
        "--",
        "+",
        ".",
    ],
)
def test_scalars_that_both_versions_read_alike_are_not_ambiguous(text: str) -> None:
    assert not AMBIGUOUS.fullmatch(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1", "a: *x", "a: !!str 1", "[&x 1]", "{a: !t b}", "&x a: 1", "!t a", "- !t b",
        "<<: {a: 1}", "a: 1\u2028&x b: 2", '{"a":!t 1}', "a:\n  - &x b", "? &x a\n: b", "a\0b",
        "a: 1\na: 2", "a: " + "9" * 30, "\xff", '{"a": 1, "a": 2}', '{"a": "\\ud800"}',
    ],
)  # fmt: skip
def test_the_exact_reader_is_used_if_the_fast_reader_is_not_sure(text: str) -> None:
    assert fast.parse(text.encode("latin-1" if text == "\xff" else "utf-8")) is None


@pytest.mark.parametrize(
    "document",
    [
        {"a": "no"}, {"a": ["0465"]}, {"a": {"b": "1:30"}}, {1: "a"}, {"a": {True: 1}},
        {"a": "x" * 70_000}, {"a": [0] * 60_000},
    ],
)  # fmt: skip
def test_values_that_depend_on_their_text_are_not_plain(document: dict[Any, Any]) -> None:
    assert not fast.is_plain(document)


def test_thirty_two_levels_are_plain_and_one_more_is_not() -> None:
    value: Any = {}
    for _ in range(31):
        value = {"a": value}
    assert fast.is_plain(value)
    assert not fast.is_plain({"a": value})


DOMAIN = """\
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: shop-example-com, namespace: acme}
spec:
  domain: shop.example.com
"""


@pytest.mark.parametrize("separator", [" ", "  ", "\t", "\n    ", " # whose\n    ", "\n\n    "])
@pytest.mark.parametrize("text", ["no", "Y", "on", "0465", "1_000", "1_0", "00"])
def test_an_ambiguous_value_is_detected_anywhere_after_its_colon(text: str, separator: str) -> None:
    assert fast.read(f"{DOMAIN}  account: acme\n".encode()) is not None
    assert fast.read(f"{DOMAIN}  account:{separator}{text}\n".encode()) is None
    assert fast.read(f"{DOMAIN}  account:{separator}{text}".encode()) is None
    assert fast.read(f"{DOMAIN}  account: acme\n  route: {{profile: {text}}}".encode()) is None
    assert fast.read(f'{DOMAIN}  account: acme\n  route: {{"profile":{text}}}'.encode()) is None


@given(st.from_regex(AMBIGUOUS, fullmatch=True), st.sampled_from(["", "\n", "}", ",", ":", " #"]))
def test_every_ambiguous_scalar_is_detected_in_the_bytes(text: str, after: str) -> None:
    data = f"a: {text}{after}".encode()
    assert fast.parse(data) is None or fast.is_perhaps_ambiguous(data)
