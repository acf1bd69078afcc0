"""What goes wrong with workers that are other processes, or other machines."""

from __future__ import annotations

from seewhy.values import SeewhyError


class ClusterError(SeewhyError):
    """Workers cannot be reached, started or trusted, or keep dying. Codes ``SW-Y..``."""
