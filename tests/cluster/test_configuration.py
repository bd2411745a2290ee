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
