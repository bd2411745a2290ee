"""What was typed → what follows it."""

import os
import re
from collections.abc import Callable, Iterable

from sendroute.following.address import address_of, is_bare_repository, is_url
from sendroute.following.directory import Directory
from sendroute.following.follower import Follower
from sendroute.following.git import Branch, GitOptions
from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, Setting

# git-check-ref-format(1), and nothing that reads as an option.
_NO_BRANCH = re.compile(r"^[-/.]|[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|[/.]$|^@?$")


def follow(
    source: str,
    options: GitOptions,
    state_folder: str | None = None,
    beside: Callable[[str], Iterable[str]] = lambda _path: (),
) -> Follower:
    """Follows a directory, a file, or a branch of a git URL or of a bare repository. ``beside``
    names what is read with a directory's manifests, wherever it lies.

    Raises ``ProblemError`` with all that is wrong with what was typed, or where the state folder
    cannot be had. Close what it returns.
    """
    bare = is_bare_repository(source)
    if os.path.exists(source) and not bare:
        _demand(_only_for_git(options, state_folder))
        return Directory(source, beside)
    if not bare and not is_url(source):
        raise ProblemError(
            finding(
                "source-unreachable",
                f"There is no file or folder {ascii(source)[1:-1]}, and it is no git URL.",
                hint="Name a folder that is there, or a URL as git clone would take it.",
            )
        )
    address = address_of(source)
    findings = _wrong(options)
    if not address.trusted and not options.verify_signatures:
        findings.append(
            finding(
                "invalid-value",
                f"What comes over {address.url.partition(':')[0]} may be anybody's.",
                hint="Use https or ssh, or require signed commits.",
                remedy=Configure(Setting.VERIFY_SIGNATURES),
            )
        )
    _demand(findings)
    return Branch(address, _absolute(options), state_folder)


def _demand(findings: list[Finding]) -> None:
    if findings:
        raise ProblemError(*findings)


def _only_for_git(options: GitOptions, state_folder: str | None) -> list[Finding]:
    given = {
        Setting.BRANCH: options.branch is not None,
        Setting.SOURCE_PATH: options.path != "",
        Setting.VERIFY_SIGNATURES: options.verify_signatures,
        Setting.ALLOWED_SIGNERS: options.allowed_signers is not None,
        Setting.STATE_DIRECTORY: state_folder is not None,
    }
    return [
        finding(
            "invalid-value",
            f"The setting {setting} needs a git source, but the source is a file or directory.",
            hint="Give the repository's URL (file:///… for a local one), or leave the setting out.",
            remedy=Configure(setting),
        )
        for setting, is_given in given.items()
        if is_given
    ]


def _wrong(options: GitOptions) -> list[Finding]:
    findings = []
    if options.branch is not None and (
        _NO_BRANCH.search(options.branch) or not options.branch.isprintable()
    ):
        findings.append(
            finding(
                "invalid-value",
                f"{ascii(options.branch)[:80]} cannot be a branch's name.",
                hint="Name a branch as `git branch` lists it.",
            )
        )
    steps = options.path.split("/")
    if options.path.startswith("/") or ".." in steps or not options.path.isprintable():
        findings.append(
            finding(
                "invalid-value",
                f"{ascii(options.path)[:80]} is no path within a repository.",
                hint="Set the path from the top of the repository, without a leading / and"
                " without `..`.",
                remedy=Configure(Setting.SOURCE_PATH),
            )
        )
    signers = options.allowed_signers
    if signers is not None and not os.access(signers, os.R_OK):
        findings.append(
            finding(
                "unreadable",
                f"The allowed signers {ascii(signers)[1:-1]} cannot be read.",
                hint="Name a file as in ssh-keygen(1), ALLOWED SIGNERS.",
            )
        )
    if signers is not None and not options.verify_signatures:
        findings.append(
            finding(
                "invalid-value",
                "Allowed signers are given, but signatures are not required.",
                hint="Require signed commits.",
                remedy=Configure(Setting.VERIFY_SIGNATURES),
            )
        )
    return findings


def _absolute(options: GitOptions) -> GitOptions:
    """Git is started elsewhere."""
    if options.allowed_signers is None:
        return options
    signers = os.path.abspath(options.allowed_signers)
    return GitOptions(
        options.branch, options.path, options.verify_signatures, signers, options.timeout
    )
