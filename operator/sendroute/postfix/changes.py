"""What must change in a Postfix so that mail takes its route, and changing it."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Severity
from sendroute.model.platform import Platform
from sendroute.model.remedy import ConfigurePostfix
from sendroute.postfix.files import read_installed, write_installed
from sendroute.postfix.installed import Postfix
from sendroute.postfix.parameters import (
    SENDER_SYNTAX,
    Match,
    Parameter,
    main_parameters,
    own_values,
)
from sendroute.postfix.services import MasterService, services

_REFUSED_OVERRIDES = {
    "smtpd": (
        (
            "smtpd_sender_restrictions",
            "smtpd_data_restrictions",
            "smtpd_sender_login_maps",
            "smtpd_null_access_lookup_key",
            "smtpd_command_filter",
        ),
        "does not check whose domain a sender has",
    ),
    "trivial-rewrite": (
        (
            "sender_dependent_default_transport_maps",
            "default_transport",
            "empty_address_default_transport_maps_lookup_key",
            *SENDER_SYNTAX,
        ),
        "does not give mail the route of its sender",
    ),
}
"""The parameters that a service of these programs must not override, and what it would do."""
_SENDER_REWRITING = ("canonical_maps", "sender_canonical_maps", "masquerade_domains")
"""What replaces a sender after it was checked: postconf(5)."""
_MAILBOXES = "virtual_mailbox_domains"
"""Domains whose mail stays on this machine; a person who has mailboxes needs them, so they are only
reported. Unless set, they are what virtual_mailbox_maps holds (postconf(5))."""


class PostfixChange(NamedTuple):
    """One change of main.cf or master.cf. ``name`` is postconf(1)'s: a parameter, ``service/type``,
    or ``service/type/chroot``. ``before`` is None if it is not set there yet. ``missing`` are the
    items that a list lacks if it has some, ``differing`` what differs in a service that is there.
    ``replaces`` is what a user decided, as a finding; None otherwise."""

    name: str
    before: str | None
    after: str
    replaces: Finding | None = None
    missing: tuple[str, ...] = ()
    differing: tuple["ServiceDifference", ...] = ()

    def as_document(self) -> dict[str, str | None]:
        """Return the change as a JSON report shows it."""
        return {"name": self.name, "before": self.before, "after": self.after}


class ServiceDifference(NamedTuple):
    """An override, the command or the chroot of a service. None: it is not set."""

    name: str
    before: str | None
    after: str | None


class Differences(NamedTuple):
    """``changes`` are needed; ``overrides`` are those of a user's service that defeat them, as
    refusals; ``others`` are findings about what stays as a user set it."""

    changes: tuple[PostfixChange, ...]
    overrides: tuple[Finding, ...]
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
        replaced: the names, as :class:`PostfixChange` has them, of what may be replaced although
            a user set it.

    Returns:
        What must change, and what takes mail off its route by a user's choice.
    """
    return _Comparison(postfix, directory, platform, frozenset(replaced)).differences()


class _Comparison(NamedTuple):
    postfix: Postfix
    directory: str
    platform: Platform | None
    replaced: frozenset[str]

    def differences(self) -> Differences:
        others, needed, overrides = [], [], []
        parameters = main_parameters(self.directory, signs_in=self.postfix.signs_in)
        installed = read_installed(self.directory)
        for parameter in parameters:
            name, now = parameter.name, self.postfix.explicit.get(parameter.name)
            if parameter.match is Match.CHOICE and now and name not in self.replaced:
                others.append(self._bypass(name, now))
            elif now is None or not parameter.is_met_by(now):
                needed.append(self._of_main(parameter, now, installed.get(name, "")))
        others += self._of_choices()
        for program, (names, effect) in _REFUSED_OVERRIDES.items():
            for key, name, value in self.postfix.overrides_of(program, names):
                parameter = next(needed for needed in parameters if needed.name == name)
                if not parameter.is_met_by(value):
                    overrides.append(_overridden(key, name, value, effect))
        changes = (*needed, *self._of_services(), *self._of_chroots())
        return Differences(changes, tuple(overrides), tuple(others))

    def _of_choices(self) -> Iterator[Finding]:
        """What a user needs, and what takes some mail off its sender's route."""
        hint = "Keep it if that is what you want."
        if mailboxes := self.postfix.value(_MAILBOXES):
            yield _bypassed(_MAILBOXES, mailboxes, hint)
        for name in _SENDER_REWRITING:
            if now := self.postfix.value(name):
                effect = "mail from an address that it replaces takes the route of the new one"
                yield _bypassed(name, now, hint, effect=effect)

    def _of_main(self, parameter: Parameter, now: str | None, installed: str) -> PostfixChange:
        name, after, replaces = parameter.name, parameter.merged(now).value, None
        if now and parameter.match is not Match.CONTAINS and name not in self.replaced:
            replacement = parameter.after(now, (installed, *own_values(name, now)))
            after = replacement or after
            replaces = None if replacement is not None else self._replacing(name, now, after)
        missing = parameter.missing_items(now or "")
        is_partial = now is not None and (
            parameter.match is Match.CONTAINS or 0 < len(missing) < len(parameter.missing_items(""))
        )
        return PostfixChange(name, now, after, replaces, tuple(missing) if is_partial else ())

    def _of_services(self) -> Iterator[PostfixChange]:
        for service in services(self.directory, self.platform):
            key = service.key
            if key not in self.postfix.fields:
                yield PostfixChange(key, None, service.line)
            elif differing := tuple(self._differing(service)):
                before = " ".join(self.postfix.run("postconf", "-M", key).split())
                yield PostfixChange(key, before, service.line, differing=differing)

    def _differing(self, service: MasterService) -> Iterator[ServiceDifference]:
        """What differs in a service that is there."""
        key = service.key
        before = {
            "command": self.postfix.program_of(key),
            "chroot": self.postfix.fields[key]["chroot"],
            **self.postfix.overrides.get(key, {}),
        }
        after = {
            "command": service.command,
            "chroot": "n",
            **{parameter.name: parameter.value for parameter in service.parameters},
        }
        for name in {**after, **before}:
            if before.get(name) != after.get(name):
                yield ServiceDifference(f"{key}/{name}", before.get(name), after.get(name))

    def _of_chroots(self) -> Iterator[PostfixChange]:
        for key in self.postfix.reading_in_chroot():
            name = f"{key}/chroot"
            reason = None if name in self.replaced else self._chroot(name)
            yield PostfixChange(name, self.postfix.fields[key]["chroot"], "n", reason)

    def _replacing(self, name: str, now: str, after: str) -> Finding:
        return finding(
            "postfix-setting",
            f"Postfix's {name} is set to `{now}`; mail takes its route only with `{after}`.",
            hint="Merge the two by hand, or replace it.",
            remedy=self._consent(name),
        )

    def _chroot(self, name: str) -> Finding:
        service = name.rpartition("/")[0]
        return finding(
            "postfix-chroot",
            f"Postfix's service {service} runs in a chroot, where it cannot read the lookup"
            " tables.",
            hint="Let it run without one.",
            remedy=self._consent(name),
        )

    def _bypass(self, name: str, now: str) -> Finding:
        hint = "Keep it if that is what you want, or empty it."
        return _bypassed(name, now, hint, self._consent(name))

    def _consent(self, name: str) -> ConfigurePostfix:
        return ConfigurePostfix(self.directory, self.postfix.config, replaces=name)


