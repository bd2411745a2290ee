"""Facts from git: which commit a tree is at, and what it was at another revision.

Git is asked by its own program; nothing here writes into a work tree, an index or a ref.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError

# Inside a hook git sets these for its own repository, which need not be the tree's.
_OF_ANOTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
_MANIFESTS = (":(glob)**/*.yaml", ":(glob)**/*.yml", ":(glob)**/*.json")


def commit_of(paths: Sequence[str]) -> str | None:
    """The commit that the first tree under git is at, ``-dirty`` where a manifest of any of them
    has changes that are not committed; None where git knows none of them."""
    trees = [_place(path) for path in paths if path != "-"]
    for folder, _ in trees:
        head = _ask(folder, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if head is not None:
            dirty = any(
                _ask(folder, "status", "--porcelain", "-z", "--", *specs) for folder, specs in trees
            )
            return head.decode().strip() + ("-dirty" if dirty else "")
    return None


@contextmanager
def tree_at(revision: str, paths: Sequence[str]) -> Iterator[list[str]]:
    """The same paths as they were at ``revision``, in a temporary folder; those that were not
    there then are left out.

    Files come out as a checkout would write them (links, filters and line endings included).
    Raises :class:`ProblemError` with an ``unreadable`` where git cannot tell.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="sendroute-base-") as room:
        places = [
            _checked_out(revision, path, Path(room, str(number)))
            for number, path in enumerate(paths)
        ]
        yield [str(place) for place in places if os.path.lexists(place)]


def _checked_out(revision: str, path: str, room: Path) -> Path:
    folder, _ = _place(path)
    top = _ask(folder, "rev-parse", "--show-toplevel")
    if top is None:
        raise _unreadable(revision, path, "it is not in a git repository")
    tree = _ask(
        folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{tree}}"
    )
    if tree is None:
        raise _unreadable(revision, path, "its repository knows no such revision")
    root = os.fsdecode(top.rstrip(b"\n"))
    inside = os.path.relpath(os.path.realpath(path), os.path.realpath(root))
    room.mkdir(mode=0o700)
    if not _written_out(root, tree.decode().strip(), inside, room):
        raise _unreadable(revision, path, "git could not write it out")
    return room / "tree" / inside


def _written_out(root: str, tree: str, inside: str, room: Path) -> bool:
    """Through an index of its own, so that neither the repository's index nor a work tree is
    touched; see git-checkout-index(1), ``--prefix``."""
    index = {"GIT_INDEX_FILE": str(room / "index")}
    if _ask(root, "read-tree", tree, more=index) is None:
        return False
    place = ":/" if inside == "." else f":(literal,top){inside}"
    listed = _ask(root, "ls-files", "-z", "--", place, more=index)
    prefix = f"--prefix={room / 'tree'}/"
    return listed is not None and (
        _ask(root, "checkout-index", "-z", "--stdin", prefix, more=index, text=listed) is not None
    )


def _place(path: str) -> tuple[str, tuple[str, ...]]:
    """A folder to ask git in, and what of it the path means, as git's pathspecs."""
    real = Path(os.path.realpath(path))
    if real.is_dir():
        return str(real), _MANIFESTS
    return str(real.parent), (f":(literal){real.name}",)


def _ask(
    folder: str, *words: str, more: dict[str, str] | None = None, text: bytes | None = None
) -> bytes | None:
    """What git answers, None where it fails or is not installed."""
    environment = {k: v for k, v in os.environ.items() if k not in _OF_ANOTHER_REPOSITORY}
    # A question must not take the index's lock from a person at work, nor ask for a password.
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", **(more or {})}
    try:
        done = subprocess.run(
            ["git", "-C", folder, *words],
            env=environment,
            input=text if text is not None else b"",
            capture_output=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def _unreadable(revision: str, path: str, why: str) -> ProblemError:
    return ProblemError(
        finding(
            "unreadable",
            f"`{path}` at the revision `{revision}` could not be read: {why}.",
            hint="Give --base a revision of the repository that holds the manifests, and fetch it "
            "first where the clone is shallow.",
        )
    )
