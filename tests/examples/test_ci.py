"""The CI files that users copy: valid, safe with forks, and every shell step is run here.

Only the API clients of the forge (``gh``, ``curl``) and ``pip install`` are replaced by fakes; git
and ``sendroute`` are real.
"""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sendroute.cli.exit_status import ExitStatus

ROOT = Path(__file__).parents[2]
CI = ROOT / "examples" / "ci"
GITHUB: dict[str, Any] = yaml.safe_load((CI / "github.yml").read_text())
GITLAB: dict[str, Any] = yaml.safe_load((CI / "gitlab.yml").read_text())
MARKER = "<!-- sendroute-plan -->"

BREAK = "sed -i.old 's/route: {profile: ses}/route: {profile: sess}/' manifests/acme.yaml"
CHANGE = "sed -i.old 's/route: {managed: {}}/route: {profile: ses}/' manifests/acme.yaml"

# Records requests and posted bodies, and answers requests from files.
FAKE_FORGE = """
case "$*" in *"--config -"*) cat >"$SANDBOX/config" ;; esac
printf '%s\\n' "$*" >>"$SANDBOX/requests"
for word in "$@"; do
  case "$word" in
    body=@*) cp "${word#body=@}" "$SANDBOX/body" ;;
    body@*) cp "${word#body@}" "$SANDBOX/body" ;;
    */user) cat "$SANDBOX/user"; exit ;;
  esac
done
case "$*" in *PATCH*|*PUT*|*POST*|*--field*) ;; *) cat "$SANDBOX/comments" ;; esac
"""


class Pipeline:
    """A repository with the quickstart's manifests, and a store beside it."""

    def __init__(self, sandbox: Any) -> None:
        self.sandbox = sandbox
        self.directory: Path = sandbox.root / "repository"
        shutil.copytree(
            ROOT / "examples" / "quickstart" / "manifests", self.directory / "manifests"
        )
        (sandbox.root / "comments").write_text("")
        (sandbox.root / "user").write_text('{"id": 7}')
        for name in ("gh", "curl"):
            sandbox.program(name, FAKE_FORGE)
        self.variables = {
            "SANDBOX": str(sandbox.root),
            "MANIFESTS": "manifests",
            "SENDROUTE_SECRETS": str(ROOT / "examples" / "quickstart" / "secrets"),
            "SENDROUTE_STORE": f"sqlite:///{sandbox.root / 'sendroute.db'}",
            "GITHUB_STEP_SUMMARY": str(sandbox.root / "summary"),
            "GITHUB_OUTPUT": str(sandbox.root / "output"),
            "GITHUB_REPOSITORY": "acme/mail",
            "CI_API_V4_URL": "https://gitlab.example.com/api/v4",
            "CI_PROJECT_ID": "11",
            "CI_MERGE_REQUEST_IID": "22",
            "MAIL_NOTE_TOKEN": "a-token",
        }
        self.run_ok("git init -q -b main . && git add . && git commit -qm 'The first manifests'")
        self.run_ok("sendroute -q init")

    def run_ok(self, script: str, **variables: str) -> str:
        completed = self.run(script, **variables)
        assert completed.returncode == 0, completed.stdout
        return str(completed.stdout)

    def run(self, script: str, **variables: str) -> Any:
        """As GitHub runs a step: ``bash --noprofile --norc -eo pipefail``."""
        shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
        return self.sandbox.run(script, self.directory, *shell, **(self.variables | variables))

    def commit(self, change: str) -> None:
        self.run_ok(f"{change} && git add manifests/*.yaml && git commit -qm 'A change'")

    def split_off_the_profile(self) -> None:
        path = self.directory / "manifests" / "acme.yaml"
        documents = path.read_text().split("---\n")
        (profile,) = (text for text in documents if "kind: SMTPProfile" in text)
        path.write_text("---\n".join(text for text in documents if text != profile))
        (path.parent / "ses.yaml").write_text(profile)

    def recorded(self, name: str) -> str:
        path: Path = self.sandbox.root / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def pipeline(sandbox: Any) -> Pipeline:
    return Pipeline(sandbox)


def step(job: str, name: str) -> str:
    """The script of a step. Untrusted text, such as a title or the name of a branch, must reach it
    as a variable, never as a part of the script."""
    script: str = next(s["run"] for s in GITHUB["jobs"][job]["steps"] if s.get("name") == name)
    assert "${{" not in script
    return script


def script(job: str) -> str:
    return "\n".join(GITLAB[job]["script"])


# The contents of the files


def test_a_plan_has_the_history_and_an_apply_keeps_the_lock_file() -> None:
    """The guard against an older commit needs the history; a lost store needs the lock file."""
    checkouts = [
        step["with"]
        for job in GITHUB["jobs"].values()
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/checkout@")
    ]
    assert [checkout["fetch-depth"] for checkout in checkouts] == [0, 0]
    assert GITLAB["sendroute-plan"]["variables"]["GIT_DEPTH"] == "0"
    for text in (step("apply", "Apply"), script("sendroute-apply")):
        assert "--write-lock report/sendroute.lock" in text


