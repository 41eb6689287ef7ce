"""Suites: the same tasks, support draws and methods, measured cell by cell."""
