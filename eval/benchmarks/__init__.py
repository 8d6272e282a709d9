"""Accuracy and cost of every model on several data sets, each run in a separate process."""
