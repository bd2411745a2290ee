"""``python -m sendroute``."""

from sendroute.cli.main import program

program()
