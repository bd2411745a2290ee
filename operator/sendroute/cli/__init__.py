"""The command line: parse, call, present. The only package that imports all others."""
