"""What draws edges: one builder, one file."""
