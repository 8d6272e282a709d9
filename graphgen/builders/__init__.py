"""Builders of edges, one file each."""
