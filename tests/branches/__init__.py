"""Copies of branches on real containers."""
