"""Configure a Postfix for the decided routes, and check that it agrees.

The agent (`sendroute relay`) keeps the lookup tables of a directory; Postfix reads them there.

examples:
  sendroute postfix config --dir /var/lib/sendroute
  sendroute postfix config --dir /var/lib/sendroute --install
  sendroute postfix check --dir /var/lib/sendroute
"""

COMMANDS: dict[str, str] = {
    "config": "write the Postfix side, and add it with --install",
    "check": "compare a running Postfix with it, and with the store",
}
