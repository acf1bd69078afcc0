"""The scripts and styles a dashboard serves: read once from the package, named by their contents, kept in memory."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from seewhy.report.assets import SHARED_SCRIPTS, STYLES
from seewhy.report.page import colormaps_json

_SCRIPTS: Final = (*SHARED_SCRIPTS, "state.js", "embedding.js")
_LIVE: Final = ("live.js",)
_OWN: Final = ("dashboard_pages.js", "dashboard_gallery.js", "dashboard_compare.js", "dashboard.js")


@dataclass(frozen=True)
class ServedFile:
    """A file as it is sent: its bytes, what they are, and a digest that changes with them."""

    data: bytes
    kind: str

    @property
    def digest(self) -> str:
        """Twelve digits that name the contents."""
        return hashlib.sha256(self.data).hexdigest()[:12]


@cache
def served_files() -> dict[str, ServedFile]:
    """Every file by the name under ``/static/``; there are no others."""
    folder = resources.files(__package__).joinpath("static")
    live = [
        name
        for name in sorted(path.name for path in folder.iterdir())
        if name.startswith("live") and name.endswith(".js")
    ]
    scripts = "\n".join(folder.joinpath(name).read_text("utf-8") for name in (*_SCRIPTS, *live, *_OWN))
    colours = f"window.seewhy.useColormaps({json.dumps(colormaps_json(), sort_keys=True)});"
    more = [name for name in ("live.css",) if folder.joinpath(name).is_file()]
    styles = "\n".join(folder.joinpath(name).read_text("utf-8") for name in (*STYLES, *more, "dashboard.css"))
    script, sheet = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
    return {
        "app.js": ServedFile(f"{scripts}\n{colours}\n".encode(), script),
        "app.css": ServedFile(styles.encode(), sheet),
        "htmx.js": ServedFile(folder.joinpath("htmx.min.js").read_bytes(), script),
        "login.js": ServedFile(folder.joinpath("login.js").read_bytes(), script),
    }


def static_href(name: str) -> str:
    """The address of a file, which changes with its contents so that browsers may keep it."""
    return f"/static/{name}?v={served_files()[name].digest}"