def test_every_action_is_pinned_to_a_commit_and_shows_its_version() -> None:
    uses = re.findall(r"uses: (.+)", (CI / "github.yml").read_text())
    assert uses
    for use in uses:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", use)


def test_no_workflow_step_has_an_expression_in_its_script() -> None:
    for name, job in GITHUB["jobs"].items():
        for job_step in job["steps"]:
            assert "${{" not in job_step.get("run", ""), name


def test_a_fork_gets_neither_the_store_nor_write_permissions() -> None:
    triggers = GITHUB[True]  # YAML 1.1 reads the key `on` as true
    assert set(triggers) == {"push", "pull_request"}
    assert GITHUB["permissions"] == {}
    same_repository = "github.event.pull_request.head.repo.full_name == github.repository"
    assert same_repository in GITHUB["jobs"]["plan"]["if"]
    assert GITHUB["jobs"]["comment"]["needs"] == "plan"
    assert "github.event_name == 'push'" in GITHUB["jobs"]["apply"]["if"]
    same_project = "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID"
    for name in ("sendroute-plan", "sendroute-note"):
        conditions = [r["if"] for r in GITLAB[name]["rules"] if "merge_request" in r["if"]]
        assert conditions
        assert all(same_project in condition for condition in conditions)


def test_the_job_that_can_comment_neither_checks_out_nor_installs() -> None:
    writing = [n for n, j in GITHUB["jobs"].items() if "pull-requests" in j["permissions"]]
    assert writing == ["comment"]
    job_steps = json.dumps(GITHUB["jobs"]["comment"]["steps"])
    assert "actions/checkout" not in job_steps
    assert "pip install" not in job_steps


def test_the_hook_of_the_example_exists() -> None:
    offered = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    (repository,) = yaml.safe_load((CI / "pre-commit.yaml").read_text())["repos"]
    assert {h["id"] for h in repository["hooks"]} <= {h["id"] for h in offered}


