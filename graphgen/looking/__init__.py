"""Looking at a graph: neighbourhoods, connections, pictures and pages."""
