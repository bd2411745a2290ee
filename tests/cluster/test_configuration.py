"""How the Kubernetes API is found: whatever the file holds, the error names the file."""

from pathlib import Path

import pytest

from sendroute.cluster.api import connect
from sendroute.model.problem import ProblemError


@pytest.mark.parametrize(
    "content", [None, b"", b"\x00\xff", b"a: [", b"[]", b"a: 1", b"root:x:0:0", b"contexts: 7"]
)
def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "kubeconfig"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ProblemError, match=f"The kubeconfig {file} cannot be used: ") as caught:
        connect(str(file))
    [item] = caught.value.findings
    assert item.code == "cluster-unreachable"
    assert not item.message.endswith("..")


def test_a_directory_is_no_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="is a directory"):
        connect(str(tmp_path))


_PROGRAM = """\
#!/bin/sh
env > {seen}
printf '{answer}'
"""
_EXEC = """\
exec: {{apiVersion: client.authentication.k8s.io/v1, command: {program}, interactiveMode: Never,
    env: [{{name: PLUGIN, value: "1"}}]}}"""
_COMMAND = """\
auth-provider: {{name: gcp, config: {{cmd-path: {program}}}}}"""
_KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: c
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:1"}}}}]
users:
- name: u
  user:
    {user}
"""
_ANSWER = """\
{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",\
 "status": {"token": "t", "expirationTimestamp": "2099-01-01T00:00:00Z"},\
 "credential": {"access_token": "t", "token_expiry": "2099-01-01T00:00:00Z"}}"""


@pytest.mark.parametrize("user", [_EXEC, _COMMAND], ids=["exec", "auth-provider"])
def test_the_program_of_a_kubeconfig_gets_no_variable_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    program, seen = tmp_path / "plugin", tmp_path / "seen"
    program.write_text(_PROGRAM.format(seen=seen, answer=_ANSWER))
    program.chmod(0o755)
    file = tmp_path / "kubeconfig"
    file.write_text(_KUBECONFIG.format(user=user.format(program=program)))
    monkeypatch.setenv("SENDROUTE_ENCRYPTION_KEY", "canary")
    monkeypatch.setenv("SENDROUTE_SECRET_ACME__SES__PASSWORD", "canary")
    monkeypatch.setenv("PGPASSWORD", "canary")
    monkeypatch.setenv("AWS_PROFILE", "mail")
    connect(str(file))
    variables = seen.read_text()
    assert "canary" not in variables
    assert "AWS_PROFILE=mail" in variables
    assert ("PLUGIN=1" in variables) == (user is _EXEC)
