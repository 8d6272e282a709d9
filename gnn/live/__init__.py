"""A trained model lives on: events since training, and what follows from them."""
