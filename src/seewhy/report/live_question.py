"""What a page asks, read from JSON that nobody trusts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from seewhy.report.live import LiveError, Question
from seewhy.report.live_images import Images
from seewhy.values import Json, nearest

KEYS: Final = ("run", "record", "image", "method", "layer", "target", "settings", "metrics")
LONGEST: Final = 4096
"""The longest name that is read; what is longer is no name."""
MOST_METRICS: Final = 16
LARGEST: Final = 10_000
"""The largest number that a page may set."""
LARGEST_AT_ONCE: Final = 256
"""The most copies of a record that a page may put into one pass, which nothing can stop."""


def run_of(asked: Json, runs: int) -> int:
    """The number of the run that is asked; raises ``LiveError`` SW-W40 for no object, SW-W41 for no such run."""
    if not isinstance(asked, Mapping):
        raise _wrong("the question", "a JSON object", asked)
    for key in asked:
        if key not in KEYS:
            raise LiveError(
                "SW-W40", f"a question has no {str(key)[:80]!r}", near=nearest(str(key)[:80], KEYS),
                fix=f"known are {', '.join(KEYS)}",
            )  # fmt: skip
    return checked_run(asked.get("run", 0), runs)


def checked_run(number: object, runs: int) -> int:
    """A run's number; raises ``LiveError`` SW-W41 where no model of that number can be asked."""
    if type(number) is not int or not 0 <= number < runs:
        raise LiveError(
            "SW-W41", f"no model of run {str(number)[:80]} can be asked", fix=f"use a number from 0 to {runs - 1}"
        )
    return number


def question_of(asked: Mapping[str, Json], images: Images) -> Question:
    """The question in a JSON object.

    Raises ``LiveError``: SW-W40 a value of another type, SW-W42 not one of a record and a picture, SW-W43 a picture
    that is not kept, SW-W46 a setting that is too large.
    """
    record, image = _record(asked.get("record")), _text("image", asked.get("image"))
    if (record is None) == (image is None):
        raise LiveError("SW-W42", "a question is about one record or one picture", fix="choose one of them")
    method = _text("method", asked.get("method"))
    if method is None:
        raise _wrong("method", "the name of a method", None)
    return Question(
        method=method,
        record=record,
        image=None if image is None else images[image],
        layer=_text("layer", asked.get("layer")) or None,
        target=_target(asked.get("target")),
        settings=_settings(asked.get("settings")),
        metrics=_metrics(asked.get("metrics")),
    )


def _record(value: Json) -> tuple[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or set(value) != {"split", "id"}:
        raise _wrong("record", 'an object {"split": …, "id": …}', value)
    split, record_id = _text("record.split", value["split"]), _text("record.id", value["id"])
    if split is None or record_id is None:
        raise _wrong("record", 'an object {"split": …, "id": …}', value)
    return split, record_id


def _text(name: str, value: Json) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > LONGEST:
        raise _wrong(name, f"text of at most {LONGEST} characters", value)
    return value


def _target(value: Json) -> int | str | None:
    if value is None or type(value) is int:
        return value
    if not isinstance(value, str) or len(value) > LONGEST:
        raise _wrong("target", "a class, by its number or its name,", value)
    return value


def _settings(value: Json) -> dict[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _wrong("settings", "an object of settings by name", value)
    return {str(name)[:80]: _setting(str(name)[:80], one) for name, one in value.items()}


def _setting(name: str, value: Json) -> Json:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise _wrong(name, "a finite number", value)
        most = LARGEST_AT_ONCE if name == "chunk_size" else LARGEST
        if abs(value) > most:
            raise LiveError(
                "SW-W46", f"{name} is larger than a page may ask for ({most})",
                fix="ask for less here; `seewhy explain --set` has no such limit",
            )  # fmt: skip
        return value
    return _text(f"settings.{name}", value)


def _metrics(value: Json) -> tuple[str, ...]:
    named = isinstance(value, list) and len(value) <= MOST_METRICS and all(isinstance(one, str) for one in value)
    if value is not None and not named:
        raise _wrong("metrics", f"a list of at most {MOST_METRICS} names", value)
    return tuple(dict.fromkeys(str(one)[:80] for one in value or ()))


def _wrong(name: str, expected: str, found: Json) -> LiveError:
    return LiveError("SW-W40", f"{name} must be {expected}, got {repr(found)[:80]}", fix="ask from the page itself")
