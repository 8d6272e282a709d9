"""What turns text into vectors, and remembers that it did."""
