"""Change manifests in place: only the lines meant to change do.

Comments, order, quotes, indentation and line endings stay. What is written is read again first:
an edit that `sendroute validate` would refuse is not written at all, nor is half of one.

examples:
  sendroute edit set-route shop.example.com --profile ses manifests/
  sendroute edit apply-to-all acme --profile ses manifests/ --dry-run
  sendroute edit add-domain shop.example.com --account acme --managed manifests/
"""

COMMANDS: dict[str, str] = {
    "set-route": "declare a domain's route",
    "set-default": "declare what new domains of an account start with",
    "apply-to-all": "switch all domains of an account, once",
    "add-domain": "declare a new domain, with a new profile too",
    "delete-profile": "delete a profile, and what refers to it",
    "extract-profile": "give a profile defined in line its own document",
}
