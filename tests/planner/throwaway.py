"""Only until the real reader of manifests is wired into test_cases.py: just enough of it."""

from pathlib import Path
from typing import Any

import idna
import yaml

from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Where
from sendroute.model.platform import Managed, Platform, Relay
from sendroute.model.platform import Plan as MailPlan
from sendroute.model.profile import ConnectionTest, Encryption, Profile
from sendroute.model.route import MANAGED, UNCONFIGURED, Route, via
from sendroute.model.wanted import (
    AccountKey,
    ApplyAll,
    Stray,
    Wanted,
    WantedAccount,
    WantedDomain,
    WantedPlatform,
    WantedProfile,
)


def route_of(value: dict[str, Any] | None) -> Route | None:
    if value is None:
        return None
    if "managed" in value:
        return MANAGED
    if "unconfigured" in value:
        return UNCONFIGURED
    return via(value["profile"] if "profile" in value else value["newProfile"]["name"])


def profile_of(spec: dict[str, Any]) -> Profile:
    return Profile(
        host=spec["host"],
        port=spec["port"],
        encryption=Encryption(spec["encryption"]),
        secret=spec["credentials"]["secretRef"]["name"],
        connection_test=ConnectionTest(spec.get("connectionTest", "required")),
        reassign_to=route_of(spec.get("onDelete", {}).get("reassignTo")),
    )


def read(folder: Path) -> Wanted:
    documents: list[tuple[Where, dict[str, Any]]] = []
    complete, findings = True, list[Finding]()
    for file in sorted(folder.rglob("*.yaml")):
        try:
            loaded = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
        except yaml.YAMLError:
            complete = False
            findings.append(finding("yaml-syntax", "broken", where=Where(str(file), 0)))
            continue
        documents += [(Where(str(file), n), doc) for n, doc in enumerate(loaded) if doc]
    platform, accounts = None, dict[AccountKey, WantedAccount]()
    strays, stopped = dict[AccountKey, list[Stray]](), set[AccountKey]()
    for where, doc in documents:
        spec, meta = doc["spec"], doc["metadata"]
        if doc["kind"] == "MailPlatform":
            managed = Managed(
                None, "smtp.example", (), Relay("relay.example", 587, Encryption.STARTTLS)
            )
            plans = tuple(MailPlan(p["name"], p["managed"]) for p in spec["plans"])
            platform = WantedPlatform(Platform(managed, plans), where, spec.get("suspend", False))
        if doc["kind"] == "MailAccount":
            key = AccountKey(meta["namespace"], meta["name"])
            request = spec.get("applyToAll")
            accounts[key] = WantedAccount(
                key=key,
                plan=spec["plan"],
                where=where,
                default=route_of(spec.get("defaultRoute")),
                apply_all=request
                and ApplyAll(
                    request["id"],
                    route_of(request["route"]) or MANAGED,
                    request.get("confirm", {}).get("domains"),
                ),
                suspended=spec.get("suspend", False),
            )
    for where, doc in documents:
        spec, meta = doc["spec"], doc["metadata"]
        if "account" not in spec:
            continue
        key = AccountKey(meta["namespace"], spec["account"])
        if key not in accounts:
            strays.setdefault(key, []).append(Stray(doc["kind"], meta["name"], where))
            continue
        account, suspended = accounts[key], spec.get("suspend", False)
        new = None
        if doc["kind"] == "SMTPProfile":
            new = (meta["name"], WantedProfile(profile_of(spec), where, suspended))
        else:
            name = idna.encode(spec["domain"], uts46=True).decode()
            account.domains.append(
                WantedDomain(name, route_of(spec.get("route")), where, suspended)
            )
            inline = (spec.get("route") or {}).get("newProfile")
            if inline:
                new = (inline["name"], WantedProfile(profile_of(inline), where, suspended, name))
        if new and new[0] in account.profiles:
            stopped.add(key)
            findings.append(finding("duplicate-profile", "two", where=where, account=key))
        elif new:
            account.profiles[new[0]] = new[1]
    return Wanted(platform, accounts, strays, frozenset(stopped), complete, tuple(findings))
