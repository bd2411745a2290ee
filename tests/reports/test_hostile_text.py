"""Names and messages come from authors of manifests and must not affect the program that shows
them."""

import json
import re
import unicodedata
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendroute.model.change import AccountPlan, Action, DomainChange, Plan, ProfileChange, Shadowed
from sendroute.model.codes import Code
from sendroute.model.current import DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Position, Severity
from sendroute.model.profile import Encryption, Profile
from sendroute.model.route import MANAGED, Origin, via
from sendroute.reports import report as reports
from sendroute.reports.as_markdown import LIMIT
from sendroute.reports.as_sarif import artifact
from sendroute.reports.render import Format, render
from sendroute.reports.text import Console, width

FILLERS = "\u034f\u115f\u1160\u17b4\u180b\u2800\u3164\uffa0\ufe01\U000e0101"

NASTY = [
    "\x1b[31mred\x1b[0m",
    "a\nb\r\n::error::c",
    "::stop-commands::x " * 20,
    "##[error]x",
    "###vso[task.setvariable]y",
    "a,line=9:x%0Ab",
    "a|b`c``d\\|e",
    "<script>alert(1)</script><!-- --> ]]> &amp;",
    "@everyone #1 !2 user@host https://evil.example www.evil.example :smile:",
    "\u202egnp.exe\u2066\u200b\ufeff\u2028\x85\x9b31m\u061c\U000e0041",
    FILLERS,
    "##teamcity[buildStop]",
    "\udcff\ud800",
    "域名" * 60,
    "e\u0301" * 150,
    "\x00\x08\x0b\ufffe\uffff",
    "x" * 300,
    "",
]

texts = st.sampled_from(NASTY) | st.text(st.characters(), max_size=150)


@st.composite
def a_report(draw):
    """A report of a plan in which every name, message and file is hostile."""
    key = AccountKey(draw(texts), draw(texts))
    states = [
        None,
        DomainState(via(draw(texts)), Origin.DECLARED, MANAGED, draw(texts)),
        DomainState(MANAGED, Origin.DEFAULT),
    ]
    state = st.sampled_from(states)

    def change(of, before, after):
        action = draw(st.sampled_from(Action))
        return of(key, draw(texts), action, before, after, draw(texts), draw(texts))

    def finding():
        code = draw(st.sampled_from([code.value for code in Code]))
        position = Position(draw(texts), draw(st.integers(1, 10**6)), 1)
        hint = draw(st.none() | texts)
        related = (Position(draw(texts), 1, 1),)
        severity = draw(st.sampled_from(Severity))
        return Finding(code, severity, draw(texts), hint, None, position, related, *key)

    profile = Profile(draw(texts), 25, Encryption.TLS, display_name=draw(texts))
    changes = [change(DomainChange, draw(state), draw(state)) for _ in range(2)]
    changes.append(change(ProfileChange, None, profile))
    shadowed = (Shadowed(key, draw(texts), MANAGED, via(draw(texts)), draw(texts)),)
    stopped = draw(st.booleans())
    account = AccountPlan(key, 1, tuple(changes), (finding(),), shadowed, stopped)
    return reports.of_plan(Plan(draw(texts), 1, None, (account,), findings=(finding(),)))


def shown(report, form):
    return "".join(render(report, form))


@pytest.mark.parametrize("columns", [None, 10, 25, 40, 80, 100, 200])
@given(report=a_report())
def test_text_fits_a_terminal_and_has_no_control_character(report, columns):
    for line in "".join(render(report, Format.TEXT, console=Console(columns=columns))).split("\n"):
        assert columns is None or width(line) <= columns
        assert line.isprintable()
        assert not line.lstrip().startswith("::")
        assert "##[" not in line


@given(a_report(), st.sampled_from(Format))
def test_every_format_is_utf_8_without_control_characters(report, form):
    text = shown(report, form)
    text.encode()
    controls = {c for c in text if unicodedata.category(c) in ("Cc", "Zl", "Zp")}
    assert controls <= {"\n"}
    assert not {"\u202e", "\u061c", "\u200b", "\U000e0041"} & set(text)
    assert not set(FILLERS) & set(text)
    # GitHub Actions and Azure Pipelines read what a job prints. They take these for commands
    # anywhere in a line, and ``::`` where a line begins, after spaces.
    assert "##[" not in text
    assert "##vso[" not in text
    assert "##teamcity[" not in text
    is_workflow_command = form is Format.GITHUB
    assert is_workflow_command or not any(
        line.lstrip().startswith("::") for line in text.splitlines()
    )


@given(a_report())
def test_json_is_valid_and_complete(report):
    document = json.loads(shown(report, Format.JSON))
    assert len(document["changes"]) == 3
    assert len(document["findings"]) == 2
    assert sum(document["summary"].values()) == 3


@given(a_report())
def test_sarif_is_valid_json_and_its_locations_are_uris(report):
    (run,) = json.loads(shown(report, Format.SARIF))["runs"]
    for result in run["results"]:
        for location in result["locations"]:
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            assert re.fullmatch(r"(file:///)?([A-Za-z0-9._~/-]|%[0-9A-F]{2})*", uri)


@given(a_report())
def test_junit_is_well_formed_and_has_a_case_per_finding(report):
    root = ET.fromstring(shown(report, Format.JUNIT))  # noqa: S314 - our own text
    assert len(root.findall("testsuite/testcase")) == 2


@given(a_report())
def test_a_github_command_is_one_line_with_valid_properties(report):
    lines = shown(report, Format.GITHUB).removesuffix("\n").split("\n")
    assert len(lines) == 3
    command = r"::(error|warning|notice) ([a-z]+=[^:,\r\n]*)(,[a-z]+=[^:,\r\n]*)*::[^\r\n]*"
    for line in lines:
        assert re.fullmatch(command, line)


@given(a_report())
def test_every_row_of_a_markdown_table_has_four_columns(report):
    text = shown(report, Format.MARKDOWN)
    rows = [line for line in text.split("\n") if line.startswith("|")]
    assert len(rows) == 5
    for row in rows:
        assert row.count("|") == 5
        assert "\\" not in row


@given(a_report())
def test_markdown_outside_of_code_has_no_mentions_and_no_links(report):
    text = re.sub(r"`[^`\n]*`", "", shown(report, Format.MARKDOWN))
    assert not re.search(r"[@#!](?=\w)", text.replace("&#", "&"))
    assert "://" not in text
    assert "www." not in text
    tags = set(re.findall(r"</?\w+>", text))
    assert tags <= {"<code>", "</code>", "<details>", "</details>", "<summary>", "</summary>"}
    assert len(text.encode()) <= LIMIT


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, _attrs):
        self.seen.add(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@given(a_report())
def test_html_is_balanced_and_has_only_known_tags(report):
    tags = Tags()
    tags.feed(shown(report, Format.HTML))
    assert tags.open == []
    ours = "html head meta title style body main h1 h2 p strong code ul li span br em"
    assert tags.seen <= {*ours.split(), "table", "caption", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("a/b.yaml", "a/b.yaml"),
        ("./a b#1?.yaml", "a%20b%231%3F.yaml"),
        ("a:b.yaml", "a%3Ab.yaml"),
        ("域.yaml", "%E5%9F%9F.yaml"),
        ("bad\udcff.yaml", "bad%FF.yaml"),
        ("/etc/a.yaml", "file:///etc/a.yaml"),
        ("-", "-"),
    ],
)
def test_the_location_of_a_file_is_a_uri(file, uri):
    assert artifact(file)["uri"] == uri
