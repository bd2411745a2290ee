"""Every code a finding can have, its severity and what it means. A code never changes meaning."""

from sendroute.model.finding import Finding, Severity, Where

_ERROR, _WARN, _INFO, _REFUSED = (
    Severity.ERROR,
    Severity.WARNING,
    Severity.INFO,
    Severity.REFUSED,
)

CODES: dict[str, tuple[Severity, str]] = {
    # reading
    "yaml-syntax": (_ERROR, "The file is not well-formed YAML or JSON."),
    "ambiguous-scalar": (_ERROR, "YAML 1.1 and 1.2 read this unquoted value differently."),
    "yaml-unsupported": (
        _ERROR,
        "Anchors, aliases, merge keys, tags and deep nesting are refused.",
    ),
    "duplicate-key": (_ERROR, "A mapping has the same key twice."),
    "not-utf8": (_ERROR, "The file is not UTF-8 text."),
    "too-large": (_ERROR, "A file or a string is larger than is accepted."),
    "unreadable": (_ERROR, "The file or folder could not be read."),
    "unwritable": (_ERROR, "The file could not be written."),
    "edit-by-hand": (_ERROR, "The layout does not let the edit be made in place."),
    "out-of-sync": (_ERROR, "The declared route is not the one that is assigned."),
    "unknown-kind": (_ERROR, "No such kind in this API group."),
    "unknown-version": (_ERROR, "No such version of this API group."),
    "unknown-field": (_ERROR, "The kind has no such field."),
    "missing-field": (_ERROR, "A required field is absent."),
    "invalid-value": (_ERROR, "The value is not one the field accepts."),
    "policy-violation": (_ERROR, "The document breaks the organisation's own policy."),
    "duplicate-object": (_ERROR, "Two documents define the same object."),
    "no-manifests": (_ERROR, "The tree holds no manifests."),
    "no-platform": (_ERROR, "The tree holds no readable MailPlatform."),
    "held-back": (_ERROR, "Something could not be read, so nothing is taken from this account."),
    # references
    "unknown-account": (_ERROR, "Nothing defines the account."),
    "unknown-domain": (_ERROR, "No account has the domain."),
    "unknown-plan": (_ERROR, "The platform does not define the plan."),
    "unknown-profile": (_ERROR, "The account has no such profile."),
    "duplicate-profile": (_ERROR, "Two definitions of one profile."),
    "domain-conflict": (_ERROR, "Two claims on one domain."),
    "managed-not-in-plan": (_ERROR, "The account's plan does not offer managed sending."),
    "account-not-empty": (_ERROR, "An account is removed only with all that it owns."),
    # advice
    "unusual-port": (_WARN, "Not a port that SMTP providers use."),
    "profile-deleted": (_WARN, "A profile that is still referred to is gone."),
    "default-fell-back": (_WARN, "The declared default cannot be had; the plan's baseline serves."),
    "apply-all-wins": (_WARN, "An edit and an apply-all of one change: the apply-all decides."),
    "profile-unused": (_WARN, "Nothing sends through this profile."),
    "suspended": (_INFO, "The object is left as the store holds it."),
    "insecure-auth": (_ERROR, "Credentials would travel without encryption."),
    "credentials-need-hostname": (_ERROR, "Credentials belong to a host name, not an address."),
    # apply-all
    "awaiting-confirmation": (_REFUSED, "The apply-all needs its confirming number of domains."),
    "confirmation-exceeded": (_REFUSED, "The account has more domains than were confirmed."),
    "apply-all-id-reused": (_REFUSED, "This id ran before with another route."),
    "apply-all-unsatisfiable": (_REFUSED, "The account's plan does not offer the route."),
    # connection
    "connection-test-failed": (_ERROR, "The provider could not be reached as the profile says."),
    "connection-not-tested": (_INFO, "The profile is saved without a connection test."),
    "secret-missing": (_ERROR, "The secret named by the profile is not there."),
    "secret-invalid": (_ERROR, "The secret's content cannot be a username and password."),
    "secret-ambiguous": (_ERROR, "Two references mean the same variables."),
    "secret-not-bound": (_ERROR, "The secret is not bound to this destination."),
    "secret-not-compared": (_INFO, "Whether the secret's content has changed is not known."),
    "credential-unreadable": (_ERROR, "A stored credential does not open with these keys."),
    "address-refused": (_ERROR, "The host resolves to an address that tests may not reach."),
    "dependency-skipped": (_WARN, "Left as it is, because what it depends on was skipped."),
    # following a source
    "source-unreachable": (_ERROR, "The source of the manifests cannot be had."),
    "unsigned-commit": (_ERROR, "The commit is not signed by a key that is allowed to."),
    "address-in-use": (_ERROR, "The address to listen on cannot be had."),
    # guards
    "too-many-changes": (_REFUSED, "One change would re-route too many of an account's domains."),
    "too-many-removals": (_REFUSED, "One change would remove too many of an account's domains."),
    "not-held-back": (_ERROR, "Nothing of the account waits to be approved."),
    "not-approved": (_REFUSED, "A change must be approved before it is applied."),
    "stale-plan": (_REFUSED, "The saved plan no longer fits the store."),
    "store-empty": (_REFUSED, "A store with history was expected; this one is empty."),
    "wrong-store": (_REFUSED, "Another store was expected."),
    "store-locked": (_REFUSED, "The store is in use by another writer."),
    "not-initialised": (_REFUSED, "There is no store here yet."),
    "key-missing": (_REFUSED, "No key to encrypt credentials with was given."),
    "key-exists": (_REFUSED, "A key is never written over."),
    "store-exists": (_REFUSED, "A store is made once, and one is here already."),
    "store-version": (_REFUSED, "The store was written by another version of Sendroute."),
    "store-failed": (_ERROR, "The store could not be read or written."),
}


def finding(
    code: str,
    message: str,
    *,
    hint: str | None = None,
    where: Where | None = None,
    related: tuple[Where, ...] = (),
    account: tuple[str, str] | None = None,
    severity: Severity | None = None,
) -> Finding:
    """A finding with its code's own severity, unless the rule gives another.

    ``account`` is ``(namespace, name)``.
    """
    namespace, name = account or (None, None)
    return Finding(
        code=code,
        severity=severity or CODES[code][0],
        message=message,
        hint=hint,
        where=where,
        related=related,
        namespace=namespace,
        account=name,
    )
