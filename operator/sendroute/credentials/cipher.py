"""Credentials encrypted for the store: a Fernet token that decrypts only for one profile
(https://github.com/fernet/spec/blob/master/Spec.md)."""

import hmac

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from sendroute.credentials.keys import Keys
from sendroute.model.credential import Credential
from sendroute.model.secret import SecretBinding

# A Fernet token reveals the length of its content, to 16 bytes: with padding, all but very long
# credentials look alike.
_BLOCK = 512


class _PlainCredential(msgspec.Struct):
    """The unencrypted credential. It exists only within the functions of this module."""

    version: int
    binding: SecretBinding
    username: str
    password: str


class FernetCipher:
    """Encrypts with the first key and decrypts with every key."""

    def __init__(self, keys: Keys) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def __repr__(self) -> str:
        return "FernetCipher(<hidden>)"

    def encrypt(self, credential: Credential, binding: SecretBinding) -> str:
        """Encrypt a credential, bound to one profile and destination.

        Args:
            credential: the credential.
            binding: the profile and the destination that it belongs to.

        Returns:
            A Fernet token, in ASCII (https://github.com/fernet/spec/blob/master/Spec.md).
        """
        plain = _PlainCredential(1, binding, credential.username, credential.password)
        text = msgspec.json.encode(plain)
        filled = text.ljust(-(-len(text) // _BLOCK) * _BLOCK)
        return self._fernet.encrypt(filled).decode("ascii")

    def decrypt(self, token: str, binding: SecretBinding) -> Credential | None:
        """Decrypt a token.

        Args:
            token: a token from :meth:`encrypt`.
            binding: the profile and the destination that it must belong to.

        Returns:
            The credential; None if no key fits, the token was altered, or its binding differs.
        """
        try:
            plain = msgspec.json.decode(self._fernet.decrypt(token.encode()), type=_PlainCredential)
        except (InvalidToken, msgspec.MsgspecError, UnicodeError):
            return None
        if plain.version != 1 or plain.binding != binding:
            return None
        return Credential(plain.username, plain.password)

    def holds(self, token: str, binding: SecretBinding, credential: Credential) -> bool | None:
        """Compare a token with a credential, in constant time.

        Args:
            token: a token from :meth:`encrypt`.
            binding: the profile and the destination that it must belong to.
            credential: the credential.

        Returns:
            Whether the token contains the credential; None if it cannot be decrypted, as for
            :meth:`open`.
        """
        current = self.decrypt(token, binding)
        if current is None:
            return None
        # In constant time, and always both values.
        names = hmac.compare_digest(current.username.encode(), credential.username.encode())
        passwords = hmac.compare_digest(current.password.encode(), credential.password.encode())
        return names and passwords
