"""Findings as SARIF 2.1.0 (OASIS Standard), which GitHub's code scanning and other tools read."""

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from sendroute.model.codes import Code, code_of
from sendroute.model.finding import Finding, Position, Severity, Where
from sendroute.model.version import __version__
from sendroute.reports.as_json import document
from sendroute.reports.report import Report

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

_LEVELS = {
    Severity.ERROR: "error",
    Severity.REFUSED: "error",
    Severity.WARNING: "warning",
    Severity.INFO: "note",
}


def chunks(report: Report) -> Iterator[str]:
    return document([("$schema", SCHEMA), ("version", "2.1.0"), ("runs", iter([_run(report)]))])


def _run(report: Report) -> dict[str, Any]:
    codes = sorted({finding.code for finding in report.findings})
    index = {code: number for number, code in enumerate(codes)}
    driver = {
        "name": "sendroute",
        "semanticVersion": __version__,
        "rules": [_rule(code_of(code)) for code in codes],
    }
    return {
        "tool": {"driver": driver},
        # One category per command, so that a plan's results do not replace a validation's.
        "automationDetails": {"id": f"sendroute/{report.command}/"},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, index[finding.code]) for finding in report.findings],
    }


def _rule(code: Code) -> dict[str, Any]:
    return {
        "id": code.value,
        "shortDescription": {"text": code.meaning},
        "fullDescription": {"text": code.meaning},
        "help": {"text": f"{code.meaning} The result's message says where, and what to do."},
        "defaultConfiguration": {"level": _LEVELS[code.severity]},
        "properties": {"severity": code.severity.value},
    }


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    hint = f" Hint: {finding.hint}" if finding.hint else ""
    properties = {"severity": finding.severity.value}
    if finding.account is not None:
        properties |= {"namespace": finding.namespace or "", "account": finding.account}
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": _literal(finding.message + hint)},
        "properties": properties,
    }
    location = finding.position or finding.where
    if location is not None:
        result["locations"] = [_location(location)]
    if finding.related:
        result["relatedLocations"] = [
            {"id": number, **_location(location), "message": {"text": "See also here."}}
            for number, location in enumerate(finding.related)
        ]
    return result


def _literal(text: str) -> str:
    """Plain text where brackets would be embedded links (SARIF 2.1.0, 3.11.6)."""
    for special in "\\[]":
        text = text.replace(special, f"\\{special}")
    return text


def _location(location: Position | Where) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": artifact(location.file)}
    if isinstance(location, Position):
        physical["region"] = {"startLine": location.line, "startColumn": location.column}
    return {"physicalLocation": physical}


def artifact(file: str) -> dict[str, str]:
    """The file's URI (RFC 3986): relative to the source root, or absolute if the path is.

    The bytes of the name are encoded, so the URI is also correct for a name that is not UTF-8.
    """
    path = os.path.normpath(file)
    uri = quote(_bytes(path), safe="/")
    if path.startswith("/"):
        return {"uri": f"file:///{uri.lstrip('/')}"}
    return {"uri": uri, "uriBaseId": "%SRCROOT%"}


def _bytes(path: str) -> bytes:
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:  # no file has such a name, but the report must not fail
        return path.encode("utf-8", "replace")
