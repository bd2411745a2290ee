"""The commands: name, and the one line that the program's help says of each.

The module is ``sendroute.cli.commands.NAME``; it is not imported to print the help.
"""

COMMANDS: dict[str, str] = {
    "init": "make the store and its encryption key",
    "validate": "find every problem of a tree of manifests",
    "plan": "show what apply would do, and why",
    "apply": "do it: a tree of manifests, or a saved plan",
    "run": "follow a folder or a branch, and keep the store so",
    "approve": "let through a change that run has held back",
    "routes": "list the assigned routes of domains",
    "explain": "say what mail from an address takes, and why",
    "test": "test the connection of saved profiles; no mail is sent",
    "history": "list who changed which route, when, by which commit",
    "status": "show the store's revision, what is not settled or shadowed",
    "edit": "change manifests in place, comments and layout kept",
    "sync": "rewrite declared routes to what is assigned",
    "export": "write the store's content as manifests",
    "backup": "copy the store into one file, while others use it",
    "restore": "bring the store back to a backup or a lock file",
    "rekey": "encrypt the credentials in the store anew",
    "schema": "print the JSON Schema of a kind",
}
