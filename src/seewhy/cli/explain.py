"""``seewhy explain IMAGE…``: pictures of what several methods say of some images, and what the model predicts."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seewhy.cli.explain_files import images_of, lines_of, output_folder, picture_names
from seewhy.cli.layers import aligned
from seewhy.cli.models import ModelRequest, add_model_options, model_request, open_model
from seewhy.cli.selftest import method_names, settings_by_method
from seewhy.values import ConfigError, Json, SeewhyError

if TYPE_CHECKING:
    from seewhy.explain.drawing import Look
    from seewhy.explain.explained import Explained
    from seewhy.explain.explainer import Explainer

DEFAULT_METHODS = "gradcam"
PREDICTED = "predicted"
BUILT_AT_RANDOM = ("timm", "torchvision")
"""Where models come from without weights; the others bring their own."""
TASKS = ("multiclass", "binary", "multilabel", "regression")
TOLD = ("predicted_class", "label", "confidence", "target_class", "target_label")
"""Of a result, what is the same for every method."""


@dataclass
class Told:
    """What became of one image: a picture's path or an error for each method; ``error`` where the image itself failed.

    ``prediction`` holds what ``TOLD`` names. ``notes`` are what there is to know, each once.
    """

    image: Path
    results: dict[str, str] = field(default_factory=dict)
    errors: dict[str, SeewhyError] = field(default_factory=dict)
    prediction: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    error: SeewhyError | None = None

    @property
    def fine(self) -> bool:
        """Whether every method explained it."""
        return self.error is None and not self.errors


def add_explain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The words of the command."""
    parser = commands.add_parser("explain", help="explain the predictions of a model for some images")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="files, folders, or patterns such as 'photos/*.jpg'")
    parser.add_argument("--model", required=True, help="timm:resnet18, torchvision:resnet50, demo:cnn or package.Class")
    add_model_options(parser)
    parser.add_argument(
        "--methods", default=DEFAULT_METHODS, metavar="NAME,NAME", help=f"default: {DEFAULT_METHODS}; e.g. ig,rollout"
    )
    parser.add_argument("--target", default=PREDICTED, metavar="CLASS", help="predicted (default), a number or a name")
    parser.add_argument(
        "--layer", "--target-layer", help="the layer to explain through (default: traced; see `seewhy layers`)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="METHOD.KEY=VALUE", help="such as ig.steps=20")
    parser.add_argument("--class-names", type=Path, metavar="FILE", help="the classes' names, one on each line")
    parser.add_argument("--task", choices=TASKS, help="what the outputs mean, where they do not tell")
    parser.add_argument("--output-dir", type=Path, default=Path("explanations"), help="default: explanations")
    parser.add_argument("--colormap", default="viridis", help="default: viridis")
    parser.add_argument("--alpha", type=float, default=0.4, help="weight of the colours from 0 to 1 (default: 0.4)")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each image, one on a line")


def run_explain(asked: argparse.Namespace) -> int:
    """Write the pictures and say what came of each image; 1 if anything failed, 2 if nothing could begin."""
    request = with_weights(model_request(asked.model, asked), asked.model)
    from seewhy.explain.class_choice import class_list
    from seewhy.explain.drawing import Look

    images, look = images_of(asked.images), Look(asked.colormap, asked.alpha)
    explainers = _explainers(asked, request)
    first = next(iter(explainers.values()))
    (target,) = class_list(class_asked(asked.target), 1, first.class_names)
    made = explain_images(images, explainers, target, output_folder(asked.output_dir), look)
    print(f"preprocessing: {first.recipe}", file=sys.stderr)
    told = list(_printed(made) if asked.json else made)
    if not asked.json:
        print("\n".join(as_table(told)))
    for line in failures(told):
        print(line, file=sys.stderr)
    return int(not all(one.fine for one in told))


def explain_images(
    images: Sequence[Path], explainers: Mapping[str, Explainer], target: int | None, folder: Path, look: Look
) -> Iterator[Told]:
    """Explain and draw image after image; one that fails does not keep the others from being explained."""
    from seewhy.explain.side_by_side import explained_together

    for image, names in zip(images, picture_names(images, list(explainers)), strict=True):
        told = Told(image)
        try:
            answers = explained_together(explainers, image, target)
        except SeewhyError as error:
            told.error = error
        else:
            for method, answer in answers.items():
                _add(told, method, answer, explainers[method], folder / names[method], look)
        yield told


def _add(
    told: Told, method: str, answer: Explained | SeewhyError, explainer: Explainer, path: Path, look: Look
) -> None:
    """One method's answer, drawn; or its error."""
    from seewhy.explain.drawing import overlay_on
    from seewhy.explain.result import result_of
    from seewhy.render.encode import encode_png
    from seewhy.store.files import write_atomic

    if isinstance(answer, SeewhyError):
        told.errors[method] = answer
        return
    try:
        write_atomic(path, encode_png(overlay_on(answer.prepared.draw(), answer.drawn, look)), durable=False)
    except SeewhyError as error:
        told.errors[method] = error
        return
    result = result_of(answer, explainer, look, return_heatmap=False)
    told.prediction = {name: result[name] for name in TOLD}
    told.notes |= dict.fromkeys(result["notes"])
    told.results[method] = str(path)


def _explainers(asked: argparse.Namespace, request: ModelRequest) -> dict[str, Explainer]:
    """An explainer for each method; all of them share one model and one reading of pictures and outputs."""
    from seewhy.explain.explainers import make_explainer
    from seewhy.explain.reading import Reading
    from seewhy.explain.recipe import find_recipe

    through, settings = _layers(asked.methods, asked.layer), _settings(asked.set, asked.methods)
    names = lines_of(asked.class_names) if asked.class_names else None
    opened = open_model(request)
    recipe = find_recipe(opened.module, None if opened.asked_size is None else {"size": opened.asked_size})
    reading = Reading(preprocessing=recipe, class_names=names, task=asked.task)
    return {
        method: make_explainer(method, opened.module, layer, reading, settings.get(method, {}))
        for method, layer in through.items()
    }


def _layers(methods: str, layer: str | None) -> dict[str, str | None]:
    """The layer each method explains through; a layer goes to the methods that have one, and to all if none has."""
    from seewhy.registry import METHODS

    names = method_names(methods)
    some = any(METHODS[name].needs_layer for name in names)
    return {name: layer if METHODS[name].needs_layer or not some else None for name in names}


def _settings(words: Sequence[str], methods: str) -> dict[str, dict[str, Any]]:
    from seewhy.registry import METHODS

    asked = method_names(methods)
    given = {METHODS[method].name: values for method, values in settings_by_method(words).items()}
    for method in given:
        if method not in asked:
            raise ConfigError(
                "SW-F86", f"--set names the method {method!r}, which is not asked", fix="name it in --methods, too"
            )
    return given


def with_weights(request: ModelRequest, model: str) -> ModelRequest:
    """The request, refused before anything is imported or built where the model's weights would be random."""
    if request.checkpoint is None and request.source.kind in BUILT_AT_RANDOM:
        raise ConfigError(
            "SW-F85", f"{model} has random weights: an untrained model explains nothing", fix="add --checkpoint FILE"
        )
    return request


def class_asked(text: str) -> int | str | None:
    """The class that ``--target`` names: None for the predicted one, a number where it is one, else a name.

    Example:
        >>> class_asked("predicted"), class_asked("3"), class_asked("cat")
        (None, 3, 'cat')
    """
    if text == PREDICTED:
        return None
    return int(text) if text.removeprefix("-").isdecimal() else text


def _printed(told: Iterable[Told]) -> Iterator[Told]:
    """Each image as one line of JSON, as soon as it is done."""
    for one in told:
        print(json.dumps(as_json(one)), flush=True)
        yield one


def as_json(told: Told) -> dict[str, Json]:
    """What became of one image, as plain values."""
    found: dict[str, Json] = {
        "image": str(told.image),
        "results": told.results,
        **{name: told.prediction.get(name) for name in TOLD},
        "errors": {method: _plain_error(error) for method, error in told.errors.items()},
        "notes": list(told.notes),
    }
    return found if told.error is None else {**found, "error": _plain_error(told.error)}


def _plain_error(error: SeewhyError) -> dict[str, str]:
    return {"code": error.code, "message": error.message}


def as_table(told: Sequence[Told]) -> list[str]:
    """The predictions, and the pictures that were written."""
    rows = [("image", "predicted", "confidence", "explained", "pictures")]
    for one in told:
        confidence = one.prediction.get("confidence")
        rows.append((
            str(one.image),
            str(one.prediction.get("label") or "-"),
            "-" if confidence is None else f"{confidence:.1%}",
            str(one.prediction.get("target_label") or "-"),
            ", ".join(one.results.values()) or "none",
        ))  # fmt: skip
    return aligned(rows)


def failures(told: Sequence[Told]) -> Iterator[str]:
    """A line for each image, and each method of an image, that failed, and one that counts them."""
    for one in told:
        if one.error is not None:
            yield f"{one.image}: error {one.error}"
        yield from (f"{one.image}, {method}: error {error}" for method, error in one.errors.items())
    wrong = sum(not one.fine for one in told)
    if wrong:
        yield f"{wrong} of {len(told)} images were not fully explained"
