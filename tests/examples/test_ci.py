"""The CI that users copy: well-formed, careful with forks, and every shell step of it is run here.

Only the forge's own interface (``gh``, ``curl``) and ``pip install`` are stood in for; git and
``sendroute`` are the real ones.
"""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CI = ROOT / "examples" / "ci"
GITHUB: dict[str, Any] = yaml.safe_load((CI / "github.yml").read_text())
GITLAB: dict[str, Any] = yaml.safe_load((CI / "gitlab.yml").read_text())
MARKER = "<!-- sendroute-plan -->"

BREAK = "sed -i.old 's/route: {profile: ses}/route: {profile: sess}/' manifests/acme.yaml"
CHANGE = "sed -i.old 's/route: {managed: {}}/route: {profile: ses}/' manifests/acme.yaml"

# Keeps what it was asked and what it was to post, and answers questions from files.
FAKE_FORGE = """
case "$*" in *"--config -"*) cat >"$ROOM/config" ;; esac
printf '%s\\n' "$*" >>"$ROOM/asked"
for word in "$@"; do
  case "$word" in
    body=@*) cp "${word#body=@}" "$ROOM/body" ;;
    body@*) cp "${word#body@}" "$ROOM/body" ;;
    */user) cat "$ROOM/user"; exit ;;
  esac
done
case "$*" in *PATCH*|*PUT*|*POST*|*--field*) ;; *) cat "$ROOM/comments" ;; esac
"""


class Pipeline:
    """A repository with the quickstart's manifests, and a store beside it."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.folder: Path = desk.room / "repository"
        shutil.copytree(ROOT / "examples" / "quickstart" / "manifests", self.folder / "manifests")
        (desk.room / "comments").write_text("")
        (desk.room / "user").write_text('{"id": 7}')
        for name in ("gh", "curl"):
            desk.program(name, FAKE_FORGE)
        self.variables = {
            "ROOM": str(desk.room),
            "MANIFESTS": "manifests",
            "SENDROUTE_SECRETS": str(ROOT / "examples" / "quickstart" / "secrets"),
            "SENDROUTE_STORE": f"sqlite:///{desk.room / 'sendroute.db'}",
            "GITHUB_STEP_SUMMARY": str(desk.room / "summary"),
            "GITHUB_OUTPUT": str(desk.room / "output"),
            "GITHUB_REPOSITORY": "acme/mail",
            "CI_API_V4_URL": "https://gitlab.example.com/api/v4",
            "CI_PROJECT_ID": "11",
            "CI_MERGE_REQUEST_IID": "22",
            "MAIL_NOTE_TOKEN": "a-token",
        }
        self.bash("git init -q -b main . && git add . && git commit -qm 'The first manifests'")
        self.bash("sendroute -q init")

    def bash(self, script: str, **more: str) -> str:
        done = self.tried(script, **more)
        assert done.returncode == 0, done.stdout
        return str(done.stdout)

    def tried(self, script: str, **more: str) -> Any:
        """As GitHub runs a step: ``bash --noprofile --norc -eo pipefail``."""
        shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
        return self.desk.run(script, self.folder, *shell, **(self.variables | more))

    def commit(self, change: str) -> None:
        self.bash(f"{change} && git add manifests/*.yaml && git commit -qm 'A change'")

    def split_off_the_profile(self) -> None:
        path = self.folder / "manifests" / "acme.yaml"
        documents = path.read_text().split("---\n")
        (profile,) = (d for d in documents if "kind: SMTPProfile" in d)
        path.write_text("---\n".join(d for d in documents if d != profile))
        (path.parent / "ses.yaml").write_text(profile)

    def of(self, name: str) -> str:
        path: Path = self.desk.room / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def pipeline(desk: Any) -> Pipeline:
    return Pipeline(desk)


def step(job: str, name: str) -> str:
    """One step's script, which must stand by itself: what a person could write into a title or a
    branch's name reaches it as a variable, never as a part of it."""
    script: str = next(s["run"] for s in GITHUB["jobs"][job]["steps"] if s.get("name") == name)
    assert "${{" not in script
    return script


def script(job: str) -> str:
    return "\n".join(GITLAB[job]["script"])


