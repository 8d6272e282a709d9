"""A/B tests on logs: exposure, differences with intervals, variance reduction, power."""
