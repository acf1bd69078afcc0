"""The data set of a run, opened again, and how a dropped picture is prepared as its records were."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from seewhy.remote.address import is_url
from seewhy.report.live import LiveError
from seewhy.values import Json

if TYPE_CHECKING:
    from seewhy.data.images import Preprocessing
    from seewhy.data.records import Dataset
    from seewhy.models import built

WITHOUT_FILES: Final = ("cluttered_digits",)
TABLES: Final = (".csv", ".tsv", ".parquet")
PLACES: Final = ("root", "path", "manifest", "_target_")
NO_PICTURES: Final = {
    "multi_input": "the model takes several inputs at once, and one picture is one of them",
    "volumes": "the model takes volumes, not pictures",
    "clips": "the model takes clips, not pictures",
    "cmr_acdc": "the model takes three frames of a heart's cycle, not pictures",
}
"""Kinds of data whose records no single picture can stand for."""
_SCALINGS: Final = {"ZScore": "zscore", "Window": "window", "Percentiles": "percentiles"}
NO_DATA: Final = "the data set is not open: start with --data-root DIR (or data.root=DIR …) to ask about its records"


def live_dataset(
    told: Mapping[str, Json], root: str | Path | None, given: Mapping[str, Any], model: built.Preprocessing | None
) -> Dataset | None:
    """The data set that a run's fingerprint ``told`` of, with the settings ``given`` on the command line over its own.

    None where it has files and nobody says where they are. Raises what the data set raises, and ``LiveError`` SW-W52
    for a data set of the user's own that is not named.
    """
    from seewhy.cli.build import DATA_KINDS, dataset_of

    kind = "custom" if "_target_" in given else str(given.get("kind") or told.get("data"))
    placed = root is not None or any(name in given for name in PLACES)
    if not placed and kind not in WITHOUT_FILES:
        return None
    if kind == "picture_list":
        return _pictures(told, next((str(given[name]) for name in PLACES if name in given), str(root)))
    if kind == "custom" and "_target_" not in given:
        raise LiveError(
            "SW-W52", "the run was made of a data set of your own, and does not say how to make it again",
            fix="name it with data._target_=package.Class and its arguments, or use --experiment NAME",
        )  # fmt: skip
    own = {"kind": kind, **(_settings(kind, told) if kind in DATA_KINDS and kind != "custom" else {})}
    return dataset_of({**own, **_place(kind, root), **given}, model)


def _place(kind: str, root: str | Path | None) -> dict[str, str]:
    """A folder or, for a manifest, its table; an address is never looked at, so its name tells which it is."""
    if root is None:
        return {}
    is_table = PurePosixPath(root).suffix.casefold() in TABLES if is_url(root) else Path(root).is_file()
    return {"path" if kind == "manifest" and is_table else "root": str(root)}


def _pictures(told: Mapping[str, Json], root: str) -> Dataset:
    """The pictures of `seewhy evaluate IMAGE…`, looked for below a folder."""
    from seewhy.cli.explain_files import images_of
    from seewhy.data.picture_list import PictureList
    from seewhy.data.settings import check_directory

    if is_url(root):
        root = str(check_directory("data.root", root))
    settings = {name: told[name] for name in ("size", "mean", "std", "crop", "crop_ratio") if name in told}
    return PictureList(images_of([root]), **settings)


def _settings(kind: str, told: Mapping[str, Json]) -> dict[str, Any]:
    """The settings behind a fingerprint, as far as the data set takes them."""
    from seewhy.cli.build import data_parameters

    found = {**told, **_each_input(told), **_scaling(told)}
    known = data_parameters(kind)
    return {name: value for name, value in found.items() if name in known and value is not None}


def _each_input(told: Mapping[str, Json]) -> dict[str, Any]:
    each = told.get("preprocessing")
    if not isinstance(each, Mapping) or not each:
        return {}
    first = next(iter(each.values()))
    by_input = {name: {one: settings[name] for one, settings in each.items()} for name in ("size", "mean", "std")}
    return {**by_input, **{name: first[name] for name in ("crop", "crop_ratio", "background")}}


def _scaling(told: Mapping[str, Json]) -> dict[str, Any]:
    named = _SCALINGS.get(str(told.get("scaling")))
    if named is None:
        return {}
    ends = {} if named == "zscore" else {named: [told["low"], told["high"]]}
    return {"scaling": named, **ends}


def picture_recipe(
    told: Mapping[str, Json], dataset: Dataset | None, model: built.Preprocessing | None
) -> Preprocessing | str:
    """How a dropped picture is prepared: as the run's records were, else as the model's library says; or why it cannot.

    A data set that makes its pictures crops nothing: a picture's shorter side is resized to the input's.
    """
    from seewhy.data.images import Preprocessing

    kind = str(told.get("data"))
    if kind in NO_PICTURES:
        return NO_PICTURES[kind]
    own = getattr(dataset, "preprocessing", None)
    if isinstance(own, Preprocessing):
        return own
    if told.get("size") and told.get("mean") and told.get("std"):
        names = ("crop", "crop_ratio", "background", "interpolation")
        given = {"crop_ratio": 1.0} | {name: told[name] for name in names if told.get(name) is not None}
        return Preprocessing.checked(told["size"], told["mean"], told["std"], **given)
    if model is not None and model.mean is not None and model.std is not None:
        return Preprocessing.checked(model.size, model.mean, model.std, crop_ratio=model.crop)
    return "nobody says how pictures become the model's input: neither the run nor the model"
