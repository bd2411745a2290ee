"""Trees of a git revision, and the cache of files that git reports as unmodified."""

import os
import subprocess
from pathlib import Path

import pytest

from sendroute.git import process
from sendroute.manifests import cache as caches
from sendroute.manifests.cache import GitCache
from sendroute.manifests.compile import compile_reading
from sendroute.manifests.read import TreeReading
from sendroute.manifests.revision import RevisionSource
from sendroute.manifests.sources import FileSource, ManifestSource
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import GitTask, UseGit

DOMAIN = """\
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: NAME, namespace: acme}
spec: {account: acme, domain: NAME.example.com}
"""


def git(*arguments: str) -> str:
    named = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *named, *arguments], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout


def domain(name: str) -> str:
    return DOMAIN.replace("NAME", name)


def put(*paths: str, text: str = DOMAIN) -> None:
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("NAME", path.stem))


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)  # a hook that runs the tests sets some
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(caches, "WORTHWHILE", 1)
    root = tmp_path / "repository"
    root.mkdir()
    monkeypatch.chdir(root)
    git("init", "-q", "-b", "main")
    return root


def commit() -> None:
    git("add", "-A")
    git("commit", "-q", "-m", "x")


def domains(source: ManifestSource, cache: GitCache | None = None) -> list[str]:
    """The content of each file; without a given cache, with an empty cache that is not written."""
    reading = TreeReading(source)
    contents = reading.contents(cache or GitCache([]))
    documents = [f"{entry.name} {row}" for entry, content in contents for row in content.in_order()]
    findings = [*reading.findings, *reading.advice]
    codes = [f"{f.where.file} {f.code} {f.where.document}" for f in findings if f.where]
    return [*documents, *codes, f"{not reading.unread} {reading.foreign} {sorted(reading.stopped)}"]


def names(source: ManifestSource) -> list[str]:
    entries, _ = source.entries()
    return [entry.name for entry in entries]


def test_a_manifest_with_an_ending_in_capitals_is_read_from_a_revision(repository: Path) -> None:
    assert repository.is_dir()
    for name in ("t/a.YAML", "t/b.Yml", "t/c.JSON", "t/d.TXT"):
        put(name)
    Path("t/e.YAML").symlink_to("d.TXT")
    commit()
    assert names(RevisionSource("HEAD", ["t"])) == [
        f"HEAD:t/{name}" for name in ("a.YAML", "b.Yml", "c.JSON", "d.TXT")
    ]


def test_a_revision_is_read_as_it_was(repository: Path) -> None:
    put("t/a.yaml")
    put("t/s/b.yml")
    put("t/.c.yaml")
    put("t/d.txt")
    put("e.yaml")
    commit()
    put("t/a.yaml", text="broken: [")
    put("t/new.yaml")
    assert names(RevisionSource("HEAD", ["t"])) == ["HEAD:t/a.yaml", "HEAD:t/s/b.yml"]
    assert names(RevisionSource("main", ["t/d.txt", "e.yaml", "nope", "-"])) == [
        "main:e.yaml",
        "main:t/d.txt",
    ]
    tree = RevisionSource("HEAD", [str(repository)])
    entries, _ = tree.entries()
    assert [entry.name for entry in entries] == ["HEAD:e.yaml", "HEAD:t/a.yaml", "HEAD:t/s/b.yml"]
    assert list(tree.load(entries)) == [domain(name).encode() for name in "eab"]
    assert list(tree.again(["HEAD:t/a.yaml"])) == [("HEAD:t/a.yaml", domain("a").encode())]


