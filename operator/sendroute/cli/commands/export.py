"""Write the store's content as manifests, which planned against it change nothing.

examples:
  sendroute export > manifests.yaml
  sendroute export --dir manifests/         a file for each account; the folder must be empty
  sendroute export -o json                  as a kind: List
"""

from argparse import Namespace
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sendroute.cli.command_line import Parser, WrongUsageError
from sendroute.cli.output import Output, output_option, outputs_asked_for, present, tell, worst
from sendroute.cli.session import Session

if TYPE_CHECKING:
    from sendroute.cli.manifests_of import Batch

_FORMS = ("yaml", "json")


def options(parser: Parser) -> None:
    parser.value("--dir", metavar="DIR", help="into this folder, a file for each account")
    output_option(parser, _FORMS)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.manifests_of import manifests_of
    from sendroute.model.exit_status import of_findings
    from sendroute.store.record import open_store

    if arguments.dir and arguments.output:
        raise WrongUsageError("--dir writes YAML files: leave -o out.")
    outputs = outputs_asked_for(arguments) or [Output("yaml", None)]
    with open_store(session.store) as store:
        batches = list(manifests_of(store.read()))
    findings = [found for batch in batches for found in batch.findings]
    tell(session, findings)
    if arguments.dir:
        _into_folder(arguments.dir, batches)
        return of_findings(findings)
    written = present(session, outputs, lambda form, _colour: _stream(form, batches))
    return worst(of_findings(findings), written)


def _stream(form: str, batches: Sequence["Batch"]) -> Iterable[str]:
    from sendroute.cli.yaml_out import dump
    from sendroute.reports.as_json import document

    if form == "json":
        items = (one for batch in batches for one in batch.documents)
        return document([("apiVersion", "v1"), ("kind", "List"), ("items", items)])
    return (dump(batch.documents) for batch in batches)


def _into_folder(folder: str, batches: Sequence["Batch"]) -> None:
    """A folder that holds something else is left alone: what it holds would be read as manifests
    beside these."""
    from pathlib import Path

    from sendroute.cli.yaml_out import dump
    from sendroute.reports.write import write

    root = Path(folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
        taken = any(root.iterdir())
    except OSError as error:
        raise _unwritable(folder, error.strerror or "input/output error") from error
    if taken:
        raise _unwritable(folder, "it is not empty")
    for batch in batches:
        path = root / f"{batch.path}.yaml"
        path.parent.mkdir(exist_ok=True)
        write(str(path), [dump(batch.documents)])


def _unwritable(folder: str, why: str) -> Exception:
    from sendroute.model.codes import finding
    from sendroute.model.problem import ProblemError

    return ProblemError(
        finding(
            "unwritable",
            f"Manifests cannot be written to {folder}: {why[:1].lower()}{why[1:]}.",
            hint="Name a folder that is empty, or is not there yet.",
        )
    )
