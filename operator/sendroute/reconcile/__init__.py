"""Plan, verify, commit and report a change: the same steps for ``apply`` and for the loop."""
