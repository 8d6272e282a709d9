"""Methods without a graph neural network: strong and quick baselines."""
