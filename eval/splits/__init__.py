"""Splitting a log for an honest test: protocols, leak checks, twin items."""