# What the files say


def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it() -> None:
    uses = re.findall(r"uses: (.+)", (CI / "github.yml").read_text())
    assert uses
    for one in uses:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", one)


def test_no_step_of_the_workflow_takes_an_expression_into_its_script() -> None:
    for name, job in GITHUB["jobs"].items():
        for one in job["steps"]:
            assert "${{" not in one.get("run", ""), name


def test_a_fork_reaches_neither_the_store_nor_a_permission_to_write() -> None:
    triggers = GITHUB[True]  # YAML 1.1 reads the key `on` so
    assert set(triggers) == {"push", "pull_request"}
    assert GITHUB["permissions"] == {}
    same = "github.event.pull_request.head.repo.full_name == github.repository"
    assert same in GITHUB["jobs"]["plan"]["if"]
    assert GITHUB["jobs"]["comment"]["needs"] == "plan"
    assert "github.event_name == 'push'" in GITHUB["jobs"]["apply"]["if"]
    theirs = "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID"
    for name in ("sendroute-plan", "sendroute-note"):
        requests = [r["if"] for r in GITLAB[name]["rules"] if "merge_request" in r["if"]]
        assert requests
        assert all(theirs in one for one in requests)


def test_the_only_job_that_may_comment_neither_checks_out_nor_installs() -> None:
    writing = [n for n, j in GITHUB["jobs"].items() if "pull-requests" in j["permissions"]]
    assert writing == ["comment"]
    said = json.dumps(GITHUB["jobs"]["comment"]["steps"])
    assert "actions/checkout" not in said
    assert "pip install" not in said


def test_the_hook_in_the_example_is_one_that_the_project_offers() -> None:
    offered = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    (repository,) = yaml.safe_load((CI / "pre-commit.yaml").read_text())["repos"]
    assert {h["id"] for h in repository["hooks"]} <= {h["id"] for h in offered}


