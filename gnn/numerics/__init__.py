"""Pure functions on arrays: sparse products, decompositions, filters, losses, sampling."""
