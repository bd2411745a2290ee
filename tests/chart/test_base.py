"""The Kustomize base, ``config/``, is what the chart renders by default."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.chart.conftest import NAMESPACE, ROOT, Helm, Render

BASE = ROOT / "config"
_HELM = re.compile(r"^ *(helm\.sh/.*|app\.kubernetes\.io/managed-by: Helm|# Source: .*)\n", re.M)
_HEADER = """\
# What the chart renders by default. Generated: make schemas.
"""


def rendered(template: Helm) -> str:
    """The default objects, without what only Helm reads."""
    done = template({})
    assert done.returncode == 0, done.stderr
    text = _HELM.sub("", done.stdout)
    # A mapping that held nothing else.
    text = re.sub(r"^ *annotations:\n(?: *#.*\n)?(?=spec:)", "", text, flags=re.M)
    return _HEADER + re.sub(r"\n\n+---", "\n---", text).strip() + "\n"


def test_the_base_is_up_to_date(template: Helm, rewrite_cases: bool) -> None:
    text = rendered(template)
    if rewrite_cases:
        (BASE / "sendroute.yaml").write_text(text)
    assert (BASE / "sendroute.yaml").read_text() == text, "run `make schemas`"


def test_the_base_holds_the_objects_of_the_chart(servers: Path, render: Render) -> None:
    done = subprocess.run(
        [servers / "kubectl", "kustomize", BASE], capture_output=True, text=True, check=True
    )
    built = {(o["kind"], o["metadata"]["name"]) for o in yaml.safe_load_all(done.stdout)}
    chart = {(o["kind"], o["metadata"]["name"]) for o in render({}, "--include-crds")}
    assert built == chart | {("Namespace", NAMESPACE)}
    assert "Helm" not in done.stdout


@pytest.mark.parametrize("directory", ["config", "charts/sendroute/crds"])
def test_every_file_beside_a_kustomization_is_in_it(directory: str) -> None:
    path = ROOT / directory
    listed = yaml.safe_load((path / "kustomization.yaml").read_text())["resources"]
    files = {file.name for file in path.glob("*.yaml")} - {"kustomization.yaml"}
    assert {name for name in listed if "/" not in name} == files


def test_helm_does_not_take_the_kustomization_for_a_definition(run_helm: Helm) -> None:
    shown = run_helm("show", "crds", str(ROOT / "charts" / "sendroute")).stdout
    kinds = {document["kind"] for document in yaml.safe_load_all(shown) if document}
    assert kinds == {"CustomResourceDefinition"}
