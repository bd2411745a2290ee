"""The commands: the name of each, and its line in the program's help.

Each is a module ``sendroute.cli.commands.NAME``, imported only when the command is chosen:
``options(parser)`` declares its options, ``run(arguments, session)`` does the work and returns the
exit status.
"""

COMMANDS: dict[str, str] = {
    "init": "create the store and its encryption key",
    "validate": "report every problem in a tree of manifests",
    "plan": "show what apply would do, and why",
    "apply": "apply a tree of manifests, or a saved plan",
    "run": "follow a directory or a git branch, and apply each change",
    "operator": "follow the objects of a Kubernetes cluster, and apply each change",
    "approve": "approve a change that was held back",
    "relay": "keep the lookup tables of a Postfix at the store's revision",
    "routes": "list the assigned routes of domains",
    "explain": "show the route that mail from an address takes, and why",
    "test": "test the connection of saved profiles; no mail is sent",
    "history": "list who changed which route, when, by which commit",
    "status": "show the store's revision, and what is skipped or shadowed",
    "edit": "change manifests in place; comments and layout are kept",
    "sync": "rewrite declared routes to what is assigned",
    "export": "write the store's content as manifests",
    "backup": "copy the store into one file, while it is in use",
    "restore": "restore the store from a backup or a lock file",
    "rekey": "re-encrypt the credentials in the store",
    "postfix": "configure a Postfix for the decided routes, and check it",
    "schema": "print the JSON Schema of a kind",
    "crds": "print the CustomResourceDefinitions for Kubernetes",
    "completion": "print a script for completion in bash, zsh or fish",
    "version": "print the version",
}


def module_name(name: str, within: str = "") -> str:
    """The module of a command, or of a subcommand of the command ``within``."""
    parts = f"{within} {name}".strip().replace("-", "_").replace(" ", ".")
    return f"sendroute.cli.commands.{parts}"
