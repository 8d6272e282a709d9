"""`interest-gnn`: its network, its paths, and how they are mixed."""
