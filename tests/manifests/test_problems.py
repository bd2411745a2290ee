"""Problems of a document are reported together, in terms of the manifest, without secrets."""

from typing import Any

import pytest

from sendroute.manifests.problems import problems, unambiguous
from sendroute.manifests.wording import ShapeProblem
from sendroute.model.finding import Path

ACCOUNT = {"account": "acme"}


def problems_of(kind: str, spec: Any, **metadata: Any) -> list[ShapeProblem]:
    return problems(
        kind,
        {
            "apiVersion": "sendroute.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": "x", **metadata},
            "spec": spec,
        },
    )


def only_problem(kind: str, spec: Any, **metadata: Any) -> ShapeProblem:
    (only,) = problems_of(kind, spec, **metadata)
    return only


def test_a_port_out_of_range_is_reported_with_the_range_and_the_value() -> None:
    problem = only_problem("SMTPProfile", ACCOUNT | {"port": 70000})
    assert (problem.code, problem.path, problem.of_key) == (
        "invalid-value",
        ("spec", "port"),
        False,
    )
    assert (
        problem.message
        == "SMTPProfile x: spec.port must be a whole number from 1 to 65535, not 70000."
    )


def test_all_problems_are_reported_at_once() -> None:
    codes = {
        (problem.code, problem.path)
        for problem in problems_of(
            "SMTPProfile",
            {
                "acount": "acme",
                "port": "587",
                "limits": {"perDay": 0},
                "onDelete": {"reassignTo": {"managed": {}, "profile": "Not A Name"}},
            },
        )
    }
    assert codes == {
        ("unknown-field", ("spec", "acount")),
        ("missing-field", ("spec",)),
        ("invalid-value", ("spec", "port")),
        ("invalid-value", ("spec", "limits", "perDay")),
        ("invalid-value", ("spec", "onDelete", "reassignTo")),
        ("invalid-value", ("spec", "onDelete", "reassignTo", "profile")),
    }


def test_a_misspelt_field_is_reported_at_its_key_with_the_right_name() -> None:
    problem = only_problem("SendingDomain", ACCOUNT | {"domain": "a.example", "rout": {}})
    assert (problem.code, problem.path, problem.of_key) == ("unknown-field", ("spec", "rout"), True)
    assert problem.hint == "Did you mean route?"


def test_a_missing_field_is_reported_at_its_mapping() -> None:
    problem = only_problem("SendingDomain", {"domain": "a.example"})
    assert (problem.code, problem.path, problem.of_key) == ("missing-field", ("spec",), False)
    assert problem.message == "The required field spec.account of SendingDomain x is missing."
    assert problem.hint is not None
    assert "account: acme" in problem.hint


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"plan": None}, "MailAccount x: spec.plan must be a name"),
        ({"plan": "Pro"}, "MailAccount x: spec.plan must be a name"),
        ({"plan": 7}, "MailAccount x: spec.plan must be a name"),
        (
            {"plan": "pro", "defaultRoute": "managed"},
            "MailAccount x: spec.defaultRoute must be a mapping",
        ),
        (
            {"plan": "pro", "defaultRoute": {}},
            "MailAccount x: spec.defaultRoute is empty, but must have exactly one",
        ),
        (
            {"plan": "pro", "suspend": "yes"},
            "MailAccount x: spec.suspend must be true or false, not 'yes'.",
        ),
    ],
)
def test_an_invalid_value_is_refused_with_one_sentence(spec: dict[str, Any], message: str) -> None:
    problem = only_problem("MailAccount", spec)
    assert problem.message.startswith(message)
    assert problem.message.endswith(".")
    assert problem.hint


@pytest.mark.parametrize(
    ("route", "hint"),
    [
        ("managed", "Write defaultRoute: {managed: {}}."),
        ("Unconfigured", "Write defaultRoute: {unconfigured: {}}."),
        ("mailgun", "For profile mailgun, write defaultRoute: {profile: mailgun}."),
    ],
)
def test_a_word_instead_of_a_route_gets_the_route_that_it_means(route: str, hint: str) -> None:
    problem = only_problem("MailAccount", {"plan": "pro", "defaultRoute": route})
    assert problem.hint == hint


def test_an_empty_required_field_is_to_be_set() -> None:
    empty = only_problem("MailAccount", {"plan": None})
    assert empty.hint == (
        "Set a value. The name of a service plan in the MailPlatform. For example: plan: pro"
    )
    optional = only_problem("MailAccount", {"plan": "pro", "suspend": None})
    assert optional.hint == "Set a value, or remove the field."


