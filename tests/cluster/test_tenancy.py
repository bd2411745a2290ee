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
from sendroute.cluster.tenancy import for_tenant

BRAVO = ACCOUNT.replace("acme", "bravo")
CLAIM = DOMAIN.replace("namespace: acme", "namespace: bravo")
THE_CLAIM = ObjectKey("SendingDomain", "bravo", "shop")


def accepted(cluster: Cluster, text: str, key: ObjectKey) -> str:
    conditions = cluster.apply(text)[key]["conditions"]
    return str(next(item["message"] for item in conditions if item["type"] == "Accepted"))


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


def test_several_names_are_removed_together() -> None:
    text = "Accounts b/x, c/y.z and a/q declare it. Account b/x has it, and account a/q not."
    assert for_tenant(text, "a") == (
        "Accounts of other tenants declare it. Another account has it, and account a/q not."
    )


def test_objects_and_namespaces_of_others_are_not_named() -> None:
    text = "The status of MailAccount/b/x differs. The SendingDomain objects of namespace b too."
    assert for_tenant(text, "b") == text
    assert for_tenant(text, "a") == (
        "The status of a MailAccount of another tenant differs. The SendingDomain objects of"
        " another namespace too."
    )


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
