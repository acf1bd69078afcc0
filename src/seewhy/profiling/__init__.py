"""Where time and memory of a piece of work went, stage by stage."""

from seewhy.profiling.profiler import SILENT, PerformanceProfiler

__all__ = ["SILENT", "PerformanceProfiler"]
