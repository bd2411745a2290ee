"""What a checkout lacks is reported however a walk comes to the checkout: it is given, a link leads
to it, or it is below another one. In real repositories."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.git.test_worktree import git

from sendroute.git import index
from sendroute.manifests.sources import FileSource

SUBMODULE = "a submodule that is not checked out"
UNFINISHED = "git did not finish"
SPARSE = "left out by a sparse checkout"
LINK = "a symbolic link that git checked out as a file"
UNKNOWN = "git's index cannot be read"
NO_REPOSITORY = "its .git leads to no repository"
ALLOWED = ("-c", "protocol.file.allow=always")


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository with ``m``, what its links lead to in ``shared``, and a submodule there."""
    inner = tmp_path / "inner"
    put(inner / "deep/d.yaml", inner / "i.yaml")
    commit(inner)
    origin = tmp_path / "origin"
    put(origin / "m/a.yaml", origin / "shared/s.yaml", origin / "shared/deep/d.yaml")
    git(tmp_path, "init", "-q", "-b", "main", str(origin))
    git(origin, *ALLOWED, "submodule", "add", "-q", f"file://{inner}", "shared/sub")
    commit(origin)
    return origin


@pytest.fixture
def clone(origin: Path) -> Callable[[str], Path]:
    """Clones the repository, without its submodule."""

    def clone(name: str, *options: str) -> Path:
        git(Path(), "clone", "-q", *options, f"file://{origin}", name)
        return Path(name)

    return clone


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a: 1\n")


def commit(repository: Path) -> None:
    git(repository, "init", "-q", "-b", "main")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "all")


def leave_out_deep(repository: Path) -> None:
    git(repository, "sparse-checkout", "set", "--no-cone", "/*", "!/shared/deep/")


def missing(*paths: str) -> list[tuple[str, str]]:
    """The paths that are reported, with the reason."""
    _, findings = FileSource(paths).entries()
    assert all(
        item.code == "unreadable" and "nothing is removed" in str(item.hint) for item in findings
    )
    reasons = (SUBMODULE, UNFINISHED, SPARSE, LINK, UNKNOWN, NO_REPOSITORY)
    return [
        (item.where.file, next(reason for reason in reasons if reason in item.message))
        for item in findings
        if item.where
    ]


Clone = Callable[..., Path]


