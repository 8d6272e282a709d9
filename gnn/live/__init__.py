"""A trained engine that goes on: events, updates, feedback."""
