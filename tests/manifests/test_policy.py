"""How long a policy may take: its rules, or a document that is written for them, may need
exponential time."""

import itertools
import json
import signal
import time
from pathlib import Path

import pytest

from sendroute.manifests import policy
from sendroute.manifests.time_budget import TimeBudget, TimeUsedUpError
from sendroute.model.finding import Where

SLOW = {"properties": {"name": {"pattern": "^(a+)+$"}}}
WHERE = Where("acme.yaml", 0)
PLAIN = {"kind": "MailAccount", "name": "aaa"}
SLOWEST = {"kind": "MailAccount", "name": "a" * 60 + "!"}


def written(directory: Path, content: str) -> list[str]:
    file = directory / "policy.json"
    file.write_text(content)
    return [str(file)]


def test_a_pattern_that_never_ends_is_a_finding_at_its_document(tmp_path: Path) -> None:
    (loaded,), _ = policy.load_policies(written(tmp_path, json.dumps(SLOW)))
    other = policy.load_policies(written(tmp_path, "false"))[0][0]
    policies = [loaded._replace(budget=TimeBudget(0.05)), other]
    documents = [(WHERE, SLOWEST), (WHERE, PLAIN)]
    findings = list(policy.check(policies, documents))
    slow = [item for item in findings if "takes too long" in item.message]
    assert [(item.code, item.where) for item in slow] == [("policy-violation", WHERE)]
    assert len(findings) == 1 + 2, "the other policy is applied to both documents"


def test_each_document_adds_to_the_time_of_a_policy(tmp_path: Path) -> None:
    (loaded,), _ = policy.load_policies(written(tmp_path, json.dumps(SLOW)))
    policies = [loaded._replace(budget=TimeBudget(0.0))]
    assert list(policy.check(policies, [(WHERE, PLAIN)] * 1000)) == []


# The signal may interrupt a callback of the garbage collector, of Hypothesis: that is only noted.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_policy_that_takes_long_to_read_is_one_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "_SECONDS", 0.05)
    text = json.dumps({"enum": list(range(100_000))})
    usable, (problem,) = policy.load_policies(written(tmp_path, text))
    assert (usable, problem.code) == ([], "invalid-value")
    assert "processor time" in problem.message


@pytest.mark.parametrize("use", ["enum: *a11", "const: *a11", "not: {const: *a11}"])
def test_a_policy_whose_aliases_unfold_to_a_huge_value_is_refused(use: str, tmp_path: Path) -> None:
    levels = [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    text = "\n".join(["x:", "  a0: &a0 [lol]", *levels, use])
    usable, (problem,) = policy.load_policies(written(tmp_path, text))
    assert (usable, problem.code) == ([], "invalid-value")
    assert "aliases" in problem.message


def test_a_policy_may_use_aliases_and_not_hold_itself(tmp_path: Path) -> None:
    text = "x: &a [MailAccount]\nproperties: {kind: {enum: *a}}"
    usable, problems = policy.load_policies(written(tmp_path, text))
    assert (len(usable), problems) == (1, [])
    usable, problems = policy.load_policies(written(tmp_path, "enum: &a [1, *a]"))
    assert (usable, [item.code for item in problems]) == ([], ["invalid-value"])


def test_a_policy_has_a_size_limit(tmp_path: Path) -> None:
    content = json.dumps({"description": "x" * (1 << 20)})
    usable, (problem,) = policy.load_policies(written(tmp_path, content))
    assert (usable, problem.code) == ([], "too-large")


def test_a_budget_is_spent_once_and_leaves_no_timer() -> None:
    budget = TimeBudget(0.05)
    for longest in (0.4, 0.05):
        started = time.process_time()
        with pytest.raises(TimeUsedUpError), budget.spending():
            sum(1 for _ in itertools.repeat(1))
        assert time.process_time() - started < longest
    with TimeBudget(5.0).spending():
        pass
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) == signal.SIG_DFL