class TestLinksOutOfTheTree:
    def test_a_submodule_and_a_sparse_path_of_the_same_repository(self, clone: Clone) -> None:
        repository = clone("r")
        (repository / "m/link").symlink_to("../shared")
        assert missing("r/m") == [("r/m/link/sub", SUBMODULE)]
        leave_out_deep(repository)
        assert missing("r/m") == [("r/m/link/deep", SPARSE), ("r/m/link/sub", SUBMODULE)]
        git(repository, *ALLOWED, "submodule", "update", "-q", "--init")
        git(repository, "sparse-checkout", "disable")
        assert missing("r/m") == []

    def test_a_link_that_git_wrote_as_a_file(self, clone: Clone) -> None:
        repository = clone("r")
        (repository / "shared/l.yaml").symlink_to("s.yaml")
        git(repository, "add", "-A")
        (repository / "shared/l.yaml").unlink()
        (repository / "shared/l.yaml").write_text("s.yaml")
        (repository / "m/link").symlink_to("../shared")
        assert missing("r/m") == [("r/m/link/l.yaml", LINK), ("r/m/link/sub", SUBMODULE)]

    @pytest.mark.parametrize("options", [[], ["--filter=blob:none"], ["--depth=1"]])
    def test_another_repository(self, clone: Clone, options: list[str]) -> None:
        leave_out_deep(clone("other", *options))
        put(Path("m/a.yaml"))
        Path("m/link").symlink_to("../other/shared")
        expected = [("m/link/deep", SPARSE), ("m/link/sub", SUBMODULE)]
        assert missing("m") == expected
        clone("r")
        Path("r/m/link").symlink_to(Path("other/shared").absolute())
        assert missing("r/m") == [(f"r/{path}", reason) for path, reason in expected]

    def test_a_chain_of_links(self, clone: Clone) -> None:
        leave_out_deep(clone("other"))
        put(Path("m/a.yaml"), Path("between/b.yaml"))
        Path("m/link").symlink_to("../first")
        Path("first").symlink_to("between")
        Path("between/second").symlink_to("../third")
        Path("third").symlink_to("other/shared")
        expected = [("m/link/second/deep", SPARSE), ("m/link/second/sub", SUBMODULE)]
        assert missing("m") == expected

    def test_a_hidden_directory_of_the_tree(self, clone: Clone) -> None:
        put(Path("m/a.yaml"))
        leave_out_deep(clone("m/.store"))
        Path("m/link").symlink_to(".store/shared")
        assert missing("m") == [("m/link/deep", SPARSE), ("m/link/sub", SUBMODULE)]

    @pytest.mark.parametrize(
        "hidden", [".base", "..base", "d/.base", "d/..base", ".base/..base", "..base/.base"]
    )
    @pytest.mark.parametrize("where", ["the same repository", "a clone"])
    def test_what_a_link_leads_to_in_a_hidden_directory(
        self, clone: Clone, hidden: str, where: str
    ) -> None:
        top = clone("r") if where == "the same repository" else Path("r")
        directory = top / "m" / hidden / "team"
        if where == "a clone":
            leave_out_deep(clone(str(directory)))
            directory /= "shared"
        else:
            put(directory / "a.yaml", directory / "deep/d.yaml")
            git(top, "add", "-A")
            git(top, "commit", "-qm", "hidden")
            git(top, "sparse-checkout", "set", "--no-cone", "/*", "!/m/**/deep/")
        (top / "m/link").symlink_to(directory.relative_to(top / "m"))
        assert ("r/m/link/deep", SPARSE) in missing("r/m")

    def test_another_given_path(self, clone: Clone) -> None:
        repository = clone("r")
        leave_out_deep(repository)
        (repository / "m/link").symlink_to("../shared")
        expected = [("r/m/link/deep", SPARSE), ("r/m/link/sub", SUBMODULE)]
        assert missing("r/m", "r/shared") == expected

    def test_a_single_file_lacks_nothing(self, clone: Clone) -> None:
        repository = clone("r")
        leave_out_deep(repository)
        (repository / "m/link.yaml").symlink_to("../shared/s.yaml")
        assert missing("r/m", "r/shared/s.yaml") == []

    def test_what_several_links_and_paths_lead_to_is_reported_once(self, clone: Clone) -> None:
        repository = clone("r")
        for name in ("one", "two"):
            (repository / "m" / name).symlink_to("../shared")
        (repository / "m/three").symlink_to("../shared/sub")
        assert missing("r/m") == [("r/m/one/sub", SUBMODULE)]
        both = (str(repository.absolute()), "r/shared", "r/shared/sub", "r/m")
        assert missing(*both) == [(str(repository.absolute() / "shared/sub"), SUBMODULE)]

    def test_the_index_is_read_once(self, clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
        leave_out_deep(clone("other"))
        reads: list[index.Repository] = []
        read = index.entries_to_check
        monkeypatch.setattr(
            index, "entries_to_check", lambda asked: (reads.append(asked), read(asked))[1]
        )
        for number in range(20):
            put(Path(f"other/s{number}/s.yaml"))
            put(Path(f"m/d{number}/a.yaml"))
            Path(f"m/d{number}/link").symlink_to(f"../../other/s{number}")
        Path("m/shared").symlink_to("../other/shared")
        assert missing("m") == [("m/shared/deep", SPARSE), ("m/shared/sub", SUBMODULE)]
        assert len(reads) == 1


class TestCheckoutsBelow:
    @pytest.mark.parametrize("outer", ["a repository", "no repository"])
    def test_a_clone_lacks_what_it_lacks(self, clone: Clone, outer: str) -> None:
        top = clone("r") if outer == "a repository" else Path("r")
        nested = clone(str(top / "m/deep/nested"))
        expected = ("r/m/deep/nested/shared/sub", SUBMODULE)
        assert missing("r/m") == [expected]
        leave_out_deep(nested)
        deep = ("r/m/deep/nested/shared/deep", SPARSE)
        assert missing("r/m") == [deep, expected]
        assert missing("r/m/deep/nested/shared") == [deep, expected]
        leave_out_deep(clone(str(nested / "shared/again")))
        assert len(missing("r/m")) == 4

    def test_a_clone_in_a_directory_that_a_link_leads_to(self, clone: Clone) -> None:
        put(Path("m/a.yaml"), Path("outside/b.yaml"))
        leave_out_deep(clone("outside/nested"))
        Path("m/link").symlink_to("../outside")
        expected = [("m/link/nested/shared/deep", SPARSE), ("m/link/nested/shared/sub", SUBMODULE)]
        assert missing("m") == expected

    def test_a_worktree_and_a_repository_with_its_git_directory_elsewhere(
        self, clone: Clone
    ) -> None:
        clone("r")
        git(Path("r"), "worktree", "add", "-q", "-b", "side", "m/side")
        leave_out_deep(Path("r/m/side"))
        expected = [("shared/deep", SPARSE), ("shared/sub", SUBMODULE)]
        assert missing("r/m") == [(f"r/m/side/{path}", reason) for path, reason in expected]
        leave_out_deep(clone("m/apart", "--separate-git-dir=apart.git"))
        assert missing("m") == [(f"m/apart/{path}", reason) for path, reason in expected]

    def test_a_submodule_in_a_submodule(self, clone: Clone, origin: Path) -> None:
        git(origin, *ALLOWED, "submodule", "add", "-q", f"file://{origin}", "m/sub")
        git(origin, "commit", "-qm", "sub")
        repository = clone("r")
        assert missing("r/m") == [("r/m/sub", SUBMODULE)]
        git(repository, *ALLOWED, "submodule", "update", "-q", "--init", "m/sub")
        assert missing("r/m", "r/m/sub") == [("r/m/sub/shared/sub", SUBMODULE)]
        git(repository, *ALLOWED, "submodule", "update", "-q", "--init", "--recursive")
        assert missing("r") == []
        leave_out_deep(repository / "m/sub")
        assert missing("r") == [("r/m/sub/shared/deep", SPARSE)]

    def test_a_submodule_without_an_index_is_reported_once(self, clone: Clone) -> None:
        repository = clone("r")
        git(repository, *ALLOWED, "submodule", "update", "-q", "--init")
        (repository / ".git/modules/shared/sub/index").unlink()
        assert missing("r") == [("r/shared/sub", SUBMODULE)]
        assert missing("r/shared/sub") == [("r/shared/sub", UNFINISHED)]

    def test_a_repository_without_an_index_was_not_checked_out(self, clone: Clone) -> None:
        clone("m/r", "--no-checkout")
        assert missing("m") == [("m/r", UNFINISHED)]

    @pytest.mark.parametrize("name", [".git", ".DS_Store"])
    def test_a_submodule_that_holds_only_what_is_hidden_is_not_checked_out(
        self, clone: Clone, name: str
    ) -> None:
        repository = clone("r")
        (repository / "shared/sub" / name).write_text("gitdir: ../../gone\n")
        assert missing("r") == [("r/shared/sub", SUBMODULE)]

    @pytest.mark.parametrize("given", ["r", "r/m", "up"])
    def test_a_git_file_that_leads_nowhere_may_hide_anything(
        self, clone: Clone, given: str
    ) -> None:
        """Such as a worktree in a container that has only its files."""
        git(clone("main"), "worktree", "add", "-q", "-b", "side", "../up/r")
        shutil.rmtree("main")
        Path("r").symlink_to("up/r")
        shown = "up/r" if given == "up" else given
        assert missing(given) == [(shown, NO_REPOSITORY)]
        Path("r/.git").unlink()
        assert missing(given) == []

    @pytest.mark.parametrize("lost", ["", "HEAD", "objects", "refs"])
    @pytest.mark.parametrize("above", ["a repository", "no repository"])
    def test_a_git_directory_that_is_no_repository_may_hide_anything(
        self, clone: Clone, above: str, lost: str
    ) -> None:
        """Damaged, or an empty mount. git passes over it."""
        outer = clone("outer") if above == "a repository" else Path("outer")
        leave_out_deep(clone("outer/m/r"))
        damaged = outer / "m/r/.git" / lost
        shutil.rmtree(damaged) if damaged.is_dir() else damaged.unlink()
        damaged.parent.mkdir(exist_ok=True)
        if not lost:
            damaged.mkdir()
        assert missing("outer/m/r/shared") == [("outer/m/r/shared", NO_REPOSITORY)]
        assert missing("outer/m") == [("outer/m/r", NO_REPOSITORY)]

    def test_a_directory_left_out_whole_is_unknown_also_if_a_file_remained_in_it(
        self, clone: Clone
    ) -> None:
        repository = clone("r")
        git(repository, *ALLOWED, "submodule", "update", "-q", "--init")
        git(repository, "sparse-checkout", "set", "--cone", "--sparse-index", "m")
        assert missing("r/shared") == [("r/shared/deep", SPARSE), ("r/shared/s.yaml", SPARSE)]
        put(repository / "shared/deep/rest.yaml")
        assert missing("r/shared") == [("r/shared/deep", SPARSE), ("r/shared/s.yaml", SPARSE)]
        assert missing("r/shared/deep") == [("r/shared/deep", SPARSE)]

    def test_a_broken_index_is_reported_once(self, clone: Clone) -> None:
        put(Path("m/a.yaml"))
        (clone("m/r") / ".git/index").write_bytes(b"DIRC")
        assert missing("m", "m/r/shared") == [("m/r", UNKNOWN)]
