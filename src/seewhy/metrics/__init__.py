"""Grades maps: how they agree with where people looked."""
