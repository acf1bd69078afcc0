"""What can go wrong when a run becomes a report."""

from __future__ import annotations

from seewhy.values import SeewhyError


class ReportError(SeewhyError):
    """A run cannot be told as asked. Codes ``SW-P..``."""


class DashboardError(SeewhyError):
    """The dashboard cannot do what it was asked. Codes ``SW-W..``."""
