"""Layouts of public data sets, one file each: which file is which table, and which column what."""
