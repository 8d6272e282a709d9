"""From a scorer or a file of lists to the figures of every user."""
