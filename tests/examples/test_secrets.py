"""The part of the page about secrets that needs sops, with a stand-in that encodes instead of
encrypting, because the real one needs a private key."""

import os
import re
import shutil
import subprocess
from pathlib import Path

PAGE = Path(__file__).parents[2] / "examples/secrets/README.md"
SOPS = """\
#!/bin/sh
for file; do :; done
case $1 in
  encrypt) base64 <"$file" ;;
  decrypt) base64 -d <"$file" ;;
esac
"""


def test_what_sops_encrypted_is_decrypted_for_its_owner_only(tmp_path: Path) -> None:
    shutil.copytree(PAGE.parent, tmp_path / "example")
    program = tmp_path / "bin/sops"
    program.parent.mkdir()
    program.write_text(SOPS)
    program.chmod(0o755)
    secret = tmp_path / "example/secrets/acme/provider-smtp"
    secret.mkdir(parents=True)
    values = {"username": "shop-mailer", "password": "first", "allowed-hosts": "localhost"}
    for key, value in values.items():
        (secret / key).write_text(value)
    (block,) = re.findall(r"```console\n(mkdir.*?)```", PAGE.read_text(), re.DOTALL)
    before = block.partition("sh decrypt.sh")[0] + "rm -r secrets\nsh decrypt.sh\n"
    environment = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    subprocess.run(
        ["sh", "-e", "-c", before], check=True, cwd=tmp_path / "example", env=environment
    )
    assert {path.name: path.read_text() for path in secret.iterdir()} == values
    assert {path.stat().st_mode & 0o077 for path in secret.iterdir()} == {0}
