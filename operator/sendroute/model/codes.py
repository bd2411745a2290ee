"""Every code of a finding and what it means: the one table that all others read.

A code never gets another meaning. The exit status, retries, approvals, reports, the conditions of
Kubernetes objects and docs/findings.md are derived from the properties here.
"""

from enum import Enum, Flag, StrEnum, auto

from sendroute.model.conditions import ConditionOf, ConditionType, Reason
from sendroute.model.finding import Finding, Severity, TenantText, Where
from sendroute.model.remedy import Remedy
from sendroute.model.waiting import Wait


class Responsible(Enum):
    """Who must act so that a finding is resolved."""

    AUTHOR = "author"
    """The person who edits the manifests."""
    OPERATOR = "operator"
    """The person who runs Sendroute: its store, keys, options, confirmations and approvals."""
    ENVIRONMENT = "environment"
    """Whatever Sendroute connects to: a provider, a database, a git server, a disk."""


class Trait(Flag):
    """What else follows from a code, besides its severity."""

    GUARD = auto()
    """It refuses a change that is larger than expected, or for another store (rules: guards)."""
    APPROVABLE = auto()
    """Approving the plan lets it through."""
    TRANSIENT = auto()
    """It may be resolved without an edit and without an approval: a retry is worth it."""
    STORE = auto()
    """The store as a whole is unavailable, or is not the right one."""
    NEEDS_STORE = auto()
    """It depends on the store, so checking files alone does not report it."""
    NEEDS_BASE = auto()
    """It depends on an earlier state, so checking files alone needs a base revision."""
    ABSENCE = auto()
    """Something is missing that may be in a file that could not be read."""
    PROFILE_REFERENCE = auto()
    """A reference to a profile that does not exist, or no longer."""
    REREAD = auto()
    """Reading the same manifests again may succeed: a disk or a file server failed for a moment."""
    SKIPPED = auto()
    """Part of a change waits for something else, and the rest is applied. Whatever its severity,
    it leaves the account open."""
    BY_EDIT = auto()
    """An edit of the manifests may be meant to have this effect."""
    UNREAD = auto()
    """A whole file could not be read, so nothing of it is known."""
    CLAIM = auto()
    """It stops a claim on a domain, and not the account that makes it."""
    VALUE = auto()
    """The value itself cannot be read, so no other rule is checked on it."""
    PASSING = auto()
    """While the objects of one change arrive one by one, it may be true only for a moment."""
    REWRITTEN = auto()
    """It is gone when the lock file that it is about is written again."""
    MAY_WARN = auto()
    """An error or a refusal that a rule also reports as a warning or as information."""


_NONE = Trait(0)
_ERROR, _REFUSED = Severity.ERROR, Severity.REFUSED
_WARN, _INFO = Severity.WARNING, Severity.INFO
_AUTHOR, _OPERATOR, _ENVIRONMENT = Responsible.AUTHOR, Responsible.OPERATOR, Responsible.ENVIRONMENT
_ACCEPTED, _RESOLVED = ConditionType.ACCEPTED, ConditionType.RESOLVED_REFS
_CONNECTED, _APPLIED = ConditionType.CONNECTION_VERIFIED, ConditionType.APPLIED
_INVALID = ConditionOf(_ACCEPTED, Reason.INVALID)
_ADVICE = ConditionOf(_ACCEPTED, Reason.VALID, is_advice=True)
_HELD_BACK = ConditionOf(_APPLIED, Reason.HELD_BACK)
_NO_STORE = ConditionOf(_APPLIED, Reason.STORE_UNAVAILABLE)
_OTHER_STORE = ConditionOf(_APPLIED, Reason.STORE_LINEAGE_MISMATCH)
_ELSEWHERE = ConditionOf(_APPLIED, Reason.ACCOUNT_NOT_APPLIED)
_NO_OBJECT = None  # a finding about files, git, a command or a relay


