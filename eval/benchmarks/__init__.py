"""What every model gives and costs, data set by data set, each run in a process of its own."""
