"""Sendroute: a GitOps reconciler for outbound email."""

__version__ = "0.1.0"