@pytest.mark.parametrize(
    ("kind", "path", "text", "hint"),
    [
        ("SMTPProfile", ("spec", "port"), "0465", "Write 465."),
        ("SMTPProfile", ("spec", "limits", "perDay"), "50_000", "Write 50000."),
        ("SMTPProfile", ("spec", "suspend"), "off", "Write false."),
        ("SMTPProfile", ("spec", "port"), "on", None),
        ("SMTPProfile", ("spec", "account"), "0465", 'Write "0465".'),
        ("SMTPProfile", ("spec", "displayName"), "1:30", 'Write "1:30".'),
        ("SMTPProfile", ("spec", "displayName"), "0" * 41, None),
        ("SMTPProfile", ("spec", "senderAuthorization"), "off", 'Write "off".'),
        ("SMTPProfile", ("spec", "encryption"), "no", "Write one of none, starttls, tls."),
        ("MailAccount", ("spec", "defaultRoute"), "no", None),
    ],
)
def test_an_ambiguous_scalar_has_the_meaning_of_its_field(
    kind: str, path: Path, text: str, hint: str | None
) -> None:
    assert unambiguous(kind, path, text) == hint


def test_a_platform_has_no_namespace() -> None:
    problem = only_problem("MailPlatform", {"plans": []}, namespace="acme")
    assert problem.code == "unknown-field"
    assert problem.hint == "A MailPlatform has no namespace. Remove the field."


def test_a_misspelt_namespace_is_not_the_default_namespace() -> None:
    problem = only_problem("MailAccount", {"plan": "pro"}, namspace="acme")
    assert problem.hint == "Did you mean namespace?"


SECRET = "hunter2-Tr0ub4dor"


@pytest.mark.parametrize(
    "fields",
    [
        {"password": SECRET},
        {"apiKey": SECRET},
        {"credentials": SECRET},
        {"credentials": [SECRET]},
        {"credentials": {"password": SECRET, "username": "me"}},
        {"credentials": {"secretRef": SECRET}},
        {"credentials": {"secretRef": {"name": SECRET + "!"}}},
        {"credentials": {"secretRef": {"name": "ses", "smtpPassword": SECRET}}},
        {"credentials": {"secretRef": {"name": 12345678901}}},
        {"limits": {"token": {"value": SECRET}}},
    ],
)
def test_a_secret_in_a_manifest_is_not_repeated(fields: dict[str, Any]) -> None:
    reported = problems_of("SMTPProfile", ACCOUNT | fields)
    assert reported
    for problem in reported:
        assert SECRET not in problem.message + (problem.hint or "")
        assert "12345678901" not in problem.message + (problem.hint or "")
    assert any("Never write a secret" in (problem.hint or "") for problem in reported)


@pytest.mark.parametrize(
    "value",
    ["x" * 5000, "a\nb", "a\x1b[31mb", "\u202egnp.exe", "\ud800", 10**5000, "\x00"],
    ids=["long", "lines", "escape", "bidi", "surrogate", "number", "nul"],
)
def test_long_or_unprintable_input_is_not_repeated(value: Any) -> None:
    for spec in ({"displayName": value}, {"connectionTest": value}, {"port": value}):
        problem = only_problem("SMTPProfile", ACCOUNT | spec)
        assert problem.message.isprintable()
        assert len(problem.message) < 200


def test_an_unprintable_key_is_not_repeated() -> None:
    problem = only_problem("SMTPProfile", ACCOUNT | {"a\x1b[31m\nb": 1})
    assert (problem.message + (problem.hint or "")).isprintable()


def test_a_key_that_is_not_text_is_an_unknown_field() -> None:
    problem = only_problem("SMTPProfile", ACCOUNT | {5: 1})
    assert (problem.code, problem.of_key) == ("unknown-field", True)


def test_a_number_in_quotes_gets_the_hint_to_remove_them() -> None:
    assert (
        only_problem("SMTPProfile", ACCOUNT | {"port": "587"}).hint
        == "Write it without quotes: 587."
    )


def test_a_name_with_capitals_gets_a_valid_name_as_hint() -> None:
    assert only_problem("SMTPProfile", {"account": "Acme_Corp"}).hint == "For example: acme-corp."


def test_invalid_names_are_reported_with_the_other_problems() -> None:
    reported = problems_of(
        "SendingDomain",
        {
            "acount": "acme",
            "domain": "a.example.",
            "route": {"newProfile": {"name": "p", "host": "a_b"}},
        },
    )
    assert [(problem.path, problem.message) for problem in reported[2:]] == [
        (
            ("spec", "domain"),
            "SendingDomain x: spec.domain must not end in a dot; the value is 'a.example.'.",
        ),
        (
            ("spec", "route", "newProfile", "host"),
            "SendingDomain x: spec.route.newProfile.host must not contain an underscore; the value"
            " is 'a_b'.",
        ),
    ]
