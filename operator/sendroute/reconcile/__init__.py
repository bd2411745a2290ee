"""The reconciler: plan, verify, commit and report a change, in one sequence for every front end."""
