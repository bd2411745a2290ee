"""Every case of the routing rules gives the statuses that are written beside its plan.

``statuses.txt`` in each directory of ``tests/cases/plans`` has a line for each object after the
last tree: what kstatus says, each condition that is not simply true, and what else is shown. After
the difference was reviewed, ``--rewrite-cases`` writes it again.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.kstatus import kstatus
from tests.cluster.projected import Cluster
from tests.planner.test_cases import CASES, PLANS, profiles_in, tree_with_platform, trees

from sendroute.cluster.objects import ObjectKey
from sendroute.model.secret import Resave

PLAIN = {("True", "Valid"), ("True", "Resolved"), ("True", "Verified")}


TEST_FAILED = "connection-test-failed"


def text_of(tree: Path) -> str:
    return "\n---\n".join(
        file.read_text("utf-8")
        for file in ([tree] if tree.is_file() else sorted(tree.rglob("*.yaml")))
        if file.is_file()
    )


def is_of_objects(case: Path) -> bool:
    """Whether an API could hold what a case holds: all of it is well-formed, and has a name."""
    try:
        values = [value for tree in trees(case) for value in yaml.safe_load_all(text_of(tree))]
    except yaml.YAMLError:
        return False
    return all(value is None or "name" in value.get("metadata", {}) for value in values)


SHOWN = [name for name in CASES if is_of_objects(PLANS / name)]


def line_of(key: ObjectKey, state: str, status: dict[str, Any]) -> str:
    parts = [f"{key}: {state}"]
    parts += [
        f"{item['type']} {item['status']} {item['reason']}"
        for item in status["conditions"]
        if (item["status"], item["reason"]) not in PLAIN and item["type"] != "Applied"
    ]
    if "routeText" in status:
        shadow = f" shadowed by {status['shadowedBy']}" if "shadowedBy" in status else ""
        parts.append(f"{status['routeText']} [{status['origin']}]{shadow}")
    if "effectiveDefaultText" in status:
        counts = status["counts"]
        parts.append(f"default {status['effectiveDefaultText']}")
        parts.append(" ".join(f"{name} {count}" for name, count in counts.items()))
    if "lastApplyAll" in status:
        parts.append(f"last apply-all {status['lastApplyAll']['id']}")
    return ", ".join(parts)


@pytest.mark.parametrize("name", SHOWN)
def test_the_last_tree_of_a_case_gives_the_expected_statuses(
    name: str, tmp_path: Path, rewrite_cases: bool
) -> None:
    case = PLANS / name
    cluster = Cluster()
    steps = trees(case)
    written: dict[ObjectKey, dict[str, Any]] = {}
    again = written
    for number, tree in enumerate(steps, start=1):
        failing = profiles_in(case / "failing.txt", number, len(steps))
        rotated = profiles_in(case / "rotated.txt", number, len(steps))
        text = text_of(tree_with_platform(tree, tmp_path / str(number)))
        codes = {key: dict.fromkeys(names, TEST_FAILED) for key, names in failing.items()}
        of_secrets = {key: dict.fromkeys(names, Resave.ROTATED) for key, names in rotated.items()}
        cluster.apply(text, failing=codes, rotated=of_secrets)
        if not any(names & failing.get(key, set()) for key, names in rotated.items()):
            of_secrets = {}  # the new content is saved, so it is not new any more
        written = cluster.apply(text, failing=codes, rotated=of_secrets)
        again = cluster.apply(text, failing=codes, rotated=of_secrets)
    lines = [
        line_of(key, kstatus(cluster.generation(key), status), status)
        for key, status in sorted(written.items())
    ]
    expected = case / "statuses.txt"
    if rewrite_cases:
        expected.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    assert again == written, "nothing has changed, so no status may"
    assert lines == expected.read_text("utf-8").splitlines()


def test_nearly_every_case_gives_statuses() -> None:
    assert len(SHOWN) > 0.9 * len(CASES)
