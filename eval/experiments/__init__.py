"""Whole experiments: hold out, train, compare, and the demo."""
