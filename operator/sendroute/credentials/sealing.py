"""Credentials sealed for the store: Fernet, in a token that opens for one profile alone."""

import hmac

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from sendroute.credentials.keys import Keys
from sendroute.model.credential import Credential
from sendroute.model.secret import SecretBinding

# Fernet shows the length of what it holds, to 16 bytes: filled up, all but a very long credential
# look alike.
_BLOCK = 512


class _Plain(msgspec.Struct):
    """What is sealed. Lives in this module's functions only."""

    version: int
    binding: SecretBinding
    username: str
    password: str


class Sealer:
    """Seals and opens with the keys given; the first seals, all open."""

    def __init__(self, keys: Keys) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def __repr__(self) -> str:
        return "Sealer(<hidden>)"

    def seal(self, credential: Credential, binding: SecretBinding) -> str:
        plain = _Plain(1, binding, credential.username, credential.password)
        text = msgspec.json.encode(plain)
        filled = text.ljust(-(-len(text) // _BLOCK) * _BLOCK)
        return self._fernet.encrypt(filled).decode("ascii")

    def open(self, token: str, binding: SecretBinding) -> Credential | None:
        """None where no key fits, it was changed, or it belongs to something else."""
        try:
            plain = msgspec.json.decode(self._fernet.decrypt(token.encode()), type=_Plain)
        except (InvalidToken, msgspec.MsgspecError, UnicodeError):
            return None
        if plain.version != 1 or plain.binding != binding:
            return None
        return Credential(plain.username, plain.password)

    def holds(self, token: str, binding: SecretBinding, credential: Credential) -> bool | None:
        """Whether a token holds this credential; None where it does not open."""
        current = self.open(token, binding)
        if current is None:
            return None
        # In constant time, and both halves always.
        names = hmac.compare_digest(current.username.encode(), credential.username.encode())
        passwords = hmac.compare_digest(current.password.encode(), credential.password.encode())
        return names and passwords
