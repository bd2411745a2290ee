"""Unusual layouts: exactly these lines change, or the edit is refused."""

import pytest

from sendroute.edit.set_route import set_route
from sendroute.edit.tree import EditTree
from sendroute.manifests.piecewise import read_piecewise
from sendroute.manifests.sources import SourceEntry
from sendroute.model.finding import Where
from sendroute.model.problem import ProblemError
from sendroute.model.route import UNCONFIGURED

HEAD = """\
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: shop, namespace: acme}
"""
SPEC = "spec:\n  account: acme\n  domain: shop.example.com\n"
FLOW = (
    "{apiVersion: sendroute.dev/v1alpha1, kind: SendingDomain,\n"
    " metadata: {name: shop, namespace: acme}, # c\n"
    " spec: {account: acme, domain: shop.example.com\n"
    " # why\n }}\n"
)

# Each case: the text, the removed lines, the added lines.
ODD = {
    "a key after a question mark": (
        f"{HEAD}{SPEC}  ? route\n  : profile: ses # c\n",
        ["  : profile: ses # c"],
        ["  : unconfigured: {} # c"],
    ),
    "values below their keys": (
        f"{HEAD}{SPEC}  route:\n    profile: # b\n      'ses' # c\n",
        ["    profile: # b", "      'ses' # c"],
        ["    unconfigured: # b", "      {} # c"],
    ),
    "tabs between keys, values and comments": (
        f"{HEAD}{SPEC}  route:\t{{profile:\tses}}\t# t\n",
        ["  route:\t{profile:\tses}\t# t"],
        ["  route:\t{unconfigured:\t{}}\t# t"],
    ),
    "a quoted text over two lines at the end": (
        HEAD + 'spec:\n  account: acme\n  domain: "shop.\\\n    example.com"\n',
        [],
        ["  route: {unconfigured: {}}"],
    ),
    "a block scalar, empty lines, the end of a document": (
        f"{HEAD}spec:\n  account: acme\n  domain: >-\n    shop.example.com\n\n\n...\n---\n# x\n",
        [],
        ["  route: {unconfigured: {}}"],
    ),
    "a directive": (f"%YAML 1.2\n---\n{HEAD}{SPEC}...\n", [], ["  route: {unconfigured: {}}"]),
    "an indented document": (
        "".join(f"   {line}\n" for line in (HEAD + SPEC).splitlines()),
        [],
        ["     route: {unconfigured: {}}"],
    ),
    "a document in braces": (
        FLOW,
        [" spec: {account: acme, domain: shop.example.com"],
        [" spec: {account: acme, domain: shop.example.com, route: {unconfigured: {}}"],
    ),
    "a comma at the end": (
        f"{HEAD}spec: {{\n  account: acme,\n  domain: shop.example.com,   # c\n  }}\n",
        [],
        ["  route: {unconfigured: {}},"],
    ),
    "an item of a list below its dash": (
        "apiVersion: v1\nkind: List\nitems:\n  -\n"
        + "".join(f"    {line}\n" for line in (HEAD + SPEC).splitlines()),
        [],
        ["      route: {unconfigured: {}}"],
    ),
    "two kinds of line breaks": (
        HEAD.replace("\n", "\r\n") + SPEC,
        [],
        ["  route: {unconfigured: {}}"],
    ),
    "comments that look like documents and keys": (
        f"# ---\n# spec: {{}}\n{HEAD}# ---\nspec: # route: {{managed: {{}}}}\n" + SPEC[6:],
        [],
        ["  route: {unconfigured: {}}"],
    ),
    "characters of two code units, escaped and not": (
        "# 😀\n" + HEAD.replace("}", ', annotations: {a: "😀\\U0001F600"}}') + SPEC,
        [],
        ["  route: {unconfigured: {}}"],
    ),
}


def tree_of(text: str) -> EditTree:
    parsed = read_piecewise(SourceEntry("f.yaml", "f.yaml"), text.encode())[0]
    documents = [(document, Where("f.yaml", number)) for number, document in parsed.documents]
    return EditTree(documents, lambda _: text, ["f.yaml"])


@pytest.mark.parametrize("case", ODD)
def test_only_the_intended_lines_change(case: str) -> None:
    text, removed, added = ODD[case]
    proposal = set_route(tree_of(text), "shop.example.com", UNCONFIGURED)
    after = proposal.texts()["f.yaml"].after
    assert after is not None
    before_lines, after_lines = text.split("\n"), after.split("\n")
    for line in removed:
        before_lines.remove(line)
    for line in added:
        after_lines.remove(line)
    assert before_lines == after_lines


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}spec:\n  ? account\n  : acme\n  ? domain\n  : shop.example.com\n",
        (HEAD + SPEC).replace("\n", "\r"),
    ],
    ids=["keys after question marks", "carriage returns as line breaks"],
)
def test_an_impossible_edit_is_reported_and_not_written(text: str) -> None:
    proposal = set_route(tree_of(text), "shop.example.com", UNCONFIGURED)
    with pytest.raises(ProblemError) as raised:
        proposal.texts()
    (finding,) = raised.value.findings
    assert finding.code == "edit-by-hand"
    assert finding.where == Where("f.yaml", 0, ("spec",))
    assert "route of shop.example.com: none → unconfigured" in finding.message


@pytest.mark.parametrize(
    "now",
    [f"{HEAD.replace('shop', 'other')}{SPEC}", "", "kind: [", f"--- {{}}\n{'[' * 600}{']' * 600}"],
    ids=["another document", "nothing", "half a document", "something very deep"],
)
def test_a_file_that_changed_after_reading_is_not_edited(now: str) -> None:
    parsed = read_piecewise(SourceEntry("f.yaml", "f.yaml"), (HEAD + SPEC).encode())[0]
    tree = EditTree([(parsed.documents[0][1], Where("f.yaml", 0))], lambda _: now, ["f.yaml"])
    with pytest.raises(ProblemError) as raised:
        set_route(tree, "shop.example.com", UNCONFIGURED)
    assert [finding.code for finding in raised.value.findings] in (["unwritable"], ["edit-by-hand"])
