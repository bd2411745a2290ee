"""A tenant does not read in a status who another tenant is; the log has the full names."""

from tests.cluster.projected import (
    ACCOUNT,
    DOMAIN,
    PLATFORM,
    PROFILE,
    Cluster,
    documents,
    with_spec,
)

from sendroute.cluster.objects import ObjectKey
from sendroute.cluster.tenancy import findings_for_tenant, for_tenant
from sendroute.model.desired import AccountKey
from sendroute.planner.guards import Guards

BRAVO = ACCOUNT.replace("acme", "bravo")
CLAIM = DOMAIN.replace("namespace: acme", "namespace: bravo")
THE_CLAIM = ObjectKey("SendingDomain", "bravo", "shop")


def conditions(cluster: Cluster, text: str, key: ObjectKey) -> dict[str, str]:
    """The messages of an object's conditions."""
    return {item["type"]: item["message"] for item in cluster.apply(text)[key]["conditions"]}


def accepted(cluster: Cluster, text: str, key: ObjectKey) -> str:
    return conditions(cluster, text, key)["Accepted"]


def test_a_domain_of_another_tenant_belongs_to_another_account() -> None:
    cluster = Cluster()
    cluster.apply(documents(PLATFORM, ACCOUNT, DOMAIN))
    claim = CLAIM.replace("account: acme", "account: bravo")
    text = documents(PLATFORM, ACCOUNT, DOMAIN, BRAVO, claim)
    assert accepted(cluster, text, THE_CLAIM) == (
        "shop.example.com belongs to another account; account bravo/bravo does not get it. Keep one"
        " declaration. To move the domain, remove it from the account that holds it."
    )


def test_a_guessed_name_does_not_say_whether_another_tenant_has_it() -> None:
    messages = {
        accepted(Cluster(), documents(PLATFORM, others, CLAIM), THE_CLAIM)
        for others in (documents(ACCOUNT, DOMAIN), BRAVO, ACCOUNT)
    }
    assert len(messages) == 1, "the existence of acme/acme shows"


def test_another_account_of_the_same_tenant_is_named() -> None:
    second = with_spec(ACCOUNT, "second")
    claim = with_spec(DOMAIN, "claim", account="second")
    cluster = Cluster()
    cluster.apply(documents(PLATFORM, ACCOUNT, DOMAIN))
    text = documents(PLATFORM, ACCOUNT, DOMAIN, second, claim)
    message = accepted(cluster, text, ObjectKey("SendingDomain", "acme", "claim"))
    assert "belongs to account acme/acme" in message


def test_a_domain_that_cannot_move_yet_does_not_name_the_tenant_that_holds_it() -> None:
    cluster = Cluster()
    cluster.apply(documents(PLATFORM, ACCOUNT, DOMAIN))
    claim = with_spec(CLAIM, account="bravo")
    text = documents(PLATFORM, with_spec(ACCOUNT, plan="gone"), BRAVO, claim)
    ready = conditions(cluster, text, THE_CLAIM)["Ready"]
    assert ready == (
        "shop.example.com waits for another account, the present holder, which cannot change now:"
        " not created yet in account bravo/bravo."
    )


def test_the_data_of_a_finding_does_not_name_the_other_tenant_either() -> None:
    cluster = Cluster()
    cluster.apply(documents(PLATFORM, ACCOUNT, DOMAIN))
    claim = with_spec(CLAIM, account="bravo")
    cluster.apply(documents(PLATFORM, with_spec(ACCOUNT, plan="gone"), BRAVO, claim))
    findings = cluster.reconciled[AccountKey("bravo", "bravo")].findings
    (item,) = (item for item in findings if item.code == "dependency-skipped")
    assert item.wait is not None
    assert "acme/acme" in item.wait.obstacle
    assert "acme" not in repr(for_tenant(item, "bravo"))


def test_a_guard_of_the_whole_change_does_not_say_how_many_domains_the_platform_has() -> None:
    accounts = [ACCOUNT.replace("acme", name) for name in ("acme", "bravo", "delta")]
    domains = [
        with_spec(DOMAIN, f"d{number}", domain=f"d{number}.{name}.example", account=name).replace(
            "namespace: acme", f"namespace: {name}"
        )
        for name in ("acme", "bravo", "delta")
        for number in range(7)
    ]
    cluster = Cluster()
    cluster.apply(documents(PLATFORM, *accounts, *domains))
    fewer = documents(PLATFORM, *accounts, *domains[:4], *domains[7:11], *domains[14:18])
    message = conditions(cluster, fewer, ObjectKey("MailAccount", "acme", "acme"))["Applied"]
    assert message.startswith(
        "The change of account acme/acme would remove 3 domains, as a part of a larger change that"
        " would remove more than 30 % of all domains. If the change is intended, approve it:"
    )


