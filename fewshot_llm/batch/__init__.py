"""Batch jobs: label every row of a large input, lose none, and go on after any crash."""
