"""Re-encrypt the credentials in the store with the first of the given keys.

The key file holds one key per line: put the new key first, and keep the old one below it.
Afterwards the old key is needed for older backups only.

examples:
  sendroute rekey --key-file sendroute.key
"""

from argparse import Namespace
from datetime import UTC, datetime

from sendroute.cli.command_line import Parser
from sendroute.cli.session import Session
from sendroute.model.codes import finding
from sendroute.model.owner import PLATFORM
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Provenance
from sendroute.model.secret import SecretBinding
from sendroute.reconcile.secret_check import no_key
from sendroute.runtime.actor import actor


def options(_parser: Parser) -> None:
    """The command has no options of its own."""


def run(_arguments: Namespace, session: Session) -> int:
    from sendroute.credentials.cipher import CredentialCipher

    keys = session.factory.keys()
    if keys is None:
        raise ProblemError(no_key())
    cipher = CredentialCipher(keys)

    def reencrypt(token: str, binding: SecretBinding) -> str:
        credential = cipher.decrypt(token, binding)
        if credential is None:
            raise _unreadable(binding)
        return cipher.encrypt(credential, binding)

    with session.factory.open_store() as store:
        count = store.rekey(reencrypt, Provenance(datetime.now(UTC), actor()))
    if not session.terminal.quiet:
        credentials = "1 credential" if count == 1 else f"{count} credentials"
        print(f"Re-encrypted {credentials} with the first of {len(keys)} keys.")
    return 0


def _unreadable(binding: SecretBinding) -> ProblemError:
    whose = f"profile {binding.namespace}/{binding.profile}"
    if binding.owner is PLATFORM:
        whose = "the managed relay"
    return ProblemError(
        finding(
            "credential-unreadable",
            f"Nothing was changed: a credential of {whose} cannot be decrypted with the given"
            " keys.",
            hint="Add the key that it was encrypted with below the new one.",
        )
    )