def test_the_hook_stops_a_commit_that_only_deletes_what_another_file_names(
    pipeline: Pipeline,
) -> None:
    """pre-commit itself runs the hook; what stands in is its installation: the program that the
    tests run is used, instead of one that pip would put into an environment of pre-commit's own."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["language"] == "python"
    local = {"repo": "local", "hooks": [hook | {"language": "system", "args": ["manifests"]}]}
    (pipeline.folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [local]}))
    pipeline.bash("git add .")
    commit = f'"{sys.executable}" -m pre_commit run'
    pipeline.bash(commit)
    pipeline.split_off_the_profile()
    pipeline.bash(f"git add . && {commit} && git commit -qm 'The profile in a file of its own'")
    pipeline.bash("git rm -q manifests/ses.yaml")
    done = pipeline.tried(commit)
    assert done.returncode == 1
    assert "unknown-profile" in done.stdout


# GitHub's steps, run


def test_validate_passes_a_good_commit_and_fails_a_bad_one_with_both_reports(
    pipeline: Pipeline,
) -> None:
    pipeline.bash(step("validate", "Validate"), BASE="0" * 40)
    pipeline.commit(BREAK)
    done = pipeline.tried(step("validate", "Validate"), BASE="HEAD^")
    assert done.returncode == 1
    assert "::error file=manifests/acme.yaml,line=" in done.stdout
    report = json.loads((pipeline.folder / "sendroute.sarif").read_text())
    results = report["runs"][0]["results"]
    assert [result["ruleId"] for result in results if result["level"] == "error"] == [
        "unknown-profile"
    ]


def test_validate_knows_by_the_base_that_a_profile_was_deleted(pipeline: Pipeline) -> None:
    pipeline.split_off_the_profile()
    pipeline.commit("git add .")
    pipeline.commit("git rm -q manifests/ses.yaml")
    said = pipeline.bash(step("validate", "Validate"), BASE="HEAD^")
    assert "::warning file=manifests/acme.yaml,line=" in said
    assert pipeline.tried(step("validate", "Validate"), BASE="0" * 40).returncode == 1


def test_a_plan_is_saved_summed_up_and_applied_as_it_was_shown(pipeline: Pipeline) -> None:
    pipeline.bash(step("plan", "Plan"))
    assert int(pipeline.of("output").removeprefix("changes=")) > 0
    assert "news.example.com" in pipeline.of("summary")
    pipeline.bash(step("apply", "Apply"))
    routes = json.loads(pipeline.bash("sendroute routes -o json"))["domains"]
    assert {d["domain"]: d["route"] for d in routes} == {
        "example.com": {"managed": {}},
        "news.example.com": {"profile": "ses"},
    }


def test_a_plan_of_nothing_asks_nobody_to_apply_it(pipeline: Pipeline) -> None:
    pipeline.bash("sendroute -q apply manifests --auto-approve")
    pipeline.bash(step("plan", "Plan"))
    assert pipeline.of("output") == "changes=0\n"


def test_a_plan_with_an_error_is_red_and_still_summed_up(pipeline: Pipeline) -> None:
    pipeline.commit(BREAK)
    done = pipeline.tried(step("plan", "Plan"))
    assert done.returncode == 1
    assert "unknown-profile" in pipeline.of("summary")
    assert pipeline.of("output").startswith("changes=")


def test_a_plan_is_not_applied_once_the_store_has_moved(pipeline: Pipeline) -> None:
    pipeline.bash("sendroute -q apply manifests --auto-approve")
    pipeline.commit(CHANGE)
    pipeline.bash(step("plan", "Plan"))
    pipeline.bash("sendroute -q apply manifests --auto-approve")
    done = pipeline.tried(step("apply", "Apply"))
    assert done.returncode == 3
    assert "stale-plan" in done.stdout


@pytest.mark.parametrize(
    ("there", "asked"),
    [
        ("", "api --silent repos/acme/mail/issues/5/comments --field body=@comment.md"),
        ("99\n", "api --silent --method PATCH repos/acme/mail/issues/comments/99 "),
    ],
    ids=["the first plan of a pull request is a new comment", "a later one rewrites that comment"],
)
def test_the_comment(pipeline: Pipeline, there: str, asked: str) -> None:
    pipeline.bash(step("plan", "Plan"))
    (pipeline.desk.room / "comments").write_text(there)
    pipeline.bash(step("comment", "Comment, in place"), NUMBER="5", GH_TOKEN="a-token")
    assert pipeline.of("asked").splitlines()[-1].startswith(asked)
    assert pipeline.of("body").startswith(f"{MARKER}\n")
    assert "news.example.com" in pipeline.of("body")


# GitLab's scripts, run


def test_gitlab_validates_with_a_junit_report(pipeline: Pipeline) -> None:
    pipeline.commit(BREAK)
    done = pipeline.tried(script("sendroute-validate"), CI_COMMIT_BEFORE_SHA="HEAD^")
    assert done.returncode == 1
    assert "unknown-profile" in (pipeline.folder / "sendroute-junit.xml").read_text()


def test_gitlab_applies_the_plan_that_it_saved(pipeline: Pipeline) -> None:
    pipeline.bash(script("sendroute-plan"))
    pipeline.bash(script("sendroute-apply"))
    assert "news.example.com" in pipeline.bash("sendroute routes")


@pytest.mark.parametrize(
    ("notes", "asked"),
    [
        ([], "--request POST"),
        ([{"id": 4, "author": {"id": 1}, "body": f"{MARKER}\nforged"}], "--request POST"),
        ([{"id": 4, "author": {"id": 7}, "body": f"{MARKER}\nold"}], "/notes/4"),
    ],
    ids=["the first plan is a new note", "another's note is left alone", "its own is rewritten"],
)
def test_the_note(pipeline: Pipeline, notes: list[dict[str, Any]], asked: str) -> None:
    pipeline.bash(script("sendroute-plan"))
    (pipeline.desk.room / "comments").write_text(json.dumps(notes))
    pipeline.bash(script("sendroute-note"))
    last = pipeline.of("asked").splitlines()[-1]
    assert f"{asked} " in f"{last} "
    assert "a-token" not in pipeline.of("asked")
    assert "PRIVATE-TOKEN: a-token" in pipeline.of("config")
    assert pipeline.of("body").startswith(f"{MARKER}\n")
