"""Write the store's content as manifests.

They change no route of this store. Applied to an empty store, they give every domain the same
route again: a domain without a declared route gets its assigned route declared if a new domain
would get another one. Each route that would differ in another store is reported.

examples:
  sendroute export > manifests.yaml
  sendroute export --dir manifests/         the directory must be empty
  sendroute export -o json                  as a kind: List
"""

from argparse import Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path

from sendroute.cli.command_line import DIRECTORY, Parser, UsageError
from sendroute.cli.exit_status import ExitStatus, of_findings
from sendroute.cli.options import Output, output_option, requested_outputs
from sendroute.cli.output import present, report_on_stderr, worst
from sendroute.cli.session import Session
from sendroute.files.reason import reason_of
from sendroute.manifests.export import ExportFile, manifests_of
from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.reports.as_json import document
from sendroute.reports.write import write

_FORMS = ("yaml", "json")


def options(parser: Parser) -> None:
    # Without a variable: SENDROUTE_DIR is the directory of a relay.
    parser.add_argument(
        "--dir",
        metavar="DIR",
        type=DIRECTORY,
        help="write one file per account into this directory: NAMESPACE/ACCOUNT.yaml",
    )
    output_option(parser, _FORMS, of_manifests=True)


def run(arguments: Namespace, session: Session) -> int:
    if arguments.dir and arguments.output:
        raise UsageError("--dir writes YAML files: omit -o.")
    outputs = requested_outputs(arguments) or [Output("yaml", None)]
    findings: list[Finding] = []

    with session.factory.open_store() as store, store.export_stream() as content:

        def batches() -> Iterator[ExportFile]:
            findings.clear()  # every output reports the same findings
            return manifests_of(content, findings.append)

        if arguments.dir:
            _into_directory(arguments.dir, batches())
            written = ExitStatus.FINE
        else:
            written = present(session, outputs, lambda form, _page: _stream(form, batches()))
    report_on_stderr(session, findings)
    return worst(of_findings(findings), written)


def _stream(form: str, batches: Iterator[ExportFile]) -> Iterable[str]:
    from sendroute.manifests.yaml_writer import dump

    items = (document for batch in batches for document in batch.documents)
    if form == "json":
        return document([("apiVersion", "v1"), ("kind", "List"), ("items", items)])
    return dump(items)


def _into_directory(name: str, batches: Iterator[ExportFile]) -> None:
    """Write one file per account. A directory that is not empty is refused, because its files would
    be read as manifests too."""
    from sendroute.manifests.yaml_writer import dump

    root = Path(name)
    try:
        root.mkdir(0o755, parents=True, exist_ok=True)
        is_empty = not any(root.iterdir())
    except OSError as error:
        raise _unwritable(name, reason_of(error)) from error
    if not is_empty:
        raise _unwritable(name, "it is not empty")
    for batch in batches:
        path = root / f"{batch.path}.yaml"
        path.parent.mkdir(0o755, exist_ok=True)
        write(str(path), dump(batch.documents), subject="The manifests")


def _unwritable(directory: str, reason: str) -> Exception:
    return ProblemError(
        finding(
            "unwritable",
            f"Manifests cannot be written to {directory}: {reason[:1].lower()}{reason[1:]}.",
            hint="Specify a directory that is empty, or does not exist yet.",
        )
    )
