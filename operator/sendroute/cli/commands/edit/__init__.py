"""Change manifests in place, and only the lines that must change.

Comments, order, quotes, indentation and line endings are kept. The result is validated first: an
edit with errors is not written, and no edit is written in part. If the store is available, the
errors and the reroutes are those of the next plan, with what earlier edits changed and nobody
applied; errors that were there before the edit do not stop it. Edits at the same time wait for each
other. Each ends with the next command to run.

examples:
  sendroute edit set-route shop.example.com --profile ses manifests/
  sendroute edit apply-to-all acme --profile ses manifests/ --dry-run
  sendroute edit add-domain shop.example.com --account acme --managed manifests/
"""

COMMANDS: dict[str, str] = {
    "set-route": "declare a domain's route",
    "set-default": "declare the default route of new domains",
    "set-plan": "set an account's service plan",
    "apply-to-all": "switch every domain of an account, once",
    "add-account": "declare a new account",
    "add-profile": "declare a new profile of an account",
    "add-domain": "declare a new domain, and a new profile if needed",
    "delete-account": "delete an account with all that it owns",
    "delete-profile": "delete a profile, and the references to it",
    "delete-domain": "delete a domain",
    "rename-profile": "rename a profile, and every reference to it",
    "extract-profile": "move an inline profile to its own document",
}