def refusals(differing: Differences) -> list[Finding]:
    """Find what would replace or is defeated by a user's choice; then nothing is changed.

    Args:
        differing: how Postfix differs from what it needs.

    Returns:
        A finding for each such choice.
    """
    replaced = (change.replaces for change in differing.changes)
    return [*(change for change in replaced if change is not None), *differing.overrides]


def make(postfix: Postfix, directory: str, changes: Collection[PostfixChange]) -> None:
    """Make the changes, by postconf(1), and note what was set. Each file is replaced as a whole.

    Args:
        postfix: the Postfix.
        directory: the absolute path of the lookup tables.
        changes: the changes, without refusals.

    Raises:
        ProblemError: postconf failed (``postfix-failed``), or the note cannot be written
            (``unwritable``).
    """
    services_first = [change for change in changes if change.name.count("/") == 1]
    fields = [change for change in changes if change.name.count("/") == 2]
    parameters = [change for change in changes if "/" not in change.name]
    for option, group in (("-M", services_first), ("-F", fields), ("-e", parameters)):
        if group:
            postfix.run("postconf", option, *(f"{change.name}={change.after}" for change in group))
    if parameters:
        write_installed(directory, {change.name: change.after for change in parameters})


def _bypassed(
    name: str,
    now: str,
    hint: str,
    remedy: ConfigurePostfix | None = None,
    effect: str = "mail to recipients there does not take its sender's route",
) -> Finding:
    return finding(
        "postfix-bypass",
        f"Postfix's {name} is `{now}`: {effect}.",
        hint=hint,
        remedy=remedy,
    )


def _overridden(service: str, name: str, value: str, effect: str) -> Finding:
    hint = "Remove this override from master.cf."
    if name.endswith("_restrictions"):
        hint = "Remove this override from master.cf, or put the same restrictions at its end."
    return finding(
        "postfix-setting",
        f"Postfix's {service}/{name} is `{value}`, so the service {service} {effect}.",
        hint=hint,
    )


def findings_of(differing: Differences, postfix: Postfix, directory: str) -> Iterator[Finding]:
    """Report how Postfix differs, for a check that changes nothing.

    Args:
        differing: the changes that it needs, and its other problems.
        postfix: the Postfix.
        directory: the absolute path of the lookup tables.

    Yields:
        The error ``postfix-differs`` for each parameter, override and service; then the other
        problems.
    """
    for change in differing.changes:
        for message in _messages(change):
            yield finding(
                "postfix-differs",
                message,
                hint="Change it, and what else differs.",
                remedy=ConfigurePostfix(directory, postfix.config),
            )
    for override in differing.overrides:
        yield replace(override, severity=Severity.ERROR)
    yield from differing.others


def _messages(change: PostfixChange) -> Iterator[str]:
    if change.name.count("/") == 1 and change.before is None:
        yield f"Postfix has no service {change.name}."
    elif change.missing:
        missing = " and ".join(f"`{item}`" for item in change.missing)
        yield f"Postfix's {change.name} lacks {missing}."
    else:
        for name, before, after in change.differing or [
            ServiceDifference(change.name, change.before, change.after)
        ]:
            yield f"Postfix's {name} is {_set_to(before)}, but must be {_set_to(after)}."


def _set_to(value: str | None) -> str:
    if value is None:
        return "not set"
    return f"`{value}`" if value else "empty"
