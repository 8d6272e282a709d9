"""`interest-gnn`: experts, the gate that mixes them, and the trade-off of new items."""