class Code(StrEnum):
    """A code with its properties.

    ``severity`` is the default severity; a rule may give another. ``responsible`` must act.
    ``condition`` is where a Kubernetes object shows it, None if no object does. ``meaning`` is one
    sentence. ``cause`` and ``fix`` say what causes it and what to do, without
    commands of a front end. ``not_saved`` is a clause that says why a profile, or the platform's
    managed relay, is not saved because of this code; None for all other codes. Such an error skips
    only that part; the rest is applied.
    """

    severity: Severity
    responsible: Responsible
    condition: ConditionOf | None
    meaning: str
    cause: str
    fix: str
    traits: Trait
    not_saved: str | None

    def __new__(
        cls,
        value: str,
        severity: Severity,
        responsible: Responsible,
        condition: ConditionOf | None,
        meaning: str,
        cause: str,
        fix: str,
        traits: Trait = _NONE,
        not_saved: str | None = None,
    ) -> "Code":
        code = str.__new__(cls, value)
        code._value_ = value
        code.severity, code.responsible, code.condition = severity, responsible, condition
        code.meaning, code.cause, code.fix = meaning, cause, fix
        code.traits, code.not_saved = traits, not_saved
        return code

    # Reading

    YAML_SYNTAX = (
        "yaml-syntax",
        _ERROR,
        _AUTHOR,
        _NO_OBJECT,
        "The file is not well-formed YAML or JSON.",
        "A quote, a bracket or the indentation is wrong.",
        "Fix the syntax at the position.",
        Trait.UNREAD,
    )
    AMBIGUOUS_SCALAR = (
        "ambiguous-scalar",
        _ERROR,
        _AUTHOR,
        _NO_OBJECT,
        "YAML 1.1 and 1.2 read the unquoted value differently.",
        "An unquoted word such as yes, no, on or 0o17 is a boolean or a number to one of the two.",
        "Quote the value, or write true or false.",
        Trait.VALUE,
    )
    YAML_UNSUPPORTED = (
        "yaml-unsupported",
        _ERROR,
        _AUTHOR,
        _NO_OBJECT,
        "Anchors, aliases, merge keys, tags and deep nesting are refused.",
        "The document uses a YAML feature that hides what it says.",
        "Write the value out in full.",
    )
    DUPLICATE_KEY = (
        "duplicate-key",
        _ERROR,
        _AUTHOR,
        _NO_OBJECT,
        "A mapping has the same key twice.",
        "Two lines of one mapping set the same field.",
        "Keep one of the two lines.",
    )
    NOT_UTF8 = (
        "not-utf8",
        _ERROR,
        _AUTHOR,
        _NO_OBJECT,
        "The file is not UTF-8 text.",
        "An editor saved it in another encoding, or it is no text file.",
        "Save the file as UTF-8.",
        Trait.UNREAD,
    )
    TOO_LARGE = (
        "too-large",
        _ERROR,
        _AUTHOR,
        _INVALID,
        "A file or a string is larger than is accepted.",
        "The file is not a manifest, or several manifests should be split.",
        "Split the file, or move it out of the tree.",
        Trait.UNREAD,
    )
    UNREADABLE = (
        "unreadable",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "The file or directory could not be read.",
        "It is missing or empty, its permissions do not allow it, the disk reports an error, or a"
        " symbolic link leads to a path that is not read.",
        "Check that the path exists and that the user that runs sendroute may read it.",
        Trait.REREAD | Trait.UNREAD,
    )
    INTERNAL_ERROR = (
        "internal-error",
        _ERROR,
        _OPERATOR,
        _INVALID,
        "A bug in Sendroute: the file or object cannot be read, or the account cannot be planned.",
        "The content leads to a failure that Sendroute does not foresee.",
        "Report the message as a bug. Until it is fixed, write the content in another way.",
        Trait.UNREAD,
    )
    FINDINGS_OMITTED = (
        "findings-omitted",
        _ERROR,
        _AUTHOR,
        _NO_OBJECT,
        "More was found in the manifests than is shown.",
        "More than 100 documents of a file cannot be read, or 10,000 of the tree.",
        "Fix the findings that are shown, and check again.",
        Trait.MAY_WARN,
    )
    UNWRITABLE = (
        "unwritable",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "The file could not be written.",
        "Its directory is missing or full, its permissions do not allow it, or a symbolic link"
        " leads to it out of the given paths.",
        "Check the path, its permissions and the free space.",
    )
    EDIT_BY_HAND = (
        "edit-by-hand",
        _ERROR,
        _AUTHOR,
        _NO_OBJECT,
        "The layout of the file does not allow the edit in place.",
        "The value is written in a way that an edit would have to rewrite.",
        "Make the change in an editor.",
    )
    OUT_OF_SYNC = (
        "out-of-sync",
        _ERROR,
        _AUTHOR,
        _NO_OBJECT,
        "The declared route differs from the assigned route.",
        "An apply-all or a reassignment changed the route after the manifest was written.",
        "Write the assigned route into the manifest, or edit it to the route you want.",
    )
    ROUTE_NOW_DECLARED = (
        "route-now-declared",
        _INFO,
        _AUTHOR,
        _NO_OBJECT,
        "An export declares an assigned route that no manifest declared.",
        "The domain has another route than a new domain would get: the default changed after it"
        " was created, an apply-all or a reassignment assigned it, or its declared profile was"
        " removed.",
        "No action is needed. Remove spec.route from an exported manifest to give the domain the"
        " route of a new domain in another store.",
    )
    RELATIVE_CA_FILE = (
        "relative-ca-file",
        _INFO,
        _OPERATOR,
        _NO_OBJECT,
        "An export holds a caFile that is relative to its manifest.",
        "The MailPlatform was applied with a relative caFile. The store does not hold the file.",
        "Copy the file to where the exported manifest expects it, or declare an absolute path.",
    )
    UNKNOWN_KIND = (
        "unknown-kind",
        _ERROR,
        _AUTHOR,
        _NO_OBJECT,
        "The API group sendroute.dev has no such kind.",
        "The kind is misspelt.",
        "Use MailPlatform, MailAccount, SMTPProfile or SendingDomain.",
    )
    UNKNOWN_GROUP = (
        "unknown-group",
        _ERROR,
        _AUTHOR,
        _NO_OBJECT,
        "A document of one of Sendroute's kinds has an API group that is nearly sendroute.dev.",
        "The group is misspelt, or is part of a longer text. Kinds of any other group belong to"
        " another program.",
        "Write apiVersion: sendroute.dev/v1alpha1.",
    )
    UNKNOWN_VERSION = (
        "unknown-version",
        _ERROR,
        _AUTHOR,
        _NO_OBJECT,
        "The API group sendroute.dev has no such version.",
        "The version is misspelt, or the document is for another release.",
        "Use a version that this release reads.",
    )
    UNKNOWN_FIELD = (
        "unknown-field",
        _ERROR,
        _AUTHOR,
        _INVALID,
        "The kind has no such field.",
        "The field is misspelt, or it is at the wrong level.",
        "Correct the name, or remove the field.",
    )
    MISSING_FIELD = (
        "missing-field",
        _ERROR,
        _AUTHOR,
        _INVALID,
        "A required field is absent.",
        "The document is not complete.",
        "Add the field.",
    )
    INVALID_VALUE = (
        "invalid-value",
        _ERROR,
        _AUTHOR,
        _INVALID,
        "The field does not accept the value.",
        "The value has the wrong type or form, or is out of range.",
        "Write a value that the message lists.",
        Trait.VALUE | Trait.MAY_WARN,
    )
    RESERVED_NAMESPACE = (
        "reserved-namespace",
        _ERROR,
        _AUTHOR,
        _INVALID,
        "The namespace sendroute-system is the platform's own.",
        "An account, profile or domain is declared in the namespace of the platform's secrets.",
        "Use another namespace.",
    )
    POLICY_VIOLATION = (
        "policy-violation",
        _ERROR,
        _AUTHOR,
        _NO_OBJECT,
        "The document violates the organisation's own policy.",
        "A JSON Schema of the organisation refuses the document.",
        "Change the document as the policy asks, or have the policy changed.",
    )
    DUPLICATE_OBJECT = (
        "duplicate-object",
        _ERROR,
        _AUTHOR,
        _INVALID,
        "Two documents define the same object.",
        "A document was copied, or the same file is read twice.",
        "Keep one of the two documents.",
    )
    NO_MANIFESTS = (
        "no-manifests",
        _ERROR,
        _AUTHOR,
        ConditionOf(_ACCEPTED, Reason.PLATFORM_NOT_FOUND),
        "The tree holds no manifests.",
        "The path is wrong, or the checkout is empty.",
        "Check the path. An empty tree is never applied.",
        Trait.BY_EDIT,
    )
    NO_PLATFORM = (
        "no-platform",
        _ERROR,
        _AUTHOR,
        ConditionOf(_ACCEPTED, Reason.PLATFORM_NOT_FOUND),
        "The tree holds no readable MailPlatform.",
        "The document is missing, has errors, or is suspended and was never recorded.",
        "Add or fix the MailPlatform document. Nothing is applied without a platform.",
    )
    HELD_BACK = (
        "held-back",
        _ERROR,
        _AUTHOR,
        _HELD_BACK,
        "Part of the tree could not be read, so the account is unchanged.",
        "While part of the tree is unreadable, a missing object may only be unreadable.",
        "Fix the part that could not be read; the other findings show which.",
        Trait.NEEDS_STORE,
    )

    # References

    UNKNOWN_ACCOUNT = (
        "unknown-account",
        _ERROR,
        _AUTHOR,
        ConditionOf(_ACCEPTED, Reason.ACCOUNT_NOT_FOUND),
        "The account does not exist.",
        "The name is misspelt, its MailAccount document is missing, or it is in another namespace.",
        "Correct the name, or add the MailAccount document in the same namespace.",
        Trait.ABSENCE | Trait.PASSING,
    )
    UNKNOWN_DOMAIN = (
        "unknown-domain",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "No account has the domain.",
        "The name is misspelt, or the domain was never applied.",
        "Correct the name, or declare the domain and apply the manifests.",
        Trait.ABSENCE,
    )
    UNKNOWN_MESSAGE = (
        "unknown-message",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "The mail log has no line of the message.",
        "The queue id is misspelt, the message is older than the log, or it was on another host.",
        "Check the id, or read the log that has the message.",
    )
    UNKNOWN_PLAN = (
        "unknown-plan",
        _ERROR,
        _AUTHOR,
        ConditionOf(_ACCEPTED, Reason.PLAN_NOT_FOUND),
        "The platform does not define the service plan.",
        "The name is misspelt, or the service plan was removed from the MailPlatform.",
        "Use one of the platform's service plans.",
        Trait.ABSENCE | Trait.PASSING,
    )
    UNKNOWN_PROFILE = (
        "unknown-profile",
        _ERROR,
        _AUTHOR,
        ConditionOf(_RESOLVED, Reason.PROFILE_NOT_FOUND),
        "The account has no such profile.",
        "The name is misspelt, or the profile is in another account.",
        "Correct the name, or declare the profile in the account.",
        Trait.ABSENCE | Trait.PROFILE_REFERENCE | Trait.PASSING,
    )
    DUPLICATE_PROFILE = (
        "duplicate-profile",
        _ERROR,
        _AUTHOR,
        _INVALID,
        "One profile has two definitions.",
        "Two documents, or a document and an inline profile, define the same name.",
        "Keep one definition, or rename the other.",
    )
    DOMAIN_CONFLICT = (
        "domain-conflict",
        _ERROR,
        _AUTHOR,
        ConditionOf(_ACCEPTED, Reason.DOMAIN_CONFLICT),
        "Two accounts, or two documents of one account, claim the same domain.",
        "The domain is declared twice.",
        "Keep one declaration. The account that holds the domain keeps it until then.",
        Trait.PASSING | Trait.CLAIM,
    )
    MANAGED_NOT_IN_PLAN = (
        "managed-not-in-plan",
        _ERROR,
        _AUTHOR,
        ConditionOf(_ACCEPTED, Reason.PLAN_FORBIDS_MANAGED),
        "The account's service plan does not offer managed sending.",
        "A route or a default is managed, but the service plan has no managed sending.",
        "Declare a profile, or choose a service plan that offers managed sending.",
        Trait.MAY_WARN,
    )
    ACCOUNT_NOT_EMPTY = (
        "account-not-empty",
        _ERROR,
        _AUTHOR,
        ConditionOf(_ACCEPTED, Reason.ACCOUNT_NOT_FOUND),
        "An account is removed only with everything that it owns.",
        "The MailAccount document is gone, but its profiles or domains are still declared.",
        "If the account has another name now, correct spec.account of these documents. If it is to"
        " be removed, remove them too; otherwise restore the MailAccount document.",
        Trait.PASSING,
    )

    # Advice

    UNUSUAL_PORT = (
        "unusual-port",
        _WARN,
        _AUTHOR,
        _ADVICE,
        "The port is none of the usual ones, or none that the provider documents.",
        "The port is mistyped, or the server is set up in its own way.",
        "Check the port. Usual ports are 587, 465, 2525, 2587 and 25.",
    )
    ENCRYPTION_MISMATCH = (
        "encryption-mismatch",
        _WARN,
        _AUTHOR,
        _ADVICE,
        "The port is for another encryption.",
        "A port for TLS from the first byte has encryption starttls or none, or the reverse.",
        "Change the encryption or the port. The provider's page says which belong together.",
    )
    PROFILE_DELETED = (
        "profile-deleted",
        _WARN,
        _AUTHOR,
        ConditionOf(_RESOLVED, Reason.PROFILE_NOT_FOUND),
        "A profile that is still referenced is gone.",
        "The profile was removed while a route, a default or a reassignTo refers to it.",
        "Declare another route, or the profile again.",
        Trait.PROFILE_REFERENCE,
    )
    DEFAULT_FELL_BACK = (
        "default-fell-back",
        _WARN,
        _AUTHOR,
        ConditionOf(_RESOLVED, Reason.DEFAULT_FELL_BACK),
        "The declared default is not available; new domains start on the plan default.",
        "The default is a removed profile, or managed on a service plan without it.",
        "Declare a default that the account can use.",
    )
    DOMAINS_UNCONFIGURED = (
        "domains-unconfigured",
        _WARN,
        _AUTHOR,
        _ADVICE._replace(is_event=True),
        "Domains that could send become unconfigured, so they cannot any more.",
        "Their new service plan, or the account that they move to, does not offer their route.",
        "Declare another route, or unconfigured if a domain must not send.",
        Trait.NEEDS_BASE,
    )
    APPLY_ALL_WINS = (
        "apply-all-wins",
        _WARN,
        _AUTHOR,
        _ADVICE._replace(is_event=True),
        "The apply-all decides, not the declared route.",
        "The apply-all makes a domain send that declares unconfigured, or the declared route was"
        " edited in the same change.",
        "To keep the declared route, add spec.overrides with the apply-all's id.",
        Trait.NEEDS_BASE | Trait.BY_EDIT,
    )
    UNKNOWN_APPLY_ALL = (
        "unknown-apply-all",
        _WARN,
        _AUTHOR,
        _ADVICE,
        "The apply-all that a domain overrides never ran in its account.",
        "The id is misspelt, or the apply-all waits for its confirmation.",
        "Write the id of an apply-all that ran, or remove spec.overrides.",
        Trait.NEEDS_STORE,
    )
    PROFILE_UNUSED = (
        "profile-unused",
        _INFO,
        _AUTHOR,
        _ADVICE,
        "No domain sends through the profile.",
        "No route, default or reassignTo refers to it.",
        "Remove the profile, or declare a route through it.",
    )
    BOUNCES_REFUSED = (
        "bounces-refused",
        _WARN,
        _AUTHOR,
        _ADVICE,
        "A relay refuses mail of the null sender, which is that of bounces.",
        "The MailPlatform has neither spec.bounces nor spec.managed.",
        "Set spec.bounces.relay, or accept the finding if no client sends bounces.",
    )
    NOT_ENFORCED = (
        "not-enforced",
        _INFO,
        _AUTHOR,
        _ADVICE,
        "The field is recorded and shown, but has no effect yet.",
        "A profile or a service plan has limits, or a profile asks to check the authorisation of"
        " its senders.",
        "No action is needed. Do not rely on the field.",
    )
    SUSPENDED = (
        "suspended",
        _INFO,
        _AUTHOR,
        ConditionOf(_ACCEPTED, Reason.SUSPENDED, is_advice=True),
        "The object stays as the store holds it.",
        "Its spec.suspend is true.",
        "Remove spec.suspend when the object should be changed again.",
    )
    DOCUMENTS_IGNORED = (
        "documents-ignored",
        _INFO,
        _AUTHOR,
        _ADVICE,
        "The account is to be removed, so its other documents are ignored.",
        "Its MailAccount has spec.remove.",
        "No action is needed. Delete the documents when the account is removed.",
    )
    INSECURE_AUTH = (
        "insecure-auth",
        _ERROR,
        _AUTHOR,
        _INVALID,
        "Credentials would be sent without encryption.",
        "The profile has credentials and encryption none.",
        "Use starttls or tls, or set allowInsecureAuth for a trusted network.",
        Trait.MAY_WARN,
    )
    CREDENTIALS_NEED_HOSTNAME = (
        "credentials-need-hostname",
        _ERROR,
        _AUTHOR,
        _INVALID,
        "Credentials need a host name, not an address.",
        "The host is an IP address, which no certificate check can tie to a provider.",
        "Write the provider's host name.",
    )

    # Apply-all

    AWAITING_CONFIRMATION = (
        "awaiting-confirmation",
        _REFUSED,
        _AUTHOR,
        ConditionOf(_APPLIED, Reason.AWAITING_CONFIRMATION),
        "The apply-all needs its confirming number of domains.",
        "The apply-all has no confirm.",
        "Add confirm with the number of domains that you expect to switch.",
        Trait.NEEDS_STORE,
    )
    CONFIRMATION_EXCEEDED = (
        "confirmation-exceeded",
        _REFUSED,
        _AUTHOR,
        ConditionOf(_APPLIED, Reason.CONFIRMATION_EXCEEDED),
        "The account has more domains than were confirmed.",
        "Domains were added after the number was confirmed.",
        "Confirm the present number, if all of these domains should switch.",
        Trait.NEEDS_STORE,
    )
    APPLY_ALL_ID_REUSED = (
        "apply-all-id-reused",
        _REFUSED,
        _AUTHOR,
        ConditionOf(_APPLIED, Reason.APPLY_ALL_ID_REUSED),
        "The id of the apply-all ran before with another route.",
        "The route of an apply-all was edited after it ran.",
        "Give the apply-all a new id.",
        Trait.NEEDS_STORE,
    )
    APPLY_ALL_UNSATISFIABLE = (
        "apply-all-unsatisfiable",
        _REFUSED,
        _AUTHOR,
        ConditionOf(_ACCEPTED, Reason.PLAN_FORBIDS_MANAGED),
        "The account's service plan does not offer the route of the apply-all.",
        "The apply-all switches to managed, but the service plan does not offer it.",
        "Choose another route, or a service plan that offers managed sending.",
    )

    # Secrets and connections

    CONNECTION_TEST_FAILED = (
        "connection-test-failed",
        _ERROR,
        _ENVIRONMENT,
        ConditionOf(_CONNECTED, Reason.TEST_FAILED),
        "The provider could not be reached as the profile says.",
        "The host, port, encryption or credentials are wrong, or the provider is unavailable.",
        "The message has the outcome and the step at which the test ended. Fix what it names, or"
        " wait for the provider. Sendroute tests again.",
        Trait.TRANSIENT | Trait.MAY_WARN,
        "its connection test failed",
    )
    CONNECTION_NOT_TESTED = (
        "connection-not-tested",
        _INFO,
        _OPERATOR,
        ConditionOf(_CONNECTED, Reason.NOT_TESTED, is_advice=True),
        "The profile is saved without a connection test.",
        "The plan was made without testing connections, or the profile asks for no test.",
        "No action is needed: applying tests the profile, unless it asks for no test.",
    )
    SECRET_MISSING = (
        "secret-missing",
        _ERROR,
        _OPERATOR,
        ConditionOf(_RESOLVED, Reason.SECRET_NOT_FOUND),
        "The secret that the profile names does not exist, or lacks its username or password.",
        "The name is misspelt, or the secret was not created in the account's namespace; the"
        " platform's are in sendroute-system.",
        "Create the secret with the keys username and password.",
        Trait.TRANSIENT | Trait.MAY_WARN,
        "its secret is missing or incomplete",
    )
    SECRET_FORBIDDEN = (
        "secret-forbidden",
        _ERROR,
        _OPERATOR,
        ConditionOf(_RESOLVED, Reason.SECRET_FORBIDDEN),
        "Sendroute may not read the secret.",
        "The role that lets Sendroute read secrets is not bound in the secret's namespace.",
        "Bind the role in that namespace. Sendroute tries again.",
        Trait.TRANSIENT | Trait.MAY_WARN,
        "its secret may not be read",
    )
    SECRET_KEY_MISSING = (
        "secret-key-missing",
        _ERROR,
        _OPERATOR,
        ConditionOf(_RESOLVED, Reason.SECRET_KEY_MISSING),
        "A Secret of the Kubernetes API has no username or no password.",
        "The Secret has other keys, or is still empty.",
        "Add the keys username and password to the Secret.",
        Trait.TRANSIENT | Trait.MAY_WARN,
        "its secret lacks a key",
    )
    SECRET_UNREADABLE = (
        "secret-unreadable",
        _ERROR,
        _ENVIRONMENT,
        ConditionOf(_RESOLVED, Reason.SECRET_UNREADABLE),
        "The Kubernetes API did not answer when the secret was read.",
        "The API server is down, overloaded, or cannot decrypt the Secret.",
        "Sendroute tries again. If other Secrets can be read, look at the API server's log.",
        Trait.TRANSIENT | Trait.MAY_WARN,
        "its secret could not be read",
    )
    SECRET_INVALID = (
        "secret-invalid",
        _ERROR,
        _OPERATOR,
        ConditionOf(_RESOLVED, Reason.SECRET_INVALID),
        "The secret's content is not a username and a password.",
        "A key is missing or empty, or has characters that SMTP does not accept.",
        "Write the keys username and password, each one line of text.",
        Trait.TRANSIENT | Trait.MAY_WARN,
        "its secret cannot be used",
    )
    SECRET_IN_MANIFESTS = (
        "secret-in-manifests",
        _WARN,
        _AUTHOR,
        _NO_OBJECT,
        "A Kubernetes Secret beside the manifests holds values that are not encrypted.",
        "A Secret was committed as it is applied. Its data is base64, which is no encryption.",
        "Remove the Secret, and change its values if it was committed, because git's history keeps"
        " them. Commit a Secret only encrypted (sops, SealedSecret) or as a reference"
        " (ExternalSecret). If its values are no secret, accept the finding with the annotation"
        " sendroute.dev/accept on the Secret.",
    )
    SECRET_NOT_BOUND = (
        "secret-not-bound",
        _ERROR,
        _OPERATOR,
        ConditionOf(_RESOLVED, Reason.SECRET_NOT_BOUND),
        "The secret does not allow the destination.",
        "The secret lists the hosts that may receive it, and the profile's host is not listed. Or"
        " the secret is the platform's.",
        "Add the host to the secret's list, if the credentials belong there.",
        Trait.TRANSIENT | Trait.MAY_WARN,
        "its secret is not bound to the destination",
    )
    SECRET_NOT_COMPARED = (
        "secret-not-compared",
        _INFO,
        _OPERATOR,
        ConditionOf(_RESOLVED, Reason.SECRET_NOT_COMPARED),
        "Whether the secret can be used, or its content has changed, is not known.",
        "No secrets or no key were given, so the secret was not read, or not compared. Or the"
        " secret of a saved profile is missing or unusable, and the saved credential stays in use:"
        " a warning if the secret is there and lacks a key, is invalid, or may not be read or"
        " sent.",
        "Give the secrets and the key, if a missing or rotated secret should be noticed. Correct a"
        " secret that is unusable.",
    )
    CREDENTIAL_UNREADABLE = (
        "credential-unreadable",
        _ERROR,
        _OPERATOR,
        ConditionOf(_APPLIED, Reason.CREDENTIAL_UNREADABLE),
        "A stored credential cannot be decrypted with the given keys.",
        "The key is another one than the credential was encrypted with, or was lost.",
        "Give the right key. Without it, save the credentials again from their secrets.",
        Trait.MAY_WARN,
    )
    ADDRESS_REFUSED = (
        "address-refused",
        _ERROR,
        _AUTHOR,
        ConditionOf(_CONNECTED, Reason.ADDRESS_REFUSED),
        "The host resolves to an address that connection tests may not reach.",
        "The address is private, local or reserved.",
        "Correct the host, or allow its network in the MailPlatform's connectionTest.",
        Trait.TRANSIENT | Trait.MAY_WARN,
        "its host is at an address that may not be reached",
    )
    DEPENDENCY_SKIPPED = (
        "dependency-skipped",
        _WARN,
        _AUTHOR,
        ConditionOf(_APPLIED, Reason.DEPENDENCY_SKIPPED),
        "The object stays as it is, because something that it depends on was skipped.",
        "A profile was not saved, or the other account of a move cannot change now.",
        "Fix what was skipped, then apply again.",
        Trait.SKIPPED,
    )

    REMOVED_BEFORE_MOVE = (
        "removed-before-move",
        _WARN,
        _OPERATOR,
        _ADVICE._replace(is_event=True),
        "A domain leaves its account before the account that declares it can take it.",
        "Only the account that loses the domain is planned, the other one cannot change now, or"
        " several accounts declare the domain.",
        "Apply both accounts together. Until then the domain cannot send.",
        Trait.NEEDS_BASE,
    )

    # Following a source

    SOURCE_UNREACHABLE = (
        "source-unreachable",
        _ERROR,
        _ENVIRONMENT,
        _NO_OBJECT,
        "The source of the manifests is unavailable.",
        "The git server or the directory does not answer, or refuses access.",
        "Check the address, the network and the access rights. The last good tree stays in effect.",
    )
    DIRECTORY_CHANGING = (
        "directory-changing",
        _WARN,
        _OPERATOR,
        _NO_OBJECT,
        "Manifests in a followed directory do not settle, so what cannot be undone waits.",
        "The manifests of an account change repeatedly.",
        "Write the manifests elsewhere and switch a symbolic link to them, or let the loop wait for"
        " a shorter time.",
    )
    SOURCE_TOO_LARGE = (
        "source-too-large",
        _ERROR,
        _AUTHOR,
        _NO_OBJECT,
        "A commit unfolds to more files or bytes than are checked out.",
        "The repository holds large files, or directories that repeat each other.",
        "Push a commit without them. The last good tree stays in effect.",
    )
    UNSIGNED_COMMIT = (
        "unsigned-commit",
        _ERROR,
        _AUTHOR,
        _NO_OBJECT,
        "No allowed key has signed the commit.",
        "The commit has no signature, or its key is not in the list of allowed keys.",
        "Sign the commit with an allowed key, or add the key to the list.",
    )
    ADDRESS_IN_USE = (
        "address-in-use",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "The address to listen on is unavailable.",
        "Another process listens there, or the host does not have this address.",
        "Choose another address, or stop the other process.",
    )

    # Cluster

    CLUSTER_UNREACHABLE = (
        "cluster-unreachable",
        _ERROR,
        _OPERATOR,
        ConditionOf(_APPLIED, Reason.CLUSTER_UNREACHABLE),
        "The Kubernetes API does not answer, or refuses an answer.",
        "There is no usable configuration, the API is down, or a role does not allow the request.",
        "Give a kubeconfig file, or bind the role that the chart creates.",
        Trait.TRANSIENT,
    )

    LEADER_REPLACED = (
        "leader-replaced",
        _ERROR,
        _ENVIRONMENT,
        _NO_OBJECT,
        "Another operator leads, so this one ends.",
        "The Lease could not be renewed in time, or the process was paused.",
        "Nothing to do: the process starts again, as a standby. If it happens often, look at the"
        " load of the API server and of the machine.",
    )

    # Relay

    RELAY_RUNNING = (
        "relay-running",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "Another agent keeps the tables in this directory.",
        "The agent was started twice, or two Postfix instances share a directory.",
        "Stop one agent, or give each Postfix its own directory.",
    )
    UNSAFE_DIRECTORY = (
        "unsafe-directory",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "Another user could replace the directory of the tables, or it holds other files.",
        "That user could replace the tables that Postfix reads, and with them every route; others"
        " could no longer read their files.",
        "Choose a directory of the user that runs the agent, for the tables alone. It and those"
        " above it belong to that user or to root, and no other user may write to them.",
    )
    TABLES_DAMAGED = (
        "tables-damaged",
        _WARN,
        _ENVIRONMENT,
        _NO_OBJECT,
        "The tables that Postfix reads were damaged or missing, and are built again.",
        "A disk failed, or another program changed or deleted the file.",
        "Nothing to do, if it happens once. Otherwise find what changes the file.",
    )
    TABLES_NOT_WRITTEN = (
        "tables-not-written",
        _ERROR,
        _ENVIRONMENT,
        _NO_OBJECT,
        "A new revision cannot be written to the tables, so the previous one is served.",
        "The disk is full, another process locks the file, or its directory is not writable.",
        "Fix the cause. The agent tries again.",
        Trait.TRANSIENT,
    )
    CREDENTIAL_NOT_SERVED = (
        "credential-not-served",
        _WARN,
        _OPERATOR,
        _NO_OBJECT,
        "Mail of a profile waits, because its credential is missing or cannot be decrypted.",
        "The key was lost or not given, or the store was created from a lock file.",
        "Give the key, or apply the manifests again with the secrets.",
    )
    RELAY_BEHIND = (
        "relay-behind",
        _WARN,
        _OPERATOR,
        _NO_OBJECT,
        "A relay does not serve the revision yet that was waited for.",
        "Its agent is busy, stopped, or cannot write its tables.",
        "Read the log of the relay's agent. Forget a relay that is gone for good.",
    )
    RELAY_UNKNOWN = (
        "relay-unknown",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "The store knows no relay of this name.",
        "The name is misspelt, or the relay is forgotten already.",
        "Look up the names of the relays.",
    )

    # Postfix

    POSTFIX_MISSING = (
        "postfix-missing",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "Postfix is not on this machine.",
        "Its programs are neither in the PATH nor in /usr/sbin.",
        "Install the packages postfix, postfix-sqlite and libsasl2-modules.",
    )
    POSTFIX_FAILED = (
        "postfix-failed",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "A program of Postfix failed.",
        "Its configuration is wrong, a table is unreadable, or the user may not run it.",
        "Run it as root, and correct what Postfix reports.",
    )
    POSTFIX_VERSION = (
        "postfix-version",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "Postfix is too old.",
        "Versions before 3.5 lack parameters that delivery needs.",
        "Upgrade Postfix.",
    )
    POSTFIX_PACKAGE = (
        "postfix-package",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "Postfix lacks a package.",
        "Distributions package the SQLite tables and the sign-in separately from Postfix.",
        "Install the package that the finding names.",
    )
    POSTFIX_SETTING = (
        "postfix-setting",
        _REFUSED,
        _OPERATOR,
        _NO_OBJECT,
        "A user set a parameter of Postfix, and mail takes its route only with another value.",
        "The parameter had that value before, or a service of master.cf overrides it.",
        "Merge the two by hand or specify the parameter to be replaced; remove an override.",
    )
    POSTFIX_CHROOT = (
        "postfix-chroot",
        _REFUSED,
        _OPERATOR,
        _NO_OBJECT,
        "A service of Postfix that reads the lookup tables runs in a chroot.",
        "Debian's master.cf has a chroot for most services; SQLite finds no files there.",
        "Let the service run without a chroot.",
    )
    POSTFIX_BYPASS = (
        "postfix-bypass",
        _WARN,
        _OPERATOR,
        _NO_OBJECT,
        "Some mail does not take the route of its sender.",
        "A parameter of Postfix routes it by its recipient, or replaces its sender.",
        "Keep the parameter if that is intended, or empty it.",
    )
    POSTFIX_DIFFERS = (
        "postfix-differs",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "Something in the main.cf or master.cf of Postfix is not what mail needs on its route.",
        "It was not installed yet, was changed since, or the platform changed.",
        "Install the configuration again.",
    )
    POSTFIX_NOT_RUNNING = (
        "postfix-not-running",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "Postfix is not running.",
        "It was stopped, or it could not start.",
        "Start the relay's agent, then Postfix, and read Postfix's log.",
    )
    POSTFIX_RESTART = (
        "postfix-restart",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "The running Postfix does not know the file of aliases.",
        "It was started before its configuration referred to the file.",
        "Restart Postfix; a reload does not change its environment.",
    )
    TABLES_MISSING = (
        "tables-missing",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "The lookup tables of a relay are missing.",
        "The relay's agent never ran with this directory, or writes to another one.",
        "Start the agent with this directory.",
    )
    ROUTE_DIFFERS = (
        "route-differs",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "Postfix's answer about a sender is not the store's.",
        "The relay's agent is behind, stopped, or cannot decrypt a credential.",
        "Look at the agent's log and at the revision that it serves.",
    )

    # Guards and the store

    TOO_MANY_CHANGES = (
        "too-many-changes",
        _REFUSED,
        _OPERATOR,
        _HELD_BACK,
        "One change would reroute too many domains of an account, or of the store.",
        "A default, a service plan, the platform or many routes changed at once.",
        "Review the plan. If the change is intended, apply with a higher limit or approve it.",
        Trait.GUARD | Trait.APPROVABLE | Trait.NEEDS_BASE,
    )
    TOO_MANY_REMOVALS = (
        "too-many-removals",
        _REFUSED,
        _OPERATOR,
        _HELD_BACK,
        "One change would remove too many domains of an account, or of the store.",
        "A directory is missing, the path is wrong, or many documents were deleted.",
        "Review the plan. If the change is intended, apply with a higher limit or approve it.",
        Trait.GUARD | Trait.APPROVABLE | Trait.NEEDS_BASE,
    )
    ACCOUNT_REMOVAL = (
        "account-removal",
        _REFUSED,
        _OPERATOR,
        _HELD_BACK,
        "An account that holds domains would be removed, and nobody has confirmed that.",
        "Its documents are missing, the path is wrong, or it has more domains than were confirmed.",
        "Restore the documents. If the account should go, declare spec.remove in its MailAccount,"
        " confirm the removal, or approve it.",
        Trait.GUARD | Trait.APPROVABLE | Trait.NEEDS_BASE,
    )
    OLDER_TREE = (
        "older-tree",
        _REFUSED,
        _OPERATOR,
        _HELD_BACK,
        "The tree lacks a commit that was applied before, and would undo something.",
        "An old checkout, a late CI job, a branch that was reset, or rewritten history.",
        "Apply a tree that contains the commit that was applied last. If the older state is"
        " intended, allow it or approve it.",
        Trait.GUARD | Trait.APPROVABLE | Trait.NEEDS_STORE | Trait.MAY_WARN,
    )
    NOT_HELD_BACK = (
        "not-held-back",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "No change of the account is held back.",
        "The change was applied or replaced, or the account's name is misspelt.",
        "Look at which accounts are held back. Nothing else can be approved.",
    )
    NOT_APPROVED = (
        "not-approved",
        _REFUSED,
        _OPERATOR,
        _NO_OBJECT,
        "A change must be confirmed before it is applied.",
        "The answer was not yes, or no terminal was there to ask on.",
        "Confirm the change, or confirm it in advance.",
    )
    CONTESTED_ACCOUNT = (
        "contested-account",
        _WARN,
        _OPERATOR,
        ConditionOf(_APPLIED, Reason.CONTESTED),
        "Another writer reverts an account, or the platform, each time that it is applied.",
        "Two loops, or a loop and a job, apply different manifests or secrets to one store.",
        "Stop one of the two, or give both the same manifests and secrets.",
        Trait.NEEDS_STORE,
    )
    STALE_PLAN = (
        "stale-plan",
        _REFUSED,
        _OPERATOR,
        ConditionOf(_APPLIED, Reason.STORE_CHANGED),
        "The plan no longer fits the store.",
        "Another writer changed the store after the plan was made, or the plan was applied before.",
        "Plan again and review the new plan. If the plan was applied already, no action is needed.",
        Trait.TRANSIENT,
    )
    STORE_EMPTY = (
        "store-empty",
        _REFUSED,
        _OPERATOR,
        _OTHER_STORE,
        "A store with history was expected, but the store is empty.",
        "The store was lost or replaced, or the URL is wrong.",
        "Check the URL of the store. Create a lost store from its lock file or a backup.",
        Trait.GUARD,
    )
    WRONG_STORE = (
        "wrong-store",
        _REFUSED,
        _OPERATOR,
        _OTHER_STORE,
        "Another store was expected, or the store is not as Sendroute created it.",
        "The URL is wrong, the store was rolled back or replaced, or another program changed it.",
        "Check the URL of the store. If another program changed it, undo that change.",
        Trait.GUARD | Trait.STORE,
    )
    STALE_LOCK = (
        "stale-lock",
        _WARN,
        _OPERATOR,
        _NO_OBJECT,
        "A lock file beside the manifests lacks later changes of the store.",
        "The store was changed without writing the lock file again.",
        "Write the lock file with each change, and commit it.",
        Trait.NEEDS_STORE | Trait.REWRITTEN,
    )
    EDITED_LOCK = (
        "edited-lock",
        _ERROR,
        _OPERATOR,
        _NO_OBJECT,
        "A lock file is not as Sendroute wrote it.",
        "The file was edited, or a merge took parts of two versions. Such a mixture is the state of"
        " no store.",
        "Write the lock file again from the store. If the store was lost, restore from git a"
        " version that Sendroute wrote.",
        Trait.MAY_WARN | Trait.REWRITTEN,
    )
    STORE_LOCKED = (
        "store-locked",
        _REFUSED,
        _OPERATOR,
        _NO_STORE,
        "Another writer is using the store.",
        "Another Sendroute process is writing, or a backup is running.",
        "Wait for the other process, then try again.",
        Trait.TRANSIENT | Trait.STORE,
    )
    NOT_INITIALISED = (
        "not-initialised",
        _REFUSED,
        _OPERATOR,
        _NO_STORE,
        "The store at the URL does not exist yet.",
        "The store was not created, or the URL is wrong.",
        "Create the store, or correct its URL.",
        Trait.STORE,
    )
    KEY_MISSING = (
        "key-missing",
        _REFUSED,
        _OPERATOR,
        ConditionOf(_APPLIED, Reason.KEY_MISSING),
        "No key to encrypt credentials with was given.",
        "The key file is not where it is looked for, and no other was given.",
        "Give the key that was created with the store.",
    )
    KEY_EXISTS = (
        "key-exists",
        _REFUSED,
        _OPERATOR,
        _NO_OBJECT,
        "A key file is never overwritten.",
        "A key file is already at the path, but there is no store.",
        "Give that key for the new store too, or create the store in another directory.",
    )
    STORE_EXISTS = (
        "store-exists",
        _REFUSED,
        _OPERATOR,
        _NO_OBJECT,
        "The store at the URL exists already.",
        "The store was created before.",
        "Use that store, or create the new one at another URL.",
    )
    STORE_VERSION = (
        "store-version",
        _REFUSED,
        _OPERATOR,
        _NO_STORE,
        "Another version of Sendroute wrote the store.",
        "A newer Sendroute has migrated the store.",
        "Use the newer version of Sendroute for the store at the URL.",
        Trait.STORE,
    )
    STORE_FAILED = (
        "store-failed",
        _ERROR,
        _ENVIRONMENT,
        _NO_STORE,
        "The store could not be read or written.",
        "The database does not answer, refuses access, or reports an error; a disk is full.",
        "Fix the cause in the message, and try again. What was committed before stays.",
        Trait.TRANSIENT | Trait.STORE,
    )


