"""Styles and scripts of a page that needs nothing from anywhere, and the policy that allows just those."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from markupsafe import Markup

from seewhy.report.assets import REPORT_SCRIPTS, STYLES
from seewhy.report.errors import ReportError


@dataclass(frozen=True)
class Bundle:
    """One script and one style sheet as they stand in a page, and its content security policy.

    The policy names both by their SHA-256, so that no other script runs, and allows no address but ``data:`` pictures:
    nothing is loaded or sent.
    """

    scripts: Markup
    styles: Markup
    csp: str


@cache
def bundle() -> Bundle:
    """What a static report is made of."""
    return bundle_of(("unpack.js", *REPORT_SCRIPTS), STYLES)


def bundle_of(scripts: Sequence[str], styles: Sequence[str]) -> Bundle:
    """Files of ``static/`` put together, in this order.

    Raises:
        ReportError: ``SW-P04``, one of them is not there or could end its element early.
    """
    code = "\n".join(_asset(name) for name in scripts)
    sheet = "\n".join(_asset(name) for name in styles)
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(sheet)}'; script-src '{_hash(code)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return Bundle(Markup(code), Markup(sheet), policy)


def _asset(name: str) -> str:
    try:
        text = resources.files(__package__).joinpath("static", name).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ReportError(
            "SW-P04",
            f"the package lacks its file static/{name}",
            fix="install seewhy again: the installation is damaged",
        ) from error
    if re.search(r"</(script|style)|<!--", text, re.IGNORECASE):
        raise ReportError(
            "SW-P04", f"static/{name} holds text that would end its element in a page", fix="split that text in two"
        )
    return text


def _hash(text: str) -> str:
    """As a policy names a text; a page's line ends are those of the text itself."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
