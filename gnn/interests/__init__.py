"""Interests a person can read: profiles, their changes, and what comes next."""
