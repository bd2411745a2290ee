"""The images and the release workflow. They are linted here, and their steps that need no registry
are run: no image can be built without one."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.conftest import CHART, RELAY, ROOT, Helm, Render, the

WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"
JOBS: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def stage(name: str) -> str:
    return DOCKERFILE.partition(f" AS {name}\n")[2].partition("\nFROM ")[0]


def test_hadolint_accepts_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_is_pinned_and_everything_is_installed_from_a_lock_with_hashes() -> None:
    assert re.search(r"^ARG BASE=python:[\d.]+-slim-\w+@sha256:[0-9a-f]{64}$", DOCKERFILE, re.M)
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.M) == ["${BASE}"] * 3
    steps = DOCKERFILE.replace("\\\n", " ")
    for arguments in re.findall(r"/tools/bin/pip (.*?)(?:&&|$)", steps, re.M):
        if not arguments.startswith("wheel"):
            assert "--require-hashes" in arguments or "--no-index" in arguments, arguments


def test_the_image_of_the_operator_is_the_user_of_the_chart(render: Render) -> None:
    context = the(render({}), "Deployment")["spec"]["template"]["spec"]["securityContext"]
    user = f"{context['runAsUser']}:{context['runAsGroup']}"
    assert f"\nUSER {user}\n" in stage("operator")
    assert f"--uid {context['runAsUser']} --gid {context['runAsGroup']}" in stage("operator")


def test_the_image_of_relays_has_the_groups_of_the_chart(render: Render) -> None:
    context = the(render(RELAY), "StatefulSet")["spec"]["template"]["spec"]["securityContext"]
    groups = re.findall(r"groupadd --gid (\d+) (\w+)", stage("relay"))
    assert [int(number) for number, _ in groups] == context["supplementalGroups"]
    assert [name for _, name in groups] == ["postfix", "postdrop"]


def test_only_what_the_build_needs_can_reach_an_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert [line for line in ignored if line[0] not in "#!"] == ["*", "**/__pycache__"]
    copied = " ".join(re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.M)).split()
    assert {line[1:] for line in ignored if line.startswith("!")} == {
        path.rstrip("/") for path in copied
    }


def test_actionlint_accepts_the_workflow(actionlint: Path) -> None:
    done = subprocess.run([actionlint, WORKFLOW], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_action_is_pinned_to_a_commit_and_shows_its_version() -> None:
    uses = re.findall(r"uses: (.+)", WORKFLOW.read_text())
    assert uses
    for use in uses:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", use)


def test_a_job_may_do_no_more_than_it_needs() -> None:
    assert yaml.safe_load(WORKFLOW.read_text())["permissions"] == {}
    assert JOBS["test"]["permissions"] == {"contents": "read"}
    for job in JOBS.values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), step
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_nothing_is_published_before_the_tests_pass() -> None:
    assert JOBS["images"]["needs"] == "test"
    assert JOBS["chart"]["needs"] == "images"


@pytest.mark.parametrize("job", ["images", "chart"])
def test_what_is_published_is_signed_and_has_its_provenance(job: str) -> None:
    steps = JOBS[job]["steps"]
    assert JOBS[job]["permissions"]["id-token"] == "write"
    assert any(step.get("run", "").startswith("cosign sign --yes") for step in steps)
    assert any("attest-build-provenance" in step.get("uses", "") for step in steps)
    if job == "images":
        (build,) = (s["run"] for s in steps if "buildx build" in s.get("run", ""))
        assert "--sbom=true --provenance=mode=max" in build


def test_the_published_chart_takes_the_published_images(
    tmp_path: Path, helm: Path, run_helm: Helm
) -> None:
    """The step is run, with a helm that only packages."""
    (script,) = (s["run"] for s in JOBS["chart"]["steps"] if s.get("id") == "push")
    fake = tmp_path / "bin" / "helm"
    fake.parent.mkdir()
    fake.write_text(
        f'#!/bin/sh\ncase "$1" in push) echo "Digest: sha256:{"b" * 64}" ;; '
        f'*) exec "{helm}" "$@" ;; esac\n'
    )
    fake.chmod(0o755)
    work = tmp_path / "work"
    shutil.copytree(CHART, work / "charts" / "sendroute")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=work,
        env={
            "PATH": f"{fake.parent}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "REGISTRY": "registry.example",
            "NAMESPACE": "acme",
            "GITHUB_OUTPUT": str(tmp_path / "output"),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"digest=sha256:{'b' * 64}\n" in (tmp_path / "output").read_text()
    (package,) = work.glob("sendroute-*.tgz")
    values = yaml.safe_load(run_helm("show", "values", str(package)).stdout)
    assert values["image"]["repository"] == "registry.example/acme/sendroute"
    assert values["relay"]["image"]["repository"] == "registry.example/acme/sendroute-relay"