def tenant(name: str, count: int) -> str:
    """An account in a namespace of its own, with so many domains."""
    account = ACCOUNT.replace("acme", name)
    domains = [
        with_spec(DOMAIN, f"d{number}", domain=f"d{number}.{name}.example", account=name).replace(
            "namespace: acme", f"namespace: {name}"
        )
        for number in range(count)
    ]
    return documents(account, *domains)


def applied_after(guards: Guards, *counts: tuple[str, int, int]) -> dict[str, bool]:
    """Whether each account is applied. A tenant has so many domains before and after."""
    cluster = Cluster()
    cluster.apply(documents(PLATFORM, *(tenant(name, before) for name, before, _ in counts)))
    after = documents(PLATFORM, *(tenant(name, count) for name, _, count in counts))
    statuses = cluster.apply(after, guards=guards)
    return {
        name: any(
            item["type"] == "Applied" and item["status"] == "True"
            for item in statuses[ObjectKey("MailAccount", name, name)]["conditions"]
        )
        for name, _, _ in counts
    }


def test_one_tenants_removals_do_not_hold_back_another_tenants() -> None:
    counts = ("acme", 12, 11), ("delta", 9, 9), ("evil", 40, 0)
    of_tenants = Guards(approved={}, tenants=True)
    assert applied_after(of_tenants, *counts) == {"acme": True, "delta": True, "evil": False}
    of_one_tree = Guards(approved={})
    assert applied_after(of_one_tree, *counts) == {"acme": False, "delta": True, "evil": False}


def test_what_takes_domains_from_several_tenants_is_held_back() -> None:
    counts = [(name, 7, 4) for name in ("acme", "bravo", "delta", "foxtrot")]
    applied = applied_after(Guards(approved={}, tenants=True), *counts)
    assert not any(applied.values())


def test_an_invalid_object_of_another_tenant_is_in_no_status_of_this_one() -> None:
    """Its account cannot be read, so it may be of any account of its namespace, and of no other."""
    other = with_spec(DOMAIN, "secret-customer", account=None, domain="customer..example")
    other = other.replace("namespace: acme", "namespace: bravo")
    statuses = Cluster().apply(documents(PLATFORM, with_spec(ACCOUNT, plan="gone"), DOMAIN, other))
    for key, status in statuses.items():
        assert "customer" not in str(status), key


def test_a_domain_that_leaves_before_it_moves_does_not_name_the_tenant_that_declares_it() -> None:
    cluster = Cluster()
    cluster.apply(documents(PLATFORM, ACCOUNT, DOMAIN))
    claim = with_spec(CLAIM, account="bravo", suspend=True)
    cluster.apply(documents(PLATFORM, ACCOUNT, BRAVO, claim), guards=Guards())
    findings = cluster.reconciled[AccountKey("acme", "acme")].findings
    [left] = findings_for_tenant(findings, "acme")
    assert left.code == "removed-before-move"
    assert left.message == (
        "shop.example.com leaves account acme/acme and cannot send until another account, which"
        " declares it, can take it."
    )
    assert left.hint == "Fix the other account first: then the move is one transaction."


def test_an_unused_profile_says_whether_domains_use_it() -> None:
    cluster, profile = Cluster(), ObjectKey("SMTPProfile", "acme", "ses")
    assert accepted(cluster, documents(PLATFORM, ACCOUNT, PROFILE), profile) == (
        "The object is valid. No object of the account refers to profile ses, and no domain uses"
        " it. It can be deleted."
    )
    routed = with_spec(DOMAIN, route={"profile": "ses"})
    cluster.apply(documents(PLATFORM, ACCOUNT, PROFILE, routed))
    assert accepted(cluster, documents(PLATFORM, ACCOUNT, PROFILE, DOMAIN), profile) == (
        "The object is valid. No object of the account refers to profile ses, but 1 domain of it"
        " uses the profile because of an earlier declaration, default or apply-all."
    )
