"""Re-encrypt the credentials in the store with the first of the given keys.

The key file holds one key per line: put the new key first, and keep the old one below it.
Afterwards the old key is needed for older backups only. Credentials that no given key decrypts stay
as they are and are named (exit status 4), if only mail in a queue still uses them or their key was
lost with the store; if another credential cannot be decrypted, nothing is changed.

examples:
  sendroute rekey --key-file sendroute.key
"""

from argparse import Namespace
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from sendroute.cli.command_line import Parser
from sendroute.cli.exit_status import ExitStatus
from sendroute.cli.output import report_on_stderr
from sendroute.cli.session import Session
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Severity
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Provenance
from sendroute.model.records import Endpoint
from sendroute.model.secret import SecretBinding
from sendroute.model.words import counted
from sendroute.reconcile.secret_check import no_key
from sendroute.runtime.actor import actor
from sendroute.runtime.factory import cipher_of


def options(_parser: Parser) -> None:
    """The command has no options of its own."""


def run(_arguments: Namespace, session: Session) -> int:
    keys = session.factory.keys()
    cipher = cipher_of(keys)
    if keys is None or cipher is None:
        raise ProblemError(no_key())

    def reencrypt(token: str, binding: SecretBinding) -> str | None:
        credential = cipher.decrypt(token, binding)
        return None if credential is None else cipher.encrypt(credential, binding)

    with session.factory.open_store() as store:
        rekeyed = store.rekey(reencrypt, Provenance(datetime.now(UTC), actor()))
    if not session.terminal.quiet:
        credentials = counted(rekeyed.count, "credential")
        which = "the given key" if len(keys) == 1 else f"the first of {len(keys)} keys"
        earlier = ""
        if rekeyed.retired:
            earlier = f"; {rekeyed.retired} of earlier versions, for mail that waits"
        print(f"Re-encrypted {credentials} with {which}{earlier}.")
    report_on_stderr(session, _unreadable(rekeyed.unreadable))
    return ExitStatus.PARTIAL if rekeyed.unreadable else ExitStatus.FINE


def _unreadable(endpoints: Iterable[Endpoint]) -> Iterable[Finding]:
    """One finding for the retired, and one for the present credentials of each profile."""
    counts = Counter((item.binding.title, item.retired is not None) for item in endpoints)
    for (title, is_retired), count in counts.items():
        state, hint = "present", "Apply with the secret to encrypt it again."
        if is_retired:
            state, hint = "retired", "Only mail that waits for an earlier version uses it."
        yield finding(
            "credential-unreadable",
            f"{counted(count, 'credential')} of {title} ({state}) cannot be decrypted with the"
            " given keys: nothing was changed there.",
            hint=f"{hint} If you find the old key, add it below the new one and repeat this.",
            severity=Severity.WARNING,
        )
