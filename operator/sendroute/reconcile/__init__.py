"""Gather, plan, commit, report: one change flows one way, for apply and every loop alike."""
