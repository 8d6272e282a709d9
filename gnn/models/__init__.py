"""Graph neural networks and their relatives."""
