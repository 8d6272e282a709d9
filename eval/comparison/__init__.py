"""Several results side by side, tests of their differences, and analyses of a result."""