def test_a_revision_is_read_from_a_subdirectory(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("t/s/a.yaml")
    put("t/b.yaml")
    commit()
    monkeypatch.chdir(repository / "t" / "s")
    assert names(RevisionSource("HEAD", ["."])) == ["HEAD:t/s/a.yaml"]
    assert names(RevisionSource("HEAD", [".."])) == ["HEAD:t/b.yaml", "HEAD:t/s/a.yaml"]


def test_a_link_into_the_repository_is_resolved(tmp_path: Path) -> None:
    put("tenants/acme/a.yaml")
    commit()
    (tmp_path / "link").symlink_to("repository/tenants")
    assert names(RevisionSource("HEAD", ["../link"])) == ["HEAD:tenants/acme/a.yaml"]


def test_variables_of_a_git_hook_do_not_change_the_repository(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put("tenants/acme/a.yaml")
    commit()
    monkeypatch.setenv("GIT_DIR", ".git")
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/next-index-1.lock")
    assert names(RevisionSource("HEAD", ["tenants"])) == ["HEAD:tenants/acme/a.yaml"]


def test_links_within_a_revision_are_followed_and_others_reported() -> None:
    put("t/real.yaml")
    put("other/inner.yaml")
    Path("t/link.yaml").symlink_to("real.yaml")
    Path("t/directory").symlink_to("../other")
    Path("t/loop").symlink_to("..")
    Path("t/self.yaml").symlink_to("self.yaml")
    Path("t/out.yaml").symlink_to("/etc/passwd")
    Path("t/gone").symlink_to("nowhere")
    Path("t/s").mkdir()
    Path("t/s/up").symlink_to("..")
    Path("t/z").symlink_to("s")
    put("t/s/b.yaml")
    commit()
    tree = RevisionSource("HEAD", ["t"])
    entries, findings = tree.entries()
    assert [entry.name for entry in entries] == [
        "HEAD:other/inner.yaml",
        "HEAD:t/real.yaml",
        "HEAD:t/s/b.yaml",
    ]
    assert [finding.where.file for finding in findings if finding.where] == [
        "HEAD:t/gone",
        "HEAD:t/loop",
        "HEAD:t/out.yaml",
        "HEAD:t/self.yaml",
    ]


def test_a_revision_is_not_waited_for_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    put("t/a.yaml")
    commit()
    tree = RevisionSource("HEAD", ["t"])
    entries, _ = tree.entries()
    blob = git("rev-parse", ":t/a.yaml").strip()
    loose_object = Path(".git/objects", blob[:2], blob[2:])
    loose_object.unlink()
    os.mkfifo(loose_object)
    monkeypatch.setattr(process, "_ANSWER_SECONDS", 0.5)
    with pytest.raises(ProblemError, match="HEAD: git did not answer within 5 minutes"):
        list(tree.load(entries))


def test_a_command_of_a_hint_is_for_the_repository_of_the_revision(repository: Path) -> None:
    put("t/a.yaml")
    commit()
    with pytest.raises(ProblemError) as unknown:
        RevisionSource("nowhere", ["t"])
    tree = RevisionSource("HEAD", ["t"])
    listed = git("rev-parse", "HEAD^{tree}").strip()
    Path(".git/objects", listed[:2], listed[2:]).unlink()
    with pytest.raises(ProblemError) as damaged:
        tree.entries()
    for caught, task in ((unknown, GitTask.FETCH_HISTORY), (damaged, GitTask.CHECK_REPOSITORY)):
        (finding,) = caught.value.findings
        assert finding.remedy == UseGit(task, None, str(repository))


@pytest.mark.parametrize("given", ["t", "t/sub.yaml", "t/sub.yaml/deep", "."])
def test_a_submodule_of_a_revision_is_reported(given: str) -> None:
    put("t/a.yaml")
    put("u/b.yaml")
    commit()
    head = git("rev-parse", "HEAD").strip()
    git("update-index", "--add", "--cacheinfo", f"160000,{head},t/sub.yaml")
    git("commit", "-q", "-m", "x")
    _, findings = RevisionSource("HEAD", [given]).entries()
    assert [(f.code, f.where and f.where.file) for f in findings] == [
        ("unreadable", "HEAD:t/sub.yaml")
    ]
    assert RevisionSource("HEAD", ["u"]).entries()[1] == []


@pytest.mark.parametrize("revision", ["nope", "--all", "", "HEAD:t", "\x1b[31m"])
def test_an_unknown_revision_is_refused(revision: str) -> None:
    put("t/a.yaml")
    commit()
    with pytest.raises(ProblemError) as refused:
        RevisionSource(revision, ["t"])
    (finding,) = refused.value.findings
    assert finding.code == "invalid-value"
    assert finding.hint
    assert finding.message.isprintable()


def test_a_directory_without_a_repository_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProblemError, match="no git repository"):
        RevisionSource("HEAD", ["."])


def test_a_large_revision_never_blocks() -> None:
    for number in range(300):
        put(f"t/d{number}.yaml", text=domain(f"d{number}") + "# filling\n" * 2_000)
    commit()
    assert len(domains(RevisionSource("HEAD", ["t"]))) == 301


# --- the cache ----------------------------------------------------------------------------------


def test_a_second_run_reads_unmodified_files_from_the_cache() -> None:
    put("t/a.yaml")
    put("t/b.yaml")
    put("t/c.yaml", text="kind: ConfigMap\n")
    secret = "apiVersion: v1\nkind: Secret\nstringData: {a: b}\n"
    put("t/d.yaml", text=f"kind: ConfigMap\n---\n{secret}")
    commit()
    cold = domains(FileSource(["t"]))
    assert "t/d.yaml secret-in-manifests 1" in cold
    assert domains(FileSource(["t"]), GitCache(["t"])) == cold
    tree = _RecordingFiles(["t"])
    assert domains(tree, GitCache(["t"])) == cold
    assert tree.read == []
    again = _RecordingFiles(["."])
    assert len(domains(again, GitCache(["."]))) == 4
    assert again.read == []


class _RecordingFiles(FileSource):
    """Files that record which files were read."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__(paths)
        self.read: list[str] = []

    def load(self, entries):  # type: ignore[no-untyped-def]
        self.read = [entry.name for entry in entries]
        return super().load(entries)


def test_modified_files_are_read_again() -> None:
    fresh = ["assumed", "dirty", "filtered", "skipped", "staged"]
    for name in ["clean", "gone", "linked", *fresh]:
        put(f"t/{name}.yaml")
    put(".gitattributes", text="t/filtered.yaml filter=anything\n")
    Path("t/link.yaml").symlink_to("../outside.yaml")
    put("outside.yaml")
    commit()
    domains(FileSource(["t"]), GitCache(["t"]))
    git("update-index", "--assume-unchanged", "t/assumed.yaml")
    git("update-index", "--skip-worktree", "t/skipped.yaml")
    for name in fresh:
        put(f"t/{name}.yaml", text=domain(f"{name}-new"))
    put("outside.yaml", text=domain("outside-new"))
    git("add", "t/staged.yaml")
    put("t/untracked.yaml")
    Path("t/gone.yaml").unlink()
    Path("t/linked.yaml").unlink(), Path("t/linked.yaml").symlink_to("../outside.yaml")
    tree = _RecordingFiles(["t"])
    assert domains(tree, GitCache(["t"])) == domains(FileSource(["t"]))
    assert tree.read == [
        f"t/{name}.yaml"
        for name in ("assumed", "dirty", "filtered", "link", "skipped", "staged", "untracked")
    ]


def test_a_git_setting_that_skips_checks_does_not_hide_an_edit() -> None:
    put("t/a.yaml")
    commit()
    os.utime("t/a.yaml", (1_700_000_000, 1_700_000_000))
    git("update-index", "--refresh")  # the index is newer than the file, so git trusts the times
    git("config", "core.checkStat", "minimal")
    git("config", "core.trustctime", "false")
    domains(FileSource(["t"]), GitCache(["t"]))
    put("t/b", text=domain("b"))
    os.utime("t/b", (1_700_000_000, 1_700_000_000))
    Path("t/b").replace("t/a.yaml")  # another file: only the inode differs
    assert git("status", "--porcelain") == ""
    assert domains(FileSource(["t"]), GitCache(["t"])) == domains(FileSource(["t"]))


def test_problems_of_a_file_are_reported_in_every_run() -> None:
    put("t/a.yaml")
    put("t/bad.yaml", text=domain("x").replace("domain:", "domian:"))
    put("t/broken.yaml", text="a: [")
    commit()
    cold = domains(FileSource(["t"]))
    assert domains(FileSource(["t"]), GitCache(["t"])) == cold
    assert domains(FileSource(["t"]), GitCache(["t"])) == cold


def cached(repository: Path) -> Path:
    (file,) = (repository.parent / "cache" / "sendroute").iterdir()
    return file


def test_the_cache_is_private_and_holds_only_files_of_the_last_run(
    repository: Path,
) -> None:
    put("t/a.yaml")
    put("t/b.yaml")
    commit()
    domains(FileSource(["t"]), GitCache(["t"]))
    size = cached(repository).stat().st_size
    assert cached(repository).stat().st_mode & 0o777 == 0o600
    git("rm", "-q", "t/b.yaml")
    domains(FileSource(["t"]), GitCache(["t"]))
    assert cached(repository).stat().st_size < size


def test_the_cache_is_not_rewritten_after_a_few_edits(repository: Path) -> None:
    for number in range(2 * caches.STALE):
        put(f"t/d{number}.yaml")
    commit()
    domains(FileSource(["t"]), GitCache(["t"]))
    whole = cached(repository).read_bytes()
    put("t/d0.yaml", text="kind: ConfigMap\n")
    domains(FileSource(["t"]), GitCache(["t"]))
    assert cached(repository).read_bytes() == whole
    commit()
    tree = _RecordingFiles(["t"])
    domains(tree, GitCache(["t"]))
    assert (tree.read, cached(repository).read_bytes() == whole) == (["t/d0.yaml"], True)


@pytest.mark.parametrize("content", [b"", b"\xc1", b"\x82\xa6reader\xa1x\xa6parsed\x80", b"\x90"])
def test_a_damaged_cache_is_ignored(repository: Path, content: bytes) -> None:
    put("t/a.yaml")
    commit()
    cold = domains(FileSource(["t"]), GitCache(["t"]))
    cached(repository).write_bytes(content)
    assert domains(FileSource(["t"]), GitCache(["t"])) == cold
    assert cached(repository).read_bytes() != content


EVERYTHING = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec: {plans: [{name: nano, managed: false}]}
---
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {name: acme, namespace: acme}
spec: {plan: nano, defaultRoute: {unconfigured: {}}}
---
apiVersion: v1
kind: ConfigMap
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: a, namespace: acme}
spec:
  account: acme
  domain: a.example.com
  route:
    newProfile:
      name: ses
      host: 192.0.2.25
      port: 587
      encryption: starttls
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: a, namespace: acme}
spec: {account: acme, domain: twice.example.com}
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: b, namespace: acme}
spec: {account: acme, domain: B.Example.com, route: {profile: ses}, suspend: true}
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: c}
spec: {account: acme, domain: c.example.com, route: {managed: {}}}
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: d, namespace: acme, labels: {a: b}}
spec: {account: acme, domain: b.example.com, route: {unconfigured: {}}}
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: e, namespace: acme}
spec: {account: acme, domain: bücher.example, route: {profile: ses}}
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: f, namespace: acme}
spec: {account: acme, domain: 192.0.2.1}
"""


def test_reading_from_the_cache_gives_the_same_desired_state_and_findings() -> None:
    put("t/everything.yaml", text=EVERYTHING)
    put("t/a.yaml")
    put("t/b.yaml", "t/c.yaml", text=domain("same"))
    commit()
    cold = compile_reading(TreeReading(FileSource(["t"])))
    codes = {"domain-conflict", "duplicate-object", "invalid-value"}
    assert {finding.code for finding in cold.findings} == codes
    for read in (["t/a.yaml", "t/b.yaml", "t/c.yaml", "t/everything.yaml"], []):
        tree = _RecordingFiles(["t"])
        assert compile_reading(TreeReading(tree), cache=GitCache(["t"])) == cold
        assert tree.read == read


@pytest.mark.parametrize("change", ["cut off", "bit", "longer"])
def test_damage_that_still_decodes_is_detected(repository: Path, change: str) -> None:
    put("t/a.yaml")
    commit()
    cold = domains(FileSource(["t"]), GitCache(["t"]))
    whole = cached(repository).read_bytes()
    damaged = {
        "cut off": whole[:-1],
        "bit": whole.replace(b"a.example.com", b"b.example.com"),
        "longer": whole + b"\0",
    }[change]
    assert damaged != whole
    cached(repository).write_bytes(damaged)
    tree = _RecordingFiles(["t"])
    assert domains(tree, GitCache(["t"])) == cold
    assert tree.read == ["t/a.yaml"]
    assert cached(repository).read_bytes() == whole


@pytest.mark.parametrize("case", ["another's", "writable", "link", "pipe", "large"])
def test_a_cache_that_another_user_can_write_is_not_read(
    repository: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    put("t/a.yaml")
    commit()
    cold = domains(FileSource(["t"]), GitCache(["t"]))
    file = cached(repository)
    match case:
        case "another's":
            monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
        case "writable":
            file.chmod(0o660)
        case "link":
            file.rename(repository / "elsewhere")
            file.symlink_to(repository / "elsewhere")
        case "pipe":
            file.unlink()
            os.mkfifo(file)
        case "large":
            monkeypatch.setattr(caches, "LARGEST", 10)
    tree = _RecordingFiles(["t"])
    assert domains(tree, GitCache(["t"])) == cold
    assert tree.read == ["t/a.yaml"]


def test_a_cache_that_cannot_be_written_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    put("t/a.yaml")
    commit()
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert domains(FileSource(["t"]), GitCache(["t"])) == domains(FileSource(["t"]))


def test_a_change_of_the_reader_invalidates_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    put("t/a.yaml")
    commit()
    domains(FileSource(["t"]), GitCache(["t"]))
    monkeypatch.setattr(caches, "_reader", lambda: "another")
    tree = _RecordingFiles(["t"])
    domains(tree, GitCache(["t"]))
    assert tree.read == ["t/a.yaml"]


def test_only_the_caches_of_the_latest_repositories_are_kept(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches, "REPOSITORIES", 2)
    put("t/a.yaml")
    commit()
    directory = repository.parent / "cache" / "sendroute"
    directory.mkdir(parents=True)
    for age, name in enumerate(["manifests-newer", "manifests-older", "no-cache-of-ours"]):
        (directory / name).touch()
        os.utime(directory / name, (1_700_000_000 - age, 1_700_000_000 - age))
    domains(FileSource(["t"]), GitCache(["t"]))
    names = {file.name for file in directory.iterdir()}
    assert len(names) == 3
    assert {"manifests-newer", "no-cache-of-ours"} < names
    tree = _RecordingFiles(["t"])
    domains(tree, GitCache(["t"]))
    assert tree.read == []


def test_outside_a_repository_there_is_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    put("t/a.yaml")
    assert domains(FileSource(["t"]), GitCache(["t", "nope", "-"])) == domains(FileSource(["t"]))
