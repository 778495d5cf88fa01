"""Copies on further Docker hosts: daemons of their own, reached over SSH."""
