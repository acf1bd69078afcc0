"""The only lists in the project: what explains and what grades, each lifted into its list by one decorator."""

from seewhy.registry.methods import METHODS, Channels, Method, Methods, Reads, ShareBy, method
from seewhy.registry.metrics import METRICS, Better, Family, Metric, metric

__all__ = [
    "METHODS",
    "METRICS",
    "Better",
    "Channels",
    "Family",
    "Method",
    "Methods",
    "Metric",
    "Reads",
    "ShareBy",
    "method",
    "metric",
]
