"""The reference page of the manifests: every field of every kind, from its JSON Schema."""

import json
import re
from collections.abc import Iterator
from typing import Any

HEAD = """\
# Manifests

The same documents work with `sendroute apply DIR` and with `kubectl apply -f DIR`. An unknown field
is an error. Every object has `metadata.name`, and every object except MailPlatform is in a
namespace, which is the tenant boundary. This page is generated from the program;
`sendroute schema` prints the same as JSON Schema for editors.

## Files and YAML

- Manifests are `.yaml`, `.yml` and `.json` files (also in capitals, which kubectl skips) with one
  or more documents. A `kind: List` is accepted, and `-` is standard input. Directories are read
  with all their subdirectories. Names that begin with a dot are skipped.
- A file that is empty, or holds only blanks, may be a broken copy: it is `unreadable`, and removals
  wait. One with a comment, `---`, `{}` or `null` may hold nothing.
- Symbolic links are followed, also out of the given directories: to a mount, a shared directory,
  or elsewhere in the same repository. Of what is outside, no finding quotes anything, and `edit`
  and `sync` do not write it; give its directory as a path too to edit it. A link is not followed
  to a directory above the manifests or into `/proc`, `/sys` or `/dev`, and all links out of the
  tree together lead to at most 200,000 names and 512 MiB of manifests. Such a link, one without a
  target, and everything else that cannot be read is `unreadable`.
- A file is read once, whatever its number of names. `edit` and `sync` do not write one with a hard
  link in the given paths.
- YAML is version 1.2. kubectl reads YAML 1.1, so an unquoted value that the two read differently
  (`no`, `on`, `y`, `1:30`, `0465`) is an error: `ambiguous-scalar`. Quote it. So is a character
  that only YAML 1.1 takes for a line break (U+0085, U+2028, U+2029): `yaml-syntax`.
- Anchors, aliases, merge keys, tags, duplicate keys and nesting deeper than 32 levels are refused.
- A file has at most 32 MiB, a text at most 64 KiB.
- `null` is refused: set a value, or remove the field.
- A document that is only a text, such as base64, or is encrypted together with its kind (sops, age,
  Ansible Vault, PGP) may be one of ours: it is `unreadable`, and removals wait. So is a list with
  an encrypted item.
- A plan, a report or a lock file of Sendroute under a name that ends in `.yaml` or `.yml` has
  replaced manifests, and is `unreadable`. Kept beside the manifests as `.json`, or as
  `sendroute.lock`, it is skipped. No command writes its output over manifests, except `export`.
- Documents of other API groups are skipped, and so are those of another kind without a group. One
  of Sendroute's kinds under a misspelt group, or under a version without one (`v1`), is
  `unknown-group`, and so is every `apiVersion` that contains `sendroute.dev`, such as
  `mail.sendroute.dev/v1alpha1`. A kind that is misspelt as well, or has no `apiVersion`, is
  `unknown-kind`. Removals wait for each. A `List` must hold a list of objects, and
  objects in another kind of list are refused. `status`, labels, annotations and the API server's
  own metadata are accepted and ignored.
- The annotation `sendroute.dev/accept: CODE[,CODE]` on an object accepts findings below error that
  arise there: they are not reported. An error or a refusal cannot be accepted; naming one, or a
  code that does not exist, is a warning.

## Secrets

Never write a secret in a manifest. `credentials.secretRef.name` refers to a secret with the keys
`username` and `password` in the namespace of the object. Outside a cluster, a secret is

- a directory `SECRETS_DIR/NAMESPACE/NAME/` with the files `username` and `password`, or
- the variables `SENDROUTE_SECRET_<NAMESPACE>__<NAME>__USERNAME` and `…__PASSWORD`: upper case, `-`
  as `_`. A name with `--` or a dot needs a directory.

A Kubernetes `Secret` beside the manifests is the warning `secret-in-manifests` if its `data` or
`stringData` holds a value. Values that are empty, encrypted (sops, age, Ansible Vault, PGP), a
placeholder (`${PASSWORD}`) or a reference (`vault:…`) are none; SealedSecret and ExternalSecret are
other kinds.

The MailPlatform has no namespace. Its secrets are in `sendroute-system`, which no tenant can use.

The owner of a secret can bind it to destinations with the file `allowed-hosts`, one `host` or
`host:port` per line, or the variable `…__ALLOWED_HOSTS`. A profile with another destination gets
`secret-not-bound`, and the credential is not sent.
"""

