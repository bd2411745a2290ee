"""Find words that are not plain engineering English, and print the replacement.

``words.txt`` holds one rule per line: a regular expression, a tab, and the replacement. In Python
files only comments, strings and docstrings are read, and names by the rules under ``[names]`` and
``[identifiers]``; other text files are read whole. Run it from the top of the checkout, with paths
or without (then it reads every file that git tracks): ``python tests/words/check.py``. Exit status
1 on any hit.
"""

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
TEXT = frozenset({".md", ".sh", ".yaml", ".yml", ".toml", ".txt", ".service"})
EXCLUDED = ("tests/words/", "LICENSE", "docs/glossary.md")
IDENTIFIERS_IN = ("operator/", "tests/", "examples/")


class Rule(NamedTuple):
    pattern: re.Pattern[str]
    instead: str


class Rules(NamedTuple):
    """``prose`` is searched in text, ``names`` in Python identifiers, split at underscores.
    ``identifiers`` match whole identifiers of :data:`IDENTIFIERS_IN`, without underscores around
    them."""

    prose: tuple[Rule, ...]
    names: tuple[Rule, ...]
    identifiers: tuple[Rule, ...]


class Hit(NamedTuple):
    path: str
    line: int
    word: str
    instead: str


def load(path: Path = HERE / "words.txt") -> Rules:
    sections: dict[str, list[Rule]] = {"prose": [], "names": [], "identifiers": []}
    section = "prose"
    for line in path.read_text("utf-8").splitlines():
        if re.fullmatch(r"\[\w+\]", line):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            pattern, instead = line.split("\t")
            sections[section].append(Rule(re.compile(pattern, re.IGNORECASE), instead))
    return Rules(**{name: tuple(entries) for name, entries in sections.items()})


def check(path: str, text: str, rules: Rules) -> Iterator[Hit]:
    """Yield the hits of a file."""
    if path.endswith(".py"):
        yield from _python(path, text, rules)
    else:
        yield from _prose(path, 1, text, rules.prose)


def _python(path: str, text: str, rules: Rules) -> Iterator[Hit]:
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    modules = _imported_modules(text)
    for number, token in enumerate(tokens):
        if token.type in (tokenize.STRING, tokenize.COMMENT) or "FSTRING" in tokenize.tok_name.get(
            token.type, ""
        ):
            yield from _prose(path, token.start[0], token.string, rules.prose)
        elif token.type == tokenize.NAME:
            for rule in rules.names:
                if any(rule.pattern.fullmatch(part) for part in token.string.split("_")):
                    yield Hit(path, token.start[0], token.string, rule.instead)
            if path.startswith(IDENTIFIERS_IN) and not _is_of_a_library(tokens, number, modules):
                for rule in rules.identifiers:
                    if rule.pattern.fullmatch(token.string.strip("_")):
                        yield Hit(path, token.start[0], token.string, rule.instead)


def _imported_modules(text: str) -> set[str]:
    """The names that ``import x`` binds."""
    return set(re.findall(r"^\s*import (\w+)", text, re.MULTILINE))


def _is_of_a_library(tokens: list[tokenize.TokenInfo], number: int, modules: set[str]) -> bool:
    """Whether a library may have given the name: a method that is called, ``x.one()``, or what an
    imported module has, ``pytest.Item``."""
    if number < 2 or tokens[number - 1].string != ".":
        return False
    return tokens[number + 1].string == "(" or tokens[number - 2].string in modules


def _prose(path: str, first: int, text: str, rules: tuple[Rule, ...]) -> Iterator[Hit]:
    for rule in rules:
        for match in rule.pattern.finditer(text):
            line = first + text.count("\n", 0, match.start())
            yield Hit(path, line, " ".join(match.group().split()), rule.instead)


def tracked() -> list[str]:
    names = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True, text=True)
    return [
        name
        for name in names.stdout.split("\0")
        if Path(name).suffix in TEXT | {".py"} or Path(name).name in ("Makefile", "run")
    ]


def main(paths: list[str]) -> int:
    rules = load()
    hits = [
        hit
        for path in paths or tracked()
        if not path.startswith(EXCLUDED) and Path(path).is_file()
        for hit in sorted(check(path, Path(path).read_text("utf-8", "replace"), rules))
    ]
    for hit in hits:
        sys.stdout.write(f"{hit.path}:{hit.line}: `{hit.word}`: write {hit.instead}\n")
    return 1 if hits else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
