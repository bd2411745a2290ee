"""Documents in every layout: an edit and its reverse restore the tree, keep every comment, and
change only the intended line."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import date
from difflib import ndiff
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sendroute.edit.add_domain import InlineProfile, add_domain
from sendroute.edit.apply_to_all import apply_to_all
from sendroute.edit.delete_profile import delete_profile
from sendroute.edit.extract_profile import extract_profile
from sendroute.edit.proposal import Proposal
from sendroute.edit.set_default import set_default
from sendroute.edit.set_route import set_route
from sendroute.edit.tree import EditTree
from sendroute.manifests import fast
from sendroute.manifests.compile import Compilation
from sendroute.manifests.piecewise import read_piecewise
from sendroute.manifests.sources import SourceEntry
from sendroute.model.desired import AccountKey, ApplyAll, Desired
from sendroute.model.finding import Where
from sendroute.model.route import MANAGED, UNCONFIGURED, Route, via

ACME = AccountKey("acme", "acme")
FILE = "acme.yaml"
API = "sendroute.dev/v1alpha1"


class Writer:
    """Write a value in a layout chosen by hypothesis. Every comment is unique."""

    def __init__(self, draw: Callable[..., Any]) -> None:
        self.draw = draw
        self.comments = 0
        self.unit = draw(st.integers(2, 5))

    def coin(self) -> bool:
        return bool(self.draw(st.integers(0, 3)) == 0)

    def comment(self) -> str:
        self.comments += 1
        return f"# c{self.comments}: not {{a: b}}, 'nor' \"this"

    def beside(self) -> str:
        return " " * self.draw(st.integers(1, 3)) + self.comment() if self.coin() else ""

    def lines_before(self, indent: int) -> list[str]:
        lines = [""] if self.coin() else []
        return [*lines, " " * indent + self.comment()] if self.coin() else lines

    def scalar(self, value: Any, quoted: str | None = None) -> str:
        if not isinstance(value, str):
            return str(value).lower()
        quote = self.draw(st.sampled_from(["", "", '"', "'"])) if quoted is None else quoted
        return f"{quote}{value}{quote}"

    def flow(self, value: Any, indent: int) -> str:
        if not isinstance(value, dict):
            return self.scalar(value, '"' if " " in str(value) else None)
        pad = self.draw(st.sampled_from(["", " "]))
        pairs = [f"{self.scalar(k)}: {self.flow(v, indent + 2)}" for k, v in value.items()]
        if not pairs or not self.coin():
            return "{" + pad + ", ".join(pairs) + pad + "}"
        inner = "\n" + " " * (indent + 2)
        text = "{" + self.beside()
        for number, pair in enumerate(pairs):
            if self.coin():
                text += inner + self.comment()
            last = number + 1 == len(pairs)
            text += inner + pair + ("" if last and not self.coin() else ",") + self.beside()
        return text + "\n" + " " * (indent + 1) + "}"

    def block(self, value: dict[str, Any], indent: int) -> list[str]:
        lines: list[str] = []
        for key, item in value.items():
            lines += self.lines_before(indent)
            head = " " * indent + self.scalar(key) + ":"
            space = " " * self.draw(st.integers(1, 3))
            if isinstance(item, str) and " " in item:
                first, *rest = self.text(item, indent)
                lines += [f"{head}{space}{first}", *rest]
            elif not isinstance(item, dict):
                lines.append(head + space + self.scalar(item) + self.beside())
            elif not item or self.coin():
                lines += (head + space + self.flow(item, indent) + self.beside()).split("\n")
            else:
                lines.append(head + self.beside())
                lines += self.block(item, indent + self.unit)
        return [*lines, " " * indent + self.comment()] if self.coin() else lines

    def text(self, value: str, indent: int) -> list[str]:
        """A text over several lines, in each of the ways that YAML has."""
        inner = "\n" + " " * (indent + self.unit)
        way = self.draw(st.sampled_from([">-{}", ">-{}", '"{}"', "'{}'", "{}"]))
        reported = value.replace(" ", inner)
        return way.format(inner + reported if ">" in way else reported).split("\n")

    def stream(self, values: list[dict[str, Any]]) -> list[str]:
        lines = [self.comment(), ""] if self.coin() else []
        around = [""] if self.coin() else []
        for number, value in enumerate(values):
            if number or self.coin():
                lines += [*around, "---" + self.beside(), *around]
            lines += self.block(value, 0)
            if self.coin():
                lines += [self.comment()] if self.coin() else ["", self.comment()]
        return lines

    def list_of(self, values: list[dict[str, Any]]) -> list[str]:
        lines = ["apiVersion: v1", "kind: List", "items:" + self.beside()]
        dash = self.draw(st.integers(0, 2))
        gap = self.draw(st.integers(1, 3))
        for value in values:
            first, *rest = self.block(value, dash + 1 + gap)
            while not first.strip() or first.lstrip().startswith("#"):
                lines.append(first)
                first, *rest = rest
            lines += [" " * dash + "-" + " " * gap + first.lstrip(), *rest]
        return lines


def values(draw: Callable[..., Any]) -> list[dict[str, Any]]:
    def document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        return {
            "apiVersion": API,
            "kind": kind,
            "metadata": {"name": name, "namespace": "acme"},
            "spec": spec,
        }

    fields = {"host": "smtp.example.com", "port": 587, "encryption": "starttls"}
    credentials = {"credentials": {"secretRef": {"name": "m"}}}
    new = {"name": "mailgun", **fields, **credentials}
    if draw(st.booleans()):
        new["displayName"] = "Mailgun, of the EU"
    if draw(st.booleans()):
        new = dict(reversed(new.items()))
    documents = [
        document("MailAccount", "acme", {"plan": "pro"}),
        document("SMTPProfile", "ses", {"account": "acme", **fields}),
        document("SendingDomain", "news", {"account": "acme", "domain": "news.example.com"}),
        document("SendingDomain", "shop", {"account": "acme", "domain": "shop.example.com"}),
    ]
    documents[2]["spec"]["route"] = {"newProfile": new}
    route = draw(st.sampled_from([{"profile": "ses"}, {"managed": {}}, {"unconfigured": {}}]))
    documents[3]["spec"]["route"] = route
    if draw(st.booleans()):
        documents[0]["spec"]["suspend"] = False
    for manifest in documents:
        if draw(st.booleans()):
            manifest["spec"] = dict(reversed(manifest["spec"].items()))
    return list(draw(st.permutations(documents)))


@st.composite
def texts(draw: Callable[..., Any]) -> str:
    writer = Writer(draw)
    documents = values(draw)
    lines = writer.list_of(documents) if writer.coin() else writer.stream(documents)
    newline = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    end = draw(st.sampled_from(["", newline, newline * 2]))
    return ("\ufeff" if writer.coin() else "") + "\n".join(lines).replace("\n", newline) + end


def read(text: str) -> EditTree:
    data = text.encode()
    parsed = fast.read(data) or read_piecewise(SourceEntry(FILE, FILE), data)[0]
    documents = [(document, Where(FILE, number)) for number, document in parsed.documents]
    return EditTree(documents, lambda _: text, [FILE])


def desired(text: str) -> Desired:
    data = text.encode()
    parsed = fast.read(data) or read_piecewise(SourceEntry(FILE, FILE), data)[0]
    compilation = Compilation()
    for number, document in parsed.documents:
        compilation.add(document, Where(FILE, number))
    return compilation.finish()


def meaning(text: str) -> tuple[Any, ...]:
    account = desired(text).accounts[ACME]
    return (
        account.default,
        {name: profile.profile for name, profile in account.profiles.items()},
        {domain.domain: domain.route for domain in account.domains},
    )


def after(proposal: Proposal) -> str:
    (text,) = proposal.texts().values()
    assert text.after is not None
    return text.after


def comments(text: str) -> Counter[str]:
    return Counter(re.findall(r"# c\d+:", text))


def changed(before: str, after: str) -> list[str]:
    lines = ndiff(before.split("\n"), after.split("\n"))
    return [line for line in lines if line[:1] in "+-"]


@settings(max_examples=150)
@given(texts())
def test_a_route_is_changed_and_restored(text: str) -> None:
    before = meaning(text)
    old: Route = before[2]["shop.example.com"]
    new = UNCONFIGURED if old == MANAGED else MANAGED
    edited = after(set_route(read(text), "shop.example.com", new))
    assert meaning(edited)[2] == before[2] | {"shop.example.com": new}
    assert meaning(edited)[:2] == before[:2]
    assert len(changed(text, edited)) == 2, "one line was removed and one was added"
    restored = after(set_route(read(edited), "shop.example.com", old))
    assert meaning(restored) == before
    assert comments(text) == comments(edited) == comments(restored)
    assert len(changed(text, restored)) <= 2, "only the quotes may differ"


@settings(max_examples=100)
@given(texts())
def test_a_default_is_declared_and_removed(text: str) -> None:
    edited = after(set_default(read(text), ACME, via("ses")))
    assert meaning(edited)[0] == via("ses")
    restored = after(set_default(read(edited), ACME, None))
    assert meaning(restored) == meaning(text)
    assert comments(text) == comments(edited) == comments(restored)


@settings(max_examples=150)
@given(texts())
def test_extracting_a_profile_changes_no_desired_state(text: str) -> None:
    edited = after(extract_profile(read(text), ACME, "mailgun"))
    assert meaning(edited) == meaning(text)
    assert comments(edited) == comments(text)
    assert desired(edited).accounts[ACME].profiles["mailgun"].inline_in is None


@settings(max_examples=100)
@given(texts())
def test_another_route_keeps_the_inline_profile(text: str) -> None:
    before = meaning(text)
    edited = after(set_route(read(text), "news.example.com", via("ses")))
    assert meaning(edited)[1] == before[1]
    assert meaning(edited)[2] == before[2] | {"news.example.com": via("ses")}
    assert comments(edited) == comments(text)


@settings(max_examples=100)
@given(texts())
def test_adding_a_domain_adds_nothing_else(text: str) -> None:
    before = meaning(text)
    new = InlineProfile("pm", {"provider": "postmark", "host": "smtp.pm.example"})
    edited = after(add_domain(read(text), ACME, "new.example.com", new))
    assert meaning(edited)[2] == before[2] | {"new.example.com": via("pm")}
    assert {**meaning(edited)[1], **before[1]} == meaning(edited)[1]
    assert comments(edited) == comments(text)
    removed = [line[2:] for line in changed(text, edited) if line.startswith("-")]
    assert removed in ([], text.split("\n")[-1:]), "except for a last line without a line break"


@settings(max_examples=100)
@given(texts())
def test_an_apply_all_is_written_and_replaced(text: str) -> None:
    day = date(2026, 11, 23)
    edited = after(apply_to_all(read(text), ACME, via("ses"), today=day))
    request = desired(edited).accounts[ACME].apply_all
    assert request == ApplyAll("2026-11-23-to-ses", via("ses"), 2)
    replaced = after(apply_to_all(read(edited), ACME, MANAGED, today=day, id="x", confirm=9))
    assert desired(replaced).accounts[ACME].apply_all == ApplyAll("x", MANAGED, 9)
    assert meaning(replaced) == meaning(text)
    assert comments(replaced) == comments(text)


@settings(max_examples=100)
@given(texts())
def test_deleting_a_profile_removes_nothing_else(text: str) -> None:
    before = meaning(text)
    edited = after(delete_profile(read(text), ACME, "ses", MANAGED))
    assert meaning(edited)[1] == {"mailgun": before[1]["mailgun"]}
    assert comments(edited) <= comments(text)
    removed = {line[2:].strip() for line in changed(text, edited) if line.startswith("-")}
    kept = "\n".join(edited.split("\n"))
    for word in ("MailAccount", "shop.example.com", "news.example.com"):
        assert kept.count(word) == text.count(word), removed
