"""Knows models: loading, calling, layers and grids."""
