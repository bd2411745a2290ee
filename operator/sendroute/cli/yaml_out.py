"""YAML that version 1.1 and 1.2 read alike, so that kubectl and Sendroute see one document."""

import re
from collections.abc import Iterable
from typing import Any

import yaml

# Plain where no YAML version can take it for anything but text: it begins with a letter and is
# none of the words that YAML 1.1 calls a truth (https://yaml.org/type/bool.html) or a null.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9./-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  an alias would be refused
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def dump(documents: Iterable[Any]) -> str:
    """One YAML stream, keys in the order given."""
    return yaml.dump_all(
        documents,
        Dumper=_Dumper,
        explicit_start=True,
        sort_keys=False,
        allow_unicode=True,
        width=1000,
    )
