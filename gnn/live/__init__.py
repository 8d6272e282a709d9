"""The living engine: events since training, feedback, exploration, updates."""
