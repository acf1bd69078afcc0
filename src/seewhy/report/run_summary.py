"""A run as its first screen tells it: model, data, accuracy, classes, failures, the verdict, how it was made."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from seewhy.report.run_facts import GRADES, Facts
from seewhy.report.tally import Tally
from seewhy.store.keys import digest
from seewhy.values import Json

_WORDS: Final = {"num_classes": "classes", "kwargs": "argument"}
_CALLED: Final = ("name", "class", "model", "model_class", "kind")
"""What a model is called by in its fingerprint: the first that is there."""

_LONGEST: Final = 400


def run_json(facts: Facts, tally: Tally) -> dict[str, Json]:
    """RUN of the pages."""
    redact = facts.redact
    return {
        "title": title_of(facts),
        "status": facts.manifest.status,
        "model": _lines({**_mapping(facts, "model"), **_weights(facts)}),
        "data": _lines(_mapping(facts, "data")),
        "made": _lines(_made(facts)),
        "commands": [shlex.join(redact.word(str(word)) for word in words) for words in facts.commands],
        "class_names": None if facts.class_names is None else list(facts.class_names),
        "label_names": None if facts.labels_match or facts.label_names is None else list(facts.label_names),
        "labels_match": facts.labels_match,
        "counts": tally.counts_json(),
        "splits": tally.splits_json(),
        "classes": tally.classes_json(facts.class_names),
        "classes_by": tally.classes_by,
        "confidence": tally.confidence_json(),
        "failures": [
            {"id": redact.name(record_id), "split": split, "stage": stage, "error": redact(error)}
            for record_id, split, stage, error in tally.failures
        ],
        "questions": questions_json(facts),
        "not_applicable": redact.json(facts.not_applicable),
        "choices": redact.json(facts.choices),
        "verdicts": list(verdicts_json(facts)),
        "grades": redact.json(facts.grades),
    }


def title_of(facts: Facts) -> str:
    """The model and the data in a few words.

    A model is called by its name, class or kind, data by its kind.
    """
    model, data = _mapping(facts, "model"), _mapping(facts, "data")
    called = next((str(model[key]) for key in _CALLED if model.get(key)), "a model")
    kind = next((str(data[key]) for key in ("data", *_CALLED) if data.get(key)), "")
    return facts.redact.name(called) + (f" on {facts.redact.name(kind)}" if kind else "")


def questions_json(facts: Facts) -> list[dict[str, Json]]:
    """The questions that were put to every record, without the grades of their answers."""
    return [
        {
            "key": key, "kind": spec.get("kind"), "method": spec.get("method"), "layer": _layer(spec),
            "input": _inputs(spec),
        }
        for key, spec in sorted(facts.questions.items())
        if spec.get("kind") != GRADES
    ]  # fmt: skip


def verdicts_json(facts: Facts) -> Iterator[dict[str, Json]]:
    """The verdict of each split and input; ``several``: the model has several inputs."""
    for split, inputs in (facts.verdicts or {}).items():
        for name, verdict in inputs.items():
            told = facts.redact.json(verdict)
            yield {"split": split, "input": name, "several": len(inputs) > 1, "verdict": told}


def _mapping(facts: Facts, key: str) -> Mapping[str, Any]:
    found = facts.manifest.fingerprint.get(key, {})
    found = found if isinstance(found, Mapping) else {key: found}
    told: Mapping[str, Any] = facts.redact.json(found)
    return told


def _weights(facts: Facts) -> dict[str, Json]:
    said = facts.manifest.fingerprint
    chosen = {key: said[key] for key in ("precision", "frames_first") if said.get(key)}
    return chosen | ({"weights": f"SHA-256 {str(said['weights'])[:16]}…"} if said.get("weights") else {})


def _made(facts: Facts) -> dict[str, Json]:
    manifest = facts.manifest
    told: dict[str, Json] = {"fingerprint": digest(manifest.fingerprint), "seed": manifest.fingerprint.get("seed")}
    for number, versions in enumerate(manifest.made_with):
        own = {name: version for name, version in versions.items() if version != "(not installed)"}
        words = ", ".join(f"{name} {version}" for name, version in sorted(own.items(), key=_seewhy_first))
        told["made with" if not number else f"then with ({number + 1})"] = words
    told["shards"] = len(manifest.shards)
    return told


def _seewhy_first(pair: tuple[str, str]) -> tuple[bool, str]:
    return pair[0] != "seewhy", pair[0]


def _lines(told: Mapping[str, Any]) -> list[list[str]]:
    """Facts as pairs of texts: what it is called by first, what is nested last; what was not said is left out."""
    names = sorted(told, key=lambda name: (isinstance(told[name], Mapping), _rank(name)))
    return [[words, text] for words, text in _flat({name: told[name] for name in names})]


def _rank(name: str) -> int:
    return _CALLED.index(name) if name in _CALLED else len(_CALLED)


def _flat(told: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in told.items():
        words = prefix + _WORDS.get(name, name)
        if isinstance(value, Mapping):
            yield from _flat(value, f"{words} ")
        elif value is not None and value != [] and value != "":
            yield words, _shortened(_text(value))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _layer(spec: Mapping[str, Any]) -> str | None:
    if isinstance(spec.get("layers"), list):
        return _joined(spec["layers"])
    return spec.get("layer")


def _inputs(spec: Mapping[str, Any]) -> str | None:
    if "inputs" in spec:
        return _joined(spec["inputs"])
    return spec.get("input")


def _joined(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))
