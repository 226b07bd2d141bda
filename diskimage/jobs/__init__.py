"""Verbs: one job a file, a function and its typed result."""
