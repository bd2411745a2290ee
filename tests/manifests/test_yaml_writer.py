"""The fast YAML emitter writes byte for byte what PyYAML writes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendroute.manifests.yaml_writer import dump, slow_dump

WORDS = (
    "yes",
    "No",
    "NULL",
    "on",
    "true",
    "a.b/c-d",
    "-a",
    "1",
    "0x1",
    "~",
    "",
    "a: b",
    "# c",
    "'",
)
texts = st.one_of(
    st.sampled_from(WORDS),
    st.text(alphabet="abyn.-/_ 0:#'\"\\é→\t\n\x07", max_size=12),
    st.text(max_size=150),
)
scalars = st.one_of(texts, st.booleans(), st.none(), st.integers())
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.one_of(texts, st.integers(), st.booleans()), values, max_size=4))
def test_every_mapping_is_written_as_pyyaml_writes_it(document: dict[Any, Any]) -> None:
    assert "".join(dump([document])) == slow_dump(document)


@pytest.mark.parametrize("document", [[], ["a"], "text", {}, None], ids=repr)
def test_other_documents_are_written_as_pyyaml_writes_them(document: Any) -> None:
    assert "".join(dump([document])) == slow_dump(document)
