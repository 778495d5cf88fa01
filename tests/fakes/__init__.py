"""Servers that tests talk to in the place of ones that cost money or have real zones."""
