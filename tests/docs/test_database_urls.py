"""Every URL of a database on another host, in the pages, the examples and the chart, requires the
server to prove its name: otherwise libpq takes any server, and a connection without encryption."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "examples/**/*", "charts/**/*", "config/**/*")
    for path in ROOT.glob(pattern)
    if path.is_file()
)
HELP = sorted((ROOT / "operator/sendroute/cli").rglob("*.py"))
LOCAL = {"", "localhost", "127.0.0.1"}
IN_COMPOSE = {ROOT / "examples/relay/compose.yaml": {"postgresql"}}
"""A container of the same file: what they say to each other does not leave the host."""
SYNTAX = re.compile(r"postgresql://USER@HOST(:PORT)?/DATABASE(?![\w?])")
"""How a URL is written, in the help of an option."""


def unverified(text: str, local: set[str]) -> Iterator[str]:
    for url in re.findall(r"postgres(?:ql)?://[^\s'\"`<>|)\]]+", text):
        parts = urlsplit(url.rstrip(".,;"))
        hosts = {host.partition(":")[0] for host in parts.netloc.rpartition("@")[2].split(",")}
        if hosts - local and parse_qs(parts.query).get("sslmode") != ["verify-full"]:
            yield url


def test_a_server_on_another_host_must_prove_its_name() -> None:
    findings = {}
    for path in [*PAGES, *HELP]:
        text = path.read_text("utf-8", errors="replace")
        if path in HELP or path == ROOT / "docs/commands.md":
            text = SYNTAX.sub("", text)
        if urls := list(unverified(text, LOCAL | IN_COMPOSE.get(path, set()))):
            findings[str(path.relative_to(ROOT))] = urls
    assert findings == {}


@pytest.mark.parametrize(
    ("text", "is_unverified"),
    [
        ("`postgresql://u@db.example.com/d`", True),
        ("postgres://db.example/d?sslmode=require", True),
        ("export X=postgresql://USER@HOST/DATABASE, with or without", True),
        ("postgresql://u@localhost,db2.example/d", True),
        ("'postgresql://u@db.example/d?sslmode=verify-full&sslrootcert=system'", False),
        ("postgresql://u@localhost:10543/d and postgresql:///?service=mail", False),
    ],
)
def test_a_url_without_verification_is_detected(text: str, is_unverified: bool) -> None:
    assert bool(list(unverified(text, LOCAL))) is is_unverified
