"""Templates of the pages, and JSON that may stand inside a page whatever texts it holds."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from seewhy.values import Json

_DANGEROUS: Final = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


@cache
def environment() -> Environment:
    """The templates of the package: everything is escaped, and what is not given is an error."""
    return Environment(
        loader=PackageLoader("seewhy.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def json_text(value: Json) -> str:
    """A plain value as JSON that cannot end its element, open a comment, or break a line of script.

    Example:
        >>> json_text({"name": "</script><!-- é"})
        '{"name":"\\\\u003c/script\\\\u003e\\\\u003c!-- é"}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _DANGEROUS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def json_markup(value: Json) -> Markup:
    """:func:`json_text` as it may stand in a template."""
    return Markup(json_text(value))
