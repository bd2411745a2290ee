"""One module a command: ``options(parser)`` says what it takes, ``run(arguments, session)`` does
it and returns the exit status. A module is imported only when its command is chosen."""
