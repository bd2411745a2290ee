"""The hint for a text that cannot be parsed: done as it says, the text is parsed."""

import pytest

from sendroute.manifests.exact import DocumentDraft, drafts
from sendroute.manifests.syntax import SyntaxFault

# The wrong text, the hint, and the text as the hint says.
TRIED = {
    "a separator of two hyphens": (
        "a: 1\n--\nb: 2\n",
        "The line between two documents is three hyphens: ---.",
        "a: 1\n---\nb: 2\n",
    ),
    "a separator of four hyphens": (
        "a: 1\n----\nb: 2\n",
        "The line between two documents is three hyphens: ---.",
        "a: 1\n---\nb: 2\n",
    ),
    "a key that is indented too far": (
        "spec:\n  account: acme\n    domain: x\n",
        "Line 3 is indented too far: begin it in column 3, like line 2.",
        "spec:\n  account: acme\n  domain: x\n",
    ),
    "a key of an item that is indented too far": (
        "plans:\n- name: x\n\n     managed: true\n",
        "Line 4 is indented too far: begin it in column 3, like line 2.",
        "plans:\n- name: x\n\n  managed: true\n",
    ),
    "an item that is indented too far": (
        "a:\n  - x\n    - y: 1\n",
        "Line 3 is indented too far: begin it in column 3, like line 2.",
        "a:\n  - x\n  - y: 1\n",
    ),
    "a value with a colon and a space": (
        "displayName: Amazon SES: Ireland\n",
        "Quote a value that contains a colon and a space.",
        "displayName: 'Amazon SES: Ireland'\n",
    ),
    "a key without a colon": (
        "spec:\n  account acme\n  domain: x\n",
        "The key on line 2 needs a colon and a space after it.",
        "spec:\n  account: acme\n  domain: x\n",
    ),
    "a colon without a space": (
        "spec:\n  account:acme\n  domain: x\n",
        "The key on line 2 needs a colon and a space after it.",
        "spec:\n  account: acme\n  domain: x\n",
    ),
    "a dash without a space": ("a:\n-b\n- c\n", "A dash needs a space after it.", "a:\n- b\n- c\n"),
    "a tab": ("a:\n\tb: 1\n", "Indent with spaces, not tabs.", "a:\n  b: 1\n"),
    "an at sign": ("a: @x\n", "Quote a value that begins with @, ` or %.", "a: '@x'\n"),
    "a star": ("a: *\n", "Quote a value that begins with *.", "a: '*'\n"),
    "a bracket that closes nothing": (
        "a: [1]]\n",
        "Remove the bracket or brace: it closes nothing.",
        "a: [1]\n",
    ),
    "a text behind a quote": (
        "a: 'it's'\n",
        "Nothing may follow a closing quote or bracket. Quote the whole value once.",
        'a: "it\'s"\n',
    ),
    "a list behind its key": (
        "a: - b\n",
        "Begin the list on a line of its own, below its key.",
        "a:\n- b\n",
    ),
}


@pytest.mark.parametrize("case", TRIED)
def test_a_hint_leads_to_a_text_that_is_parsed(case: str) -> None:
    text, hint, fixed = TRIED[case]
    faults = [item for item in drafts(text) if isinstance(item, SyntaxFault)]
    assert [fault.hint for fault in faults] == [hint]
    assert all(isinstance(item, DocumentDraft) and not item.faults for item in drafts(fixed))


@pytest.mark.parametrize("line_break", ["\r", "\r\n", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("case", TRIED)
def test_a_fault_is_on_the_same_line_whatever_ends_the_lines(case: str, line_break: str) -> None:
    """libyaml counts each of them as one line break. A fault on a line that we did not count had
    ended the program."""
    text = TRIED[case][0]
    for before in ("", "a: 1\n...\n"):
        expected = [item for item in drafts(before + text) if isinstance(item, SyntaxFault)]
        written = before + text.replace("\n", line_break)
        assert [item for item in drafts(written) if isinstance(item, SyntaxFault)] == expected


DOCUMENT = "apiVersion: sendroute.dev/v1alpha1\nkind: SMTPProfile\nmetadata: {name: a}\nspec: {}\n"


def test_each_missing_separator_is_one_fault_and_named() -> None:
    (draft,) = drafts(DOCUMENT * 3)
    assert isinstance(draft, DocumentDraft)
    assert [fault.position for fault in draft.faults] == [(5, 1), (9, 1)]
    assert all("write --- on a line of its own above it" in (f.hint or "") for f in draft.faults)
    assert len(list(drafts("---\n".join([DOCUMENT] * 3)))) == 3


def test_no_separator_is_missing_in_braces() -> None:
    item = '{"apiVersion": "sendroute.dev/v1alpha1", "apiVersion": "sendroute.dev/v1alpha1"}'
    for text in (item, f'{{"apiVersion": "v1", "kind": "List", "items": [{item}]}}'):
        (draft,) = drafts(text)
        assert isinstance(draft, DocumentDraft)
        assert [fault.hint for fault in draft.faults] == ["Remove one of them."]


def test_each_missing_dash_of_a_list_is_one_fault_and_named() -> None:
    item = "".join(f"  {line}\n" for line in DOCUMENT.splitlines())
    objects = [f"-{item[1:]}", item, f"-{item[1:]}", item]
    (first, second) = drafts(f"apiVersion: v1\nkind: List\nitems:\n{''.join(objects)}")
    assert isinstance(first, DocumentDraft)
    assert isinstance(second, DocumentDraft)
    faults = [*first.faults, *second.faults]
    assert [fault.position for fault in faults] == [(8, 3), (16, 3)]
    assert all("write a dash and a space before it" in (fault.hint or "") for fault in faults)
    fixed = "".join(f"-{text[1:]}" for text in objects)
    assert len(list(drafts(f"apiVersion: v1\nkind: List\nitems:\n{fixed}"))) == 4
