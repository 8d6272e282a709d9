"""Cleaning of logs: named steps, each of which is reported."""
