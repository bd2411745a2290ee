"""The rules that decide every route: pure functions over frozen values, one file a rule."""