# Looked up by their text, because a plan may have a million findings.
_CODES: dict[str, Code] = {code.value: code for code in Code}
_WITH = {trait: frozenset[str](code for code in Code if trait in code.traits) for trait in Trait}
_NOT_SAVED: dict[str, str] = {code: code.not_saved for code in Code if code.not_saved is not None}


_NOT_QUOTED = (
    "Nothing of the file is quoted, because a link that leads out of the tree leads to it."
)


def code_of(code: str) -> Code:
    """The properties of a code.

    Args:
        code: the code, for example ``unknown-profile``.

    Returns:
        The code with its properties.

    Raises:
        KeyError: the code is unknown.
    """
    return _CODES[code]


def has_trait(code: str, trait: Trait) -> bool:
    """Check a trait of a code.

    Args:
        code: the code of a finding.
        trait: one trait.

    Returns:
        Whether the code has the trait; False for a code of another release.
    """
    return code in _WITH[trait]


def why_not_saved(code: str) -> str | None:
    """Say why a profile, or a relay of the platform, is not saved.

    Args:
        code: the code of a finding about it.

    Returns:
        A clause; None for a code that does not prevent saving, and for a code of another release.
    """
    return _NOT_SAVED.get(code)


def condition_of(code: str) -> ConditionOf:
    """Find where an object of the Kubernetes API shows a finding.

    Args:
        code: the code of the finding.

    Returns:
        The condition. A code that no object shows, or of another release, has the one of a change
        that was not applied.
    """
    known = _CODES.get(code)
    return (known.condition if known is not None else None) or _ELSEWHERE


