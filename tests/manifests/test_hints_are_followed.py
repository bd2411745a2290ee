"""A hint about a scalar is tried: written as the hint says, the file is valid."""

import re
from pathlib import Path

import pytest

from sendroute.manifests.tree import read_tree
from sendroute.model.finding import Finding

TREE = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {{name: default}}
spec:
  plans:
  - {{name: pro, managed: false}}
---
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {{name: acme, namespace: acme}}
spec:
  plan: pro
  applyToAll: {{id: {identifier}, route: {{unconfigured: {{}}}}, confirm: {{domains: {count}}}}}
---
apiVersion: sendroute.dev/v1alpha1
kind: SMTPProfile
metadata: {{name: ses, namespace: acme}}
spec:
  account: acme
  displayName: {text}
  host: smtp.ses.example
  port: {port}
  encryption: starttls
  credentials: {{secretRef: {{name: {secret}}}}}
  suspend: {switch}
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {{name: a, namespace: acme}}
spec: {{account: acme, domain: a.example, route: {{profile: ses}}}}
"""
VALID = {
    "identifier": "move", "count": "5", "text": "SES", "port": "587", "secret": "ses-smtp",
    "switch": "false",
}  # fmt: skip
TEXTS = ("identifier", "text", "secret")


def errors(path: Path, field: str, value: str) -> list[Finding]:
    path.write_text(TREE.format(**{**VALID, field: value}))
    desired = read_tree([str(path)]).desired
    return [item for item in desired.findings if item.severity == "error"]


def followed(hint: str, field: str, value: str) -> str:
    """What an author writes who follows the hint."""
    if field in TEXTS:
        if quoted := re.search(r'"([^"]*)"', hint):
            return quoted[0]
        assert "put it into quotes" in hint
        return f'"{value}"'
    if field == "switch":
        switch = re.search(r"\b(true|false)\b", hint)
        assert switch is not None
        return switch[0]
    number = re.search(r"(?:, |quotes: |example: \w+: |Write )([0-9]+)", hint)
    assert number is not None
    return number[1]


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize(
    "value", ["1234", "1.50", "587.0", "1e3", "yes", "no", "0465", "0b11", "true", "12e03"]
)
def test_a_number_or_a_word_as_text_is_quoted_as_the_hint_says(
    tmp_path: Path, field: str, value: str
) -> None:
    (wrong,) = errors(tmp_path / "a.yaml", field, value)
    assert wrong.hint is not None
    assert errors(tmp_path / "a.yaml", field, followed(wrong.hint, field, value)) == []


@pytest.mark.parametrize("field", ["port", "count"])
@pytest.mark.parametrize(
    "value", ["0465", "0o17", "0b11", "1_000", "0x_1F", "1.50", "'587'", "true", "2026-11-28"]
)
def test_a_number_is_written_as_the_hint_says(tmp_path: Path, field: str, value: str) -> None:
    (wrong,) = errors(tmp_path / "a.yaml", field, value)
    assert wrong.hint is not None
    assert errors(tmp_path / "a.yaml", field, followed(wrong.hint, field, value)) == []


@pytest.mark.parametrize("value", ["yes", "no", "on", "Off", "y", "'true'", "1", "0x1F", "''"])
def test_a_switch_is_written_as_the_hint_says(tmp_path: Path, value: str) -> None:
    (wrong,) = errors(tmp_path / "a.yaml", "switch", value)
    assert wrong.hint is not None
    assert errors(tmp_path / "a.yaml", "switch", followed(wrong.hint, "switch", value)) == []


@pytest.mark.parametrize("value", ["1234", "8.25"])
def test_a_value_instead_of_a_secrets_name_is_never_repeated(tmp_path: Path, value: str) -> None:
    (wrong,) = errors(tmp_path / "a.yaml", "secret", value)
    assert value not in f"{wrong.message} {wrong.hint}"


IN_BRACES = {
    "a colon without a space": ("{profile:ses}", "profile", "{profile: ses}"),
    "a colon without a space in a required field": (
        "{newProfile: {name:x, host: smtp.x.example, port: 587, encryption: starttls}}",
        "name",
        "{newProfile: {name: x, host: smtp.x.example, port: 587, encryption: starttls}}",
    ),
}


@pytest.mark.parametrize("case", IN_BRACES)
def test_a_colon_without_a_space_in_braces_is_named(tmp_path: Path, case: str) -> None:
    written, key, fixed = IN_BRACES[case]
    path = tmp_path / "a.yaml"
    tree = TREE.format(**VALID)
    route = "route: {profile: ses}"
    path.write_text(tree.replace(route, f"route: {written}"))
    (only,) = read_tree([str(path)]).desired.findings
    assert only.hint == f"The key {key} needs a colon and a space after it."
    path.write_text(tree.replace(route, f"route: {fixed}"))
    assert not [
        item for item in read_tree([str(path)]).desired.findings if item.severity == "error"
    ]


def test_a_comma_in_a_number_in_braces_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    plan = "{name: pro, managed: false"
    for number, hints in (
        ("20,000", ["In braces a comma ends a value. Write a number without commas: 20000."]),
        ("20000", []),
    ):
        limits = f"{plan}, limits: {{accountPerDay: {number}}}"
        path.write_text(TREE.format(**VALID).replace(plan, limits))
        findings = read_tree([str(path)]).desired.findings
        assert [item.hint for item in findings if item.severity == "error"] == hints
