"""Measurements: each compares this project with a literal reference in one process, and never gates on a time."""
