"""The command line: parse, call, present. The only room that knows all the others."""
