"""Remedies: only a front end names commands and options for its users.

A finding carries its remedy as data (model/remedy.py); the terminal words it (cli/hints.py).
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "operator/sendroute"
COMMANDS = "|".join(
    sorted(path.stem for path in (PACKAGE / "cli/commands").iterdir() if path.stem[0] != "_")
)
MODULES = sorted(
    path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "cli"
)

# An option in a text. Not a custom property of CSS (`--red: #b3261e`, `var(--red)`).
OPTION = re.compile(r"(?<![\w(-])--[a-z][a-z-]*\b(?!: #)|(?<![\w(-])-[a-zA-Z] \w+")
COMMAND = re.compile(
    rf"\bsendroute (?:{COMMANDS})\b|`(?:{COMMANDS})(?: [^`]*)?`"
    # A command as the subject of a sentence. A library and the loop have no commands.
    r"|\b(?:next|first|last) apply\b"
    r"|\b(?:[Aa]pply|[Ss]ync) (?:will|would|does|keeps|saves|tries|tests|refuses)\b"
    r"|\b[Rr]un the command\b"
    # A command of another program, which only a user at a terminal can run.
    r"|\bgit (?:-C \S+ )?(?:add|annex|bisect|branch|checkout|clone|commit|config|diff|fetch|fsck|gc"
    r"|init|lfs|log|ls-remote|ls-tree|merge|mv|pull|push|rebase|reset|restore|revert|rm"
    r"|sparse-checkout|stash|status|submodule|switch|tag|verify-commit|worktree)\b"
    r"|\bapt(?:-get)? install\b|\bkubectl (?:apply|create|delete|edit|get|patch)\b"
    r"|\bpostfix (?:reload|start|stop)\b"
    r"|\b(?:systemctl|chmod|chown|mkdir|openssl|postmap|postconf) [a-z0-9-]+"
)


def parents(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The texts of a module, without its docstrings and the arguments of git.

    The arguments of git are single words in a list or a tuple, or arguments of a call.
    """
    above = parents(tree)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            continue
        outer = above[node]
        if isinstance(outer, ast.JoinedStr):
            outer = above[outer]
        if isinstance(outer, ast.Expr):
            continue
        is_word = node.value.startswith("--") and not re.search(r"\s", node.value)
        if is_word and isinstance(outer, ast.List | ast.Tuple | ast.Call):
            continue
        yield node.lineno, node.value


def named(text: str) -> list[str]:
    return COMMAND.findall(text) + OPTION.findall(COMMAND.sub("", text))


def test_no_text_below_the_front_ends_names_a_command_or_an_option() -> None:
    hits = [
        f"{path.relative_to(PACKAGE)}:{line}: {', '.join(names)}"
        for path in MODULES
        for line, text in texts(ast.parse(path.read_text("utf-8")))
        if (names := named(text))
    ]
    assert not hits, "carry a remedy instead, and word it in cli/hints.py"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ('hint("Apply with --max-change-percent 42.")', ["--max-change-percent"]),
        ('hint(f"Apply with {x} --max-change-percent 42.")', ["--max-change-percent"]),
        ('hint = "--store"', ["--store"]),
        ('hint("Make one: sendroute init")', ["sendroute init"]),
        ('hint("Look at `plan --out FILE`.")', ["`plan --out FILE`"]),
        ('line = "3 more; -o json lists all"', ["-o json"]),
        ('hint("The next apply tries again.")', ["next apply"]),
        ('hint("It differs, so sync keeps it.")', ["sync keeps"]),
        ('hint("Sendroute applies the change.")', []),
        ('"""A docstring may name --store."""', []),
        ('run(["git", "--quiet", f"--git-dir={path}"])', []),
        ('hint("Sign it: git commit --amend -S")', ["git commit", "--amend"]),
        ('hint("Look there: git -C x status")', ["git -C x status"]),
        ('hint("Install it: apt-get install git.")', ["apt-get install"]),
        ('hint("Give a URL as in git-clone(1).")', []),
        ('hint("Install git, and check its configuration.")', []),
        ('css = ":root { --red: #b3261e; color: var(--red) }"', []),
        ('hint("Another sendroute uses the directory.")', []),
    ],
)
def test_a_name_in_a_text_is_detected(source: str, names: list[str]) -> None:
    hits = [name for _, text in texts(ast.parse(source)) for name in named(text)]
    assert hits == names
