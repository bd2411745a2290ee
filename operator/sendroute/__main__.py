"""``python -m sendroute``."""

from sendroute.cli.main import main

raise SystemExit(main())
