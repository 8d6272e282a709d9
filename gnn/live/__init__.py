"""A trained model lives on: events since training, updates, feedback, exploration."""
