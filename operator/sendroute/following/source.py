"""A source as the user gives it → its follower."""

import os
import re
from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from sendroute.following.address import is_url, parse_address
from sendroute.following.directory import DirectoryFollower
from sendroute.following.follower import Follower
from sendroute.following.git import BranchFollower, GitOptions
from sendroute.git.signatures import read_signers
from sendroute.model.codes import Code, finding
from sendroute.model.finding import Finding
from sendroute.model.problem import InvalidSettingError, ProblemError
from sendroute.model.remedy import Configure, Setting
from sendroute.model.userinfo import without_userinfo

# git-check-ref-format(1); also names that look like an option.
_INVALID_BRANCH = re.compile(
    r"^[-/.]|[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|[/.]$|^@?$"
)

_NAMES = {
    Setting.BRANCH: "The name of a branch",
    Setting.SOURCE_PATH: "The path in a repository",
    Setting.VERIFY_SIGNATURES: "The check of signatures",
    Setting.ALLOWED_SIGNERS: "The file of allowed signers",
    Setting.STATE_DIRECTORY: "The directory for checkouts",
}


def follow(
    source: str,
    options: GitOptions,
    state_dir: str | None = None,
    extra_files: Callable[[str], Iterable[str]] = lambda _path: (),
    names_above: Sequence[str] = (),
) -> Follower:
    """Follow a directory, a file, or a branch of a git URL.

    A path is a directory whatever it holds, also what looks like a bare repository: any
    user who may write files there can imitate one.

    Args:
        source: a path or a git URL.
        options: which branch and path, and whether commits must be signed.
        state_dir: where the repository is kept; None for a temporary directory.
        extra_files: as for :class:`~sendroute.following.directory.DirectoryFollower`.
        names_above: as for :class:`~sendroute.following.git.BranchFollower`.

    Returns:
        The follower; the caller closes it.

    Raises:
        InvalidSettingError: everything that is wrong with the arguments.
        ProblemError: there is no such path, or the state directory or the file of signers is
            unavailable.
    """
    if os.path.exists(source):
        _raise_if_any(_git_options_given(options, state_dir))
        return DirectoryFollower(source, extra_files)
    if not is_url(source):
        raise ProblemError(
            finding(
                "source-unreachable",
                f"{ascii(source)[1:-1]} is neither a file or directory nor a git URL.",
                hint="Give an existing path, or a URL as in git-clone(1), GIT URLS.",
            )
        )
    address = parse_address(source)
    findings = _check(options)
    if not address.trusted and not options.verify_signatures:
        findings.append(
            finding(
                "invalid-value",
                f"The source URL uses {address.url.partition(':')[0]}, so others on the network can"
                " alter the manifests.",
                hint="Use https or ssh, or require signed commits.",
                remedy=Configure(Setting.VERIFY_SIGNATURES),
            )
        )
    _raise_if_any(findings)
    return BranchFollower(address, _absolute(options), state_dir, names_above)


def _raise_if_any(findings: list[Finding]) -> None:
    if any(item.code == Code.INVALID_VALUE for item in findings):
        raise InvalidSettingError(*findings)
    if findings:
        raise ProblemError(*findings)


def _git_options_given(options: GitOptions, state_dir: str | None) -> list[Finding]:
    given = {
        Setting.BRANCH: options.branch is not None,
        Setting.SOURCE_PATH: options.path != "",
        Setting.VERIFY_SIGNATURES: options.verify_signatures,
        Setting.ALLOWED_SIGNERS: options.allowed_signers is not None,
        Setting.STATE_DIRECTORY: state_dir is not None,
    }
    return [
        finding(
            "invalid-value",
            f"{_NAMES[setting]} needs a git source, but the source is a file or directory.",
            hint="Give the repository's URL (file:///… for a local one), or remove the setting.",
            remedy=Configure(setting),
        )
        for setting, is_given in given.items()
        if is_given
    ]


def _check(options: GitOptions) -> list[Finding]:
    findings = []
    if options.branch is not None and (
        _INVALID_BRANCH.search(options.branch) or not options.branch.isprintable()
    ):
        findings.append(
            finding(
                "invalid-value",
                f"{ascii(without_userinfo(options.branch))[:80]} is not a valid branch name.",
                hint="Give the name of a branch, as in git-check-ref-format(1).",
            )
        )
    steps = options.path.split("/")
    if options.path.startswith("/") or ".." in steps or not options.path.isprintable():
        findings.append(
            finding(
                "invalid-value",
                f"{ascii(without_userinfo(options.path))[:80]} is not a path within a repository.",
                hint="Set the path relative to the repository, without a leading / or '..'.",
                remedy=Configure(Setting.SOURCE_PATH),
            )
        )
    signers = options.allowed_signers
    if signers is not None:
        try:
            read_signers(signers)
        except ProblemError as problem:
            findings += problem.findings
    if signers is not None and not options.verify_signatures:
        findings.append(
            finding(
                "invalid-value",
                "A file of allowed signers is given, but signatures are not required.",
                hint="Require signed commits.",
                remedy=Configure(Setting.VERIFY_SIGNATURES),
            )
        )
    return findings


def _absolute(options: GitOptions) -> GitOptions:
    """git runs in another directory."""
    if options.allowed_signers is None:
        return options
    signers = os.path.abspath(options.allowed_signers)
    return replace(options, allowed_signers=signers)
