"""The services of master.cf (master(5)): one SMTP client for each way of encryption."""

from collections.abc import Iterable
from typing import NamedTuple

from sendroute.model.platform import Platform
from sendroute.model.profile import Encryption
from sendroute.postfix.parameters import Parameter, client_parameters, route_parameters

_TLSPROXY = "sendroute-tlsproxy"
_NOT_OF_ENGINE = ("smtp_tls_policy_maps", "smtp_tls_connection_reuse")
"""What only the SMTP client reads. All other parameters of TLS must be the same in its engine,
which warns otherwise (tlsproxy(8))."""


class MasterService(NamedTuple):
    """A service of type ``unix``, without a chroot, because it reads the lookup tables."""

    name: str
    command: str
    parameters: tuple[Parameter, ...]
    private: str = "-"
    max_processes: str = "-"

    @property
    def key(self) -> str:
        """How postconf(1) names it."""
        return f"{self.name}/unix"

    @property
    def fields(self) -> dict[str, str]:
        """The fields as ``postconf -F`` shows them."""
        return {
            "service": self.name,
            "type": "unix",
            "private": self.private,
            "unprivileged": "-",
            "chroot": "n",
            "wakeup": "-",
            "process_limit": self.max_processes,
            "command": self.command,
        }

    @property
    def line(self) -> str:
        """The entry in one line, as ``postconf -M`` takes it (master(5), the long form of -o)."""
        return " ".join([*self.fields.values(), *map(_override, self.parameters)])

    def text(self, explained: set[Parameter]) -> str:
        """The entry for master.cf. Each override has its comment where it occurs first.
        ``explained`` are those that had it already."""
        lines = [" ".join(self.fields.values())]
        for parameter in self.parameters:
            if parameter not in explained:
                lines.append(f"# {parameter.comment}")
                explained.add(parameter)
            lines.append(f"  {_override(parameter)}")
        return "\n".join(lines) + "\n"


def _override(parameter: Parameter) -> str:
    value = f" {parameter.value}" if parameter.value else ""
    return f"-o {{ {parameter.name} ={value} }}"


def services(directory: str, platform: Platform | None) -> tuple[MasterService, ...]:
    """The services that deliver mail on a route.

    Args:
        directory: the absolute path of the lookup tables.
        platform: as for :func:`~sendroute.postfix.parameters.client_parameters`.

    Returns:
        The services.
    """
    common = (*client_parameters(platform), *route_parameters(directory, platform))
    proxy = Parameter(
        "tlsproxy_service_name", _TLSPROXY, "The service below: postconf(5), tlsproxy(8)."
    )
    clients = (
        MasterService(f"sendroute-{encryption}", "smtp", (*_encryption(encryption, common), proxy))
        for encryption in Encryption
    )
    engine = (
        Parameter(
            "smtp_tls_security_level",
            "secure",
            "Otherwise it serves no SMTP clients: postconf(5) tlsproxy_client_security_level.",
        ),
        *(
            parameter
            for parameter in common
            if parameter.name.startswith(("smtp_tls_", "tls_"))
            and parameter.name not in _NOT_OF_ENGINE
        ),
    )
    return (*clients, MasterService(_TLSPROXY, "tlsproxy", engine, max_processes="0"))


def _encryption(encryption: Encryption, common: Iterable[Parameter]) -> Iterable[Parameter]:
    """Encryption is required or absent, never tried (RFC 3207, RFC 8314, 3.3). Without it the table
    of policies is not read: the key of an address may be that of several profiles."""
    level = "none" if encryption is Encryption.NONE else "secure"
    wrapped = "yes" if encryption is Encryption.TLS else "no"
    return (
        Parameter("smtp_tls_security_level", level, 'TLS_README: never "if offered".'),
        Parameter("smtp_tls_wrappermode", wrapped, "TLS from the first byte: postconf(5)."),
        *(
            parameter._replace(value="", comment="No policies without TLS.")
            if encryption is Encryption.NONE and parameter.name == "smtp_tls_policy_maps"
            else parameter
            for parameter in common
        ),
    )
