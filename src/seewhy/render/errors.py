"""What can go wrong when numbers become a picture."""

from __future__ import annotations

from seewhy.values import SeewhyError


class RenderError(SeewhyError):
    """A map or picture cannot be drawn as asked. Codes ``SW-R..``."""
