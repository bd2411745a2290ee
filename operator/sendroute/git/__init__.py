"""Every call of git. Sendroute runs the ``git`` program, so that the user's own setup (ssh keys,
credential helpers, proxies, ``safe.directory``) applies; this package decides how it is run and
what it may do."""
