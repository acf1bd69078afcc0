"""Remembers: what was computed, in files that survive a kill and say when they are damaged. Imports no torch."""