def is_stalled(code: str) -> bool:
    """Whether what a finding stops continues only after a person acts.

    It does not if a retry is worth it, if it waits for something else, or if what Sendroute
    connects to must recover first.

    Args:
        code: the code of the finding.

    Returns:
        Whether a tool need not wait.
    """
    if has_trait(code, Trait.TRANSIENT) or has_trait(code, Trait.SKIPPED):
        return False
    known = _CODES.get(code)
    return known is None or known.responsible is not Responsible.ENVIRONMENT


def finding(
    code: str,
    message: str,
    *,
    hint: str | None = None,
    where: Where | None = None,
    related: tuple[Where, ...] = (),
    account: tuple[str, str] | None = None,
    severity: Severity | None = None,
    remedy: Remedy | None = None,
    cause: str | None = None,
    for_tenant: TenantText | None = None,
    domain: str | None = None,
    wait: Wait | None = None,
    profile: str | None = None,
) -> Finding:
    """Create a finding.

    Args:
        code: a value of :class:`Code`.
        message: what happened and where, as one sentence.
        hint: the next step, as a sentence without a front end's commands and options.
        where: the value in the manifests.
        related: other values that explain the finding.
        account: its account as ``(namespace, name)``; None if it concerns no account.
        severity: the severity; None for the code's default.
        remedy: the next step as data, which a front end appends to the hint.
        cause: the code of the problem that led to it.
        for_tenant: how it reads to a tenant, if it says something of other tenants.
        domain: the one sending domain that it is about, as an A-label.
        wait: why that domain waits, if it does.
        profile: the account's profile because of which it is reported.

    Returns:
        The finding, without a position. About a file outside the tree it says only what the code
        means, because every message, hint and remedy may quote its file.

    Raises:
        KeyError: the code does not exist.
    """
    namespace, name = account or (None, None)
    if where is not None and where.outside:
        message, hint = _CODES[code].meaning, f"{_CODES[code].fix} {_NOT_QUOTED}"
        remedy = for_tenant = domain = wait = profile = None
    return Finding(
        code=code,
        severity=severity or _CODES[code].severity,
        message=message,
        hint=hint,
        where=where,
        related=related,
        namespace=namespace,
        account=name,
        remedy=remedy,
        cause=cause,
        for_tenant=for_tenant,
        domain=domain,
        wait=wait,
        profile=profile,
    )
