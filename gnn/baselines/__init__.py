"""Methods without a graph neural network: strong, quick, and what a network must beat."""
