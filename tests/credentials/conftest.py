"""Secrets as users provide them: in directories, through links and in variables."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sendroute.model.secret import SecretRef

SES = SecretRef("acme", "ses-smtp")
HOST, PORT = "smtp.provider.example", 587
# Values that cannot be in a message by chance.
CANARY_NAME = "canary-user-9f31"
CANARY_WORD = "canary-pass-77aa42"


@pytest.fixture
def write_secret(tmp_path: Path) -> Callable[..., Path]:
    """Write the files of a secret: ``write_secret(username=b"…", password=b"…")``.

    Returns the directory of the secrets.
    """

    def write(ref: SecretRef = SES, **content: bytes) -> Path:
        directory = tmp_path / "secrets" / ref.namespace / ref.name
        directory.mkdir(parents=True, exist_ok=True)
        for key, value in content.items():
            (directory / key.replace("_", "-")).write_bytes(value)
        return tmp_path / "secrets"

    return write
