"""Thin adapters between the graph and the functions of ``imaging``: one operator for each file."""
