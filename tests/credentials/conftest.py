"""Secrets as users lay them out: real folders, real links, real variables."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sendroute.model.secret import SecretRef

SES = SecretRef("acme", "ses-smtp")
HOST, PORT = "smtp.provider.example", 587
# Nothing that could stand in a message by chance.
CANARY_NAME = "canary-user-9f31"
CANARY_WORD = "canary-pass-77aa42"


@pytest.fixture
def lay(tmp_path: Path) -> Callable[..., Path]:
    """Files of one secret: ``lay(username=b"…", password=b"…")``; returns the secrets' folder."""

    def make(ref: SecretRef = SES, **content: bytes) -> Path:
        folder = tmp_path / "secrets" / ref.namespace / ref.name
        folder.mkdir(parents=True, exist_ok=True)
        for key, value in content.items():
            (folder / key.replace("_", "-")).write_bytes(value)
        return tmp_path / "secrets"

    return make
