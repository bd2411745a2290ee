"""From a reference to its credential, or to the reason why there is none.

A secret that exists in the directory is read from there; otherwise variables are used. The two are
never mixed in one secret. The binding is checked before the credential is read.
"""

import os
from bisect import bisect_left
from collections.abc import Mapping
from functools import cached_property
from itertools import takewhile

from msgspec.structs import replace

from sendroute.credentials import directory as files
from sendroute.credentials.content import InvalidSecretError
from sendroute.credentials.rules import (
    ResolvedOnce,
    ResolvedSecret,
    credential_in,
    problem,
    refusal_of,
)
from sendroute.credentials.variables import (
    ALLOWED_HOSTS,
    KEYS,
    PREFIX,
    USERNAME,
    earlier,
    earlier_variable,
    variable,
)
from sendroute.model.codes import Code
from sendroute.model.remedy import Configure, Setting
from sendroute.model.secret import SecretProblem, SecretRef

__all__ = ["LocalSecrets", "ResolvedSecret"]


class LocalSecrets(ResolvedOnce):
    """All secrets of one run, from a directory or from variables.

    Args:
        directory: the directory of secrets.
        environment: the environment variables.
    """

    def __init__(self, directory: str | None, environment: Mapping[str, str]) -> None:
        super().__init__()
        self._directory = directory
        self._environment = {k: v for k, v in environment.items() if k.startswith(PREFIX)}

    @property
    def given(self) -> bool:
        """Whether a directory or variables are given."""
        return self._directory is not None or bool(self._environment)

    def _resolve(
        self, ref: SecretRef, host: str, port: int, username: str | None
    ) -> ResolvedSecret:
        if (refusal := refusal_of(ref, host, port)) is not None:
            return refusal
        if self._directory is not None and files.has(self._directory, ref):
            return self._from_directory(self._directory, ref, host, port, username)
        return self._from_variables(ref, host, port, username)

    def _from_directory(
        self, directory: str, ref: SecretRef, host: str, port: int, username: str | None
    ) -> ResolvedSecret:
        def content(key: str) -> bytes:
            return files.content_of(directory, ref, key)

        def read() -> ResolvedSecret:
            keys = files.keys_of(directory, ref)
            return credential_in(ref, keys, content, host, port, username)

        try:
            return files.read_consistently(directory, ref, read)
        except InvalidSecretError as unfit:
            return problem("secret-invalid", ref, str(unfit), unfit.hint)

    def _from_variables(
        self, ref: SecretRef, host: str, port: int, username: str | None
    ) -> ResolvedSecret:
        names = {key: name for key in KEYS if (name := variable(ref, key)) in self._environment}
        earlier_names = self._earlier_variables(ref)
        if ALLOWED_HOSTS in earlier_names and ALLOWED_HOSTS not in names:
            # Without its list the secret could be sent anywhere.
            return self._with_earlier(
                SecretProblem("secret-not-bound", f"The secret {ref} is not sent anywhere.", ""),
                ref,
                earlier_names,
            )
        if not names:
            return self._with_earlier(self._missing(ref), ref, earlier_names)

        def content(key: str) -> bytes:
            return os.fsencode(self._environment[names[key]])

        keys = {*names, *self._unknown_keys(ref)}
        answer = credential_in(ref, keys, content, host, port, username)
        if isinstance(answer, SecretProblem) and answer.code == Code.SECRET_MISSING:
            return self._with_earlier(answer, ref, earlier_names)
        return answer

    def _unknown_keys(self, ref: SecretRef) -> set[str]:
        """The keys of a secret's other variables, as they are written."""
        stem = (variable(ref, USERNAME) or "").removesuffix(USERNAME.upper())
        names = self._sorted_variables
        following = map(names.__getitem__, range(bisect_left(names, stem), len(names)))
        matching = takewhile(lambda name: name.startswith(stem), following)
        others = {name.removeprefix(stem) for name in matching}
        return others - {key.upper().replace("-", "_") for key in KEYS} if stem else set()

    @cached_property
    def _sorted_variables(self) -> list[str]:
        """The names of all variables, sorted once: there may be thousands of secrets."""
        return sorted(self._environment)

    def _earlier_variables(self, ref: SecretRef) -> dict[str, str]:
        """The variables by their key that an earlier version would have read."""
        names = {key: earlier_variable(ref, key) for key in KEYS}
        return {key: name for key, name in names.items() if name in self._environment}

    def _with_earlier(
        self, problem: SecretProblem, ref: SecretRef, names: Mapping[str, str]
    ) -> SecretProblem:
        """Name the variables and files that an earlier version read, and what replaces them."""
        if names:
            subject = " and ".join(names.values())
            verb = "has" if len(names) == 1 else "have"
            message = f"{problem.message} {subject} {verb} an earlier form, which is not read."
            renamed = [name for key in names if (name := variable(ref, key)) is not None]
            if not renamed:
                return replace(problem, message=message, hint=self._as_files(ref))
            values, variables = (
                ("value is", "variable") if len(names) == 1 else ("values are", "variables")
            )
            new_names = " and ".join(renamed)
            hint = f"If the {values} this secret's, rename the {variables} to {new_names}."
            return replace(problem, message=message, hint=hint, remedy=None)
        moved = earlier(ref)
        if moved != ref and self._directory is not None and files.has(self._directory, moved):
            hint = f"Move {self._directory}/{moved} to {self._directory}/{ref}."
            return replace(problem, hint=f"The platform's secrets have their own namespace. {hint}")
        return problem

    def _missing(self, ref: SecretRef) -> SecretProblem:
        given = self._directory is not None
        state = f"is not in {self._directory}" if given else "was not given"
        hint, name = self._as_files(ref), variable(ref, USERNAME)
        if name and given:
            hint = f"{hint.removesuffix('.')}, or set {name} and …__PASSWORD."
        elif name:  # the remedy follows, and is for the files
            hint = f"Set {name} and …__PASSWORD, or {hint[0].lower()}{hint[1:]}"
        return SecretProblem(
            "secret-missing",
            f"The secret {ref} {state}.",
            hint,
            None if given else Configure(Setting.SECRETS),
        )

    def _as_files(self, ref: SecretRef) -> str:
        where = self._directory or "the directory of secrets"
        return f"Write the files username and password into {ref}/ in {where}."
