"""Vectors of records as a table: neighbours, projections, clusters, probes, duplicates and outliers."""