def test_the_hook_stops_a_commit_that_only_deletes_what_another_file_names(
    pipeline: Pipeline,
) -> None:
    """pre-commit runs the hook; only the installation is replaced: the installed program is used,
    instead of one that pip would install into an environment of pre-commit."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["language"] == "python"
    local = {"repo": "local", "hooks": [hook | {"language": "system", "args": ["manifests"]}]}
    (pipeline.directory / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [local]}))
    pipeline.run_ok("git add .")
    commit = f'"{sys.executable}" -m pre_commit run'
    pipeline.run_ok(commit)
    pipeline.split_off_the_profile()
    pipeline.run_ok(f"git add . && {commit} && git commit -qm 'The profile in a file of its own'")
    pipeline.run_ok("git rm -q manifests/ses.yaml")
    completed = pipeline.run(commit)
    assert completed.returncode == 1
    assert "unknown-profile" in completed.stdout


# The steps of GitHub


def test_validate_passes_a_valid_commit_and_fails_an_invalid_one_with_both_reports(
    pipeline: Pipeline,
) -> None:
    pipeline.run_ok(step("validate", "Validate"), BASE="0" * 40)
    pipeline.commit(BREAK)
    completed = pipeline.run(step("validate", "Validate"), BASE="HEAD^")
    assert completed.returncode == 1
    assert "::error file=manifests/acme.yaml,line=" in completed.stdout
    report = json.loads((pipeline.directory / "sendroute.sarif").read_text())
    results = report["runs"][0]["results"]
    assert [result["ruleId"] for result in results if result["level"] == "error"] == [
        "unknown-profile"
    ]


def test_validate_with_a_base_reports_a_deleted_profile_as_a_warning(pipeline: Pipeline) -> None:
    pipeline.split_off_the_profile()
    pipeline.commit("git add .")
    pipeline.commit("git rm -q manifests/ses.yaml")
    output = pipeline.run_ok(step("validate", "Validate"), BASE="HEAD^")
    assert "::warning file=manifests/acme.yaml,line=" in output
    assert pipeline.run(step("validate", "Validate"), BASE="0" * 40).returncode == 1


def test_a_plan_is_saved_summarised_and_applied_as_shown(pipeline: Pipeline) -> None:
    pipeline.run_ok(step("plan", "Plan"))
    assert int(pipeline.recorded("output").removeprefix("changes=")) > 0
    assert "news.example.com" in pipeline.recorded("summary")
    pipeline.run_ok(step("apply", "Apply"))
    routes = json.loads(pipeline.run_ok("sendroute routes -o json"))["domains"]
    assert {d["domain"]: d["route"] for d in routes} == {
        "example.com": {"managed": {}},
        "news.example.com": {"profile": "ses"},
    }


def test_a_plan_without_changes_starts_no_apply(pipeline: Pipeline) -> None:
    pipeline.run_ok("sendroute -q apply manifests --auto-approve")
    pipeline.run_ok(step("plan", "Plan"))
    assert pipeline.recorded("output") == "changes=0\n"


def test_a_plan_with_an_error_fails_and_still_writes_a_summary(pipeline: Pipeline) -> None:
    pipeline.commit(BREAK)
    completed = pipeline.run(step("plan", "Plan"))
    assert completed.returncode == 1
    assert "unknown-profile" in pipeline.recorded("summary")
    assert pipeline.recorded("output").startswith("changes=")


def test_a_stale_plan_is_not_applied(pipeline: Pipeline) -> None:
    pipeline.run_ok("sendroute -q apply manifests --auto-approve")
    pipeline.commit(CHANGE)
    pipeline.run_ok(step("plan", "Plan"))
    pipeline.run_ok("sendroute -q apply manifests --auto-approve")
    completed = pipeline.run(step("apply", "Apply"))
    assert completed.returncode == 3
    assert "stale-plan" in completed.stdout


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        ("", "api --silent repos/acme/mail/issues/5/comments --field body=@comment.md"),
        ("99\n", "api --silent --method PATCH repos/acme/mail/issues/comments/99 "),
    ],
    ids=["the first plan of a pull request is a new comment", "a later one rewrites that comment"],
)
def test_the_plan_is_posted_as_one_comment_that_is_updated(
    pipeline: Pipeline, existing: str, expected: str
) -> None:
    pipeline.run_ok(step("plan", "Plan"))
    (pipeline.sandbox.root / "comments").write_text(existing)
    pipeline.run_ok(step("comment", "Comment, in place"), NUMBER="5", GH_TOKEN="a-token")
    assert pipeline.recorded("requests").splitlines()[-1].startswith(expected)
    assert pipeline.recorded("body").startswith(f"{MARKER}\n")
    assert "news.example.com" in pipeline.recorded("body")


# The scripts of GitLab


def test_a_gitlab_plan_that_leaves_anything_out_still_lets_the_rest_be_applied(
    pipeline: Pipeline,
) -> None:
    """`sendroute-apply` needs the job of the plan, which must not fail then."""
    statuses = {ExitStatus.FAILED, ExitStatus.REFUSED, ExitStatus.PARTIAL}
    allowed = GITLAB["sendroute-plan"]["allow_failure"]["exit_codes"]
    assert set(allowed) == statuses
    shutil.copytree(pipeline.variables["SENDROUTE_SECRETS"], secrets := pipeline.sandbox.root / "s")
    shutil.rmtree(secrets / "acme")
    completed = pipeline.run(script("sendroute-plan"), SENDROUTE_SECRETS=str(secrets))
    assert completed.returncode == ExitStatus.PARTIAL, completed.stdout


def test_every_gitlab_job_that_installs_sendroute_has_git() -> None:
    """The package comes from git, and an image called slim has none."""
    installs = [
        GITLAB[".sendroute"] | job
        for name, job in GITLAB.items()
        if name.startswith("sendroute-") and job.get("extends") == ".sendroute"
    ]
    assert len(installs) == 3
    for job in installs:
        assert re.fullmatch(r"python:[\d.]+-bookworm", job["image"])


def test_gitlab_validates_with_a_junit_report(pipeline: Pipeline) -> None:
    pipeline.commit(BREAK)
    completed = pipeline.run(script("sendroute-validate"), CI_COMMIT_BEFORE_SHA="HEAD^")
    assert completed.returncode == 1
    assert "unknown-profile" in (pipeline.directory / "sendroute-junit.xml").read_text()


def test_gitlab_applies_the_saved_plan(pipeline: Pipeline) -> None:
    pipeline.run_ok(script("sendroute-plan"))
    pipeline.run_ok(script("sendroute-apply"))
    assert "news.example.com" in pipeline.run_ok("sendroute routes")


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ([], "--request POST"),
        ([{"id": 4, "author": {"id": 1}, "body": f"{MARKER}\nforged"}], "--request POST"),
        ([{"id": 4, "author": {"id": 7}, "body": f"{MARKER}\nold"}], "/notes/4"),
    ],
    ids=[
        "the first plan is a new note",
        "a note of another user is not changed",
        "the note of the same user is rewritten",
    ],
)
def test_the_plan_is_posted_as_one_note_that_is_updated(
    pipeline: Pipeline, notes: list[dict[str, Any]], expected: str
) -> None:
    pipeline.run_ok(script("sendroute-plan"))
    (pipeline.sandbox.root / "comments").write_text(json.dumps(notes))
    pipeline.run_ok(script("sendroute-note"))
    last = pipeline.recorded("requests").splitlines()[-1]
    assert f"{expected} " in f"{last} "
    assert "a-token" not in pipeline.recorded("requests")
    assert "PRIVATE-TOKEN: a-token" in pipeline.recorded("config")
    assert pipeline.recorded("body").startswith(f"{MARKER}\n")
