"""Splits of a log: protocols, leak checks, duplicate items."""
