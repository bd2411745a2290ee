"""What must change in a Postfix so that mail takes its route, and changing it."""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Severity
from sendroute.model.platform import Platform
from sendroute.model.remedy import ReplaceSetting
from sendroute.postfix.installed import Postfix
from sendroute.postfix.parameters import Match, Parameter, main_parameters
from sendroute.postfix.services import Service, services

_OF_SMTPD = (
    "smtpd_sender_restrictions",
    "smtpd_data_restrictions",
    "smtpd_sender_login_maps",
)
"""What a service of smtpd must not set for itself."""


class Change(NamedTuple):
    """One setting of a Postfix. ``name`` is postconf(1)'s: a parameter, ``service/type``, or
    ``service/type/chroot``. ``before`` is None if it is not set there yet. ``replaces`` is what
    a user decided, as a finding; None otherwise."""

    name: str
    before: str | None
    after: str
    replaces: Finding | None = None

    def as_document(self) -> dict[str, str | None]:
        """The change as a part of ``postfix config -o json``."""
        return {"name": self.name, "before": self.before, "after": self.after}


class Differences(NamedTuple):
    """``changes`` are needed; ``others`` are findings about what stays as a user set it."""

    changes: tuple[Change, ...]
    others: tuple[Finding, ...]


def differences(
    postfix: Postfix,
    directory: str,
    platform: Platform | None,
    replaced: Collection[str] = (),
) -> Differences:
    """Compare a Postfix with what it needs.

    Args:
        postfix: the Postfix.
        directory: the absolute path of the lookup tables.
        platform: what the platform says about delivery; None for the defaults.
        replaced: the names of settings that may be replaced although a user set them.

    Returns:
        What must change, and what takes mail off its route by a user's choice.
    """
    changes, others = [], []
    settings = main_parameters(directory, signs_in=postfix.signs_in)
    for parameter in settings:
        now = postfix.explicit.get(parameter.name)
        if parameter.match is Match.CHOICE and now and parameter.name not in replaced:
            others.append(_bypass(parameter.name, now))
        elif now is None or not parameter.is_met_by(now):
            changes.append(_of_main(parameter, now, replaced))
    changes += [
        Change(service.key, _present(postfix, service), service.line)
        for service in services(directory, platform)
        if not _is_met(postfix, service)
    ]
    for key in postfix.reading_in_chroot():
        name = f"{key}/chroot"
        why = None if name in replaced else _chroot(name)
        changes.append(Change(name, postfix.fields[key]["chroot"], "n", why))
    for key, name, value in postfix.smtpd_overrides(_OF_SMTPD):
        needed = next(setting for setting in settings if setting.name == name)
        if not needed.is_met_by(value):
            others.append(_overridden(f"{key}/{name}", value))
    return Differences(tuple(changes), tuple(others))


def refusals(changes: Iterable[Change]) -> list[Finding]:
    """Find the changes that would replace a user's setting; such a change is never made.

    Args:
        changes: the changes that Postfix needs.

    Returns:
        A finding for each that replaces one.
    """
    return [change.replaces for change in changes if change.replaces is not None]


def make(postfix: Postfix, changes: Collection[Change]) -> None:
    """Make the changes, by postconf(1). Each of its files is replaced as a whole.

    Args:
        postfix: the Postfix.
        changes: the changes, without refusals.

    Raises:
        ProblemError: postconf failed (``postfix-failed``).
    """
    services_first = [change for change in changes if change.name.count("/") == 1]
    fields = [change for change in changes if change.name.count("/") == 2]
    settings = [change for change in changes if "/" not in change.name]
    for option, group in (("-M", services_first), ("-F", fields), ("-e", settings)):
        if group:
            postfix.run("postconf", option, *(f"{change.name}={change.after}" for change in group))


def _of_main(parameter: Parameter, now: str | None, replaced: Collection[str]) -> Change:
    name, after = parameter.name, parameter.merged(now).value
    is_free = not now or parameter.match is Match.CONTAINS or name in replaced
    return Change(name, now, after, None if is_free else _taken(name, now or "", after))


def _is_met(postfix: Postfix, service: Service) -> bool:
    fields = postfix.fields.get(service.key)
    if fields is None:
        return False
    overrides = {name: value for name, value, *_ in service.parameters}
    is_same = postfix.overrides.get(service.key, {}) == overrides
    is_same = is_same and postfix.program_of(service.key) == service.command
    return is_same and fields["chroot"] == "n"


def _present(postfix: Postfix, service: Service) -> str | None:
    if service.key not in postfix.fields:
        return None
    return " ".join(postfix.run("postconf", "-M", service.key).split())


def _taken(name: str, now: str, after: str) -> Finding:
    return finding(
        "postfix-setting",
        f"Postfix's {name} is set to `{now}`; mail takes its route only with `{after}`.",
        hint="Merge the two by hand, or replace it",
        remedy=ReplaceSetting(name),
    )


def _chroot(name: str) -> Finding:
    service = name.rpartition("/")[0]
    return finding(
        "postfix-chroot",
        f"Postfix's service {service} runs in a chroot, where it cannot read the lookup tables.",
        hint="Let it run without one",
        remedy=ReplaceSetting(name),
    )


def _bypass(name: str, now: str) -> Finding:
    return finding(
        "postfix-bypass",
        f"Postfix's {name} is `{now}`: mail to recipients there does not take its sender's route.",
        hint="Keep it if that is what you want, or empty it",
        remedy=ReplaceSetting(name),
    )


def _overridden(name: str, value: str) -> Finding:
    return finding(
        "postfix-setting",
        f"Postfix's {name} is `{value}`, so this service does not ask whose domain a sender has.",
        hint="Remove this setting from master.cf, or put the same restrictions at its end.",
        severity=Severity.ERROR,
    )


def findings_of(differing: Differences) -> Iterator[Finding]:
    """Report how Postfix differs, for a check that changes nothing.

    Args:
        differing: the changes that it needs, and its other problems.

    Yields:
        The error ``postfix-differs`` for each change, then the other problems.
    """
    for change in differing.changes:
        yield finding(
            "postfix-differs",
            f"Postfix's {change.name} is "
            + (f"`{change.before}`" if change.before is not None else "not set")
            + f", but must be `{change.after}`.",
            hint="Add it to Postfix's configuration.",
        )
    yield from differing.others
