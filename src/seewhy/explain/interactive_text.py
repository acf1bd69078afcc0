"""Texts of a person's as a chart and a page show them: on one line, of bearable length, never as markup."""

from __future__ import annotations

import html
from typing import Final

from seewhy.explain.result import Result
from seewhy.render.text import ELLIPSIS, printable
from seewhy.values import Json

LONGEST_LINE: Final = 160


def one_line(text: str, longest: int = LONGEST_LINE) -> str:
    """The text without line breaks, controls and marks that turn the direction of writing, its middle left out.

    Example:
        >>> one_line("cat\\n\\u202edog"), one_line("a" * 30, 9)
        ('cat  dog', 'aaaa…aaaa')
    """
    clean = printable(text)
    if len(clean) <= longest:
        return clean
    kept = longest - len(ELLIPSIS)
    return clean[: kept - kept // 2] + ELLIPSIS + clean[len(clean) - kept // 2 :]


def in_chart(text: str, longest: int = LONGEST_LINE) -> str:
    """A text as Plotly shows it to the letter: its markup (``<b>``, ``<a href>``, ``$x^2$``) and entities are escaped.

    Example:
        >>> in_chart("<b>1 & 2</b> $x$")
        '&lt;b&gt;1 &amp; 2&lt;/b&gt; &#36;x&#36;'
    """
    return html.escape(one_line(text, longest), quote=False).replace("$", "&#36;")


def said(result: Result) -> str:
    """What the model says of the picture, in one sentence.

    Example:
        >>> said(Result({"label": "cat", "confidence": 0.9314}))
        'Predicted: cat (confidence: 93.1%)'
    """
    if result.get("label") is not None and result.get("confidence") is not None:
        return f"Predicted: {_capital(result['label'])} (confidence: {result['confidence']:.1%})"
    if result.get("labels") is not None:
        return f"Predicted: {', '.join(result['labels']) or 'no label'}"
    if result.get("values") is not None:
        return f"Predicted: {', '.join(f'{value:.4g}' for value in result['values'])}"
    return "The model's outputs are features: it predicts no class"


def facts_of(result: Result) -> list[tuple[str, str]]:
    """The head of a report, as pairs of what and text."""
    if result.get("confidence") is not None:
        told = [("Prediction", one_line(str(result["label"]))), ("Confidence", f"{result['confidence']:.2%}")]
    else:
        told = [("Prediction", one_line(said(result).removeprefix("Predicted: ")))]
    target = result.get("target_label")
    told.append(("Target class", one_line(target) if target is not None else "none: the question is of no one class"))
    told.append(("Method", _with_settings(str(result["method"]), result.get("settings") or {})))
    if result.get("target_layer") is not None:
        told.append(("Layer", one_line(str(result["target_layer"]))))
    if result.get("preprocessing"):
        told.append(("Preprocessing", one_line(str(result["preprocessing"]), 400)))
    return told


def _with_settings(method: str, settings: dict[str, Json]) -> str:
    told = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    return one_line(f"{method} ({told})" if told else method, 400)


def _capital(label: str) -> str:
    """``Class 3`` at the start of a line; a name of the user's stays as it is."""
    return f"C{label[1:]}" if label.startswith("class ") else label