EXAMPLES = {
    "MailPlatform": """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec:
  managed:
    displayName: TrekMail SMTP
    host: smtp.trekmail.example
    ports: [{port: 587, encryption: starttls}]
    relay:
      host: relay.internal.example
      port: 587
      encryption: starttls
      credentials: {secretRef: {name: managed-relay}}
    spf: include:spf.trekmail.example
  plans:
  - {name: nano, managed: false}
  - {name: pro, managed: true, limits: {accountPerDay: 20000, mailboxPerDay: 1000}}
""",
    "MailAccount": """\
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {name: acme, namespace: acme}
spec:
  plan: pro
  defaultRoute: {profile: ses}
""",
    "SMTPProfile": """\
apiVersion: sendroute.dev/v1alpha1
kind: SMTPProfile
metadata: {name: ses, namespace: acme}
spec:
  account: acme
  displayName: Amazon SES, Ireland
  provider: ses
  host: email-smtp.eu-west-1.amazonaws.com
  credentials: {secretRef: {name: ses-smtp}}
  onDelete: {reassignTo: {managed: {}}}
""",
    "SendingDomain": """\
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: shop-example-com, namespace: acme}
spec:
  account: acme
  domain: shop.example.com
  route: {profile: ses}
""",
}
"""One document of each kind; together they are a valid tree."""

# The last sentence of a description, if it is the default.
_DEFAULT = re.compile(r" ?Default: (?P<value>[^.]*)\.")


def manifests_page() -> str:
    """Every field of every kind, and the presets."""
    from sendroute.manifests.schema import schema_for
    from sendroute.manifests.shapes import KINDS

    lines = [HEAD]
    for kind in KINDS:
        schema = schema_for(kind)
        lines.append(f"## {kind}\n\n{schema['description']}\n")
        lines.append(f"```yaml\n{EXAMPLES[kind]}```\n")
        lines.append("| field | type | default | meaning | example |\n|---|---|---|---|---|")
        lines.append("\n".join(_rows(schema, schema["$defs"])) + "\n")
    lines.append(_presets())
    return "\n".join(lines)


def _rows(schema: dict[str, Any], definitions: dict[str, Any], path: str = "") -> Iterator[str]:
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        if field.get("description") == "Accepted and ignored.":
            continue
        field_path = f"{path}.{name}".lstrip(".")
        target = _resolved(field, definitions)
        mark = ", required" if name in required else ""
        example = _example(field)
        default, meaning = _default(field.get("description", "The kind of the document."))
        yield (
            f"| `{field_path}` | {_cell(_type(target))}{mark} | {_cell(default)} "
            f"| {_cell(meaning)} | {example} |"
        )
        item = _resolved(target.get("items", {}), definitions)
        if target.get("properties"):
            yield from _rows(target, definitions, field_path)
        elif item.get("properties"):
            yield from _rows(item, definitions, f"{field_path}[]")


def _resolved(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = field.get("$ref")
    return definitions[reference.rpartition("/")[2]] if reference else field


def _type(target: dict[str, Any]) -> str:
    if "enum" in target:
        if len(target["enum"]) == 1:
            return f"`{target['enum'][0]}`"
        return "one of " + ", ".join(f"`{value}`" for value in target["enum"])
    match target.get("type"):
        case "object":
            return "mapping" if target.get("properties") else "empty mapping"
        case "array":
            return "list"
        case "integer":
            most = target.get("maximum", 2**63 - 1)
            least = target["minimum"]
            return f"integer, {least}-{most}" if most < 2**31 else f"integer, at least {least}"
        case "string" if "maxLength" in target:
            return f"text, at most {target['maxLength']} characters"
        case "string" | "boolean" as name:
            return {"string": "text", "boolean": "boolean"}[name]
        case _:
            return "any"


def _default(description: str) -> tuple[str, str]:
    """The default that a description ends with, and the description without it."""
    match = _DEFAULT.search(description)
    if match is None:
        return "", description
    value = match["value"]
    return value if " " in value else f"`{value}`", _DEFAULT.sub("", description)


def _example(field: dict[str, Any]) -> str:
    examples = field.get("examples") or ()
    return f"`{_flow(examples[0])}`" if examples else ""


def _flow(value: Any) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
        case list():
            return f"[{', '.join(map(_flow, value))}]"
        case str():
            return value
        case _:
            return json.dumps(value)


def _presets() -> str:
    from sendroute.model.providers import PROVIDERS, Provider

    def ports(listed: tuple[int, ...]) -> str:
        return ", ".join(map(str, listed)) or "none"

    def row(name: str, provider: Provider) -> str:
        host = f"`{provider.host}`" if provider.host else "differs by region"
        username = f"`{provider.username}`" if provider.username else ""
        spf = f"`{provider.spf}`" if provider.spf else ""
        sources = " ".join(
            f"[{number}]({url})" for number, url in enumerate(provider.sources, start=1)
        )
        return (
            f"| `{name}` | {host} | {ports(provider.starttls_ports)} | {ports(provider.tls_ports)} "
            f"| {username} | {spf} | {provider.hint} | {sources} |"
        )

    rows = [row(name, provider) for name, provider in PROVIDERS.items()]
    return (
        "## Presets\n\n`provider` selects a preset, which fills in absent fields of a profile. "
        "What the sources do not say stays absent.\n\n"
        "| provider | host | STARTTLS ports | TLS ports | username | SPF term | note | sources |\n"
        "|---|---|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<").replace(">", "\\>")
