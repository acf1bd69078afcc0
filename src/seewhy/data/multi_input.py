"""A data set whose records are several named pictures: one folder per input, or one manifest column per input."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from seewhy.data.decoding import MAX_PIXELS, new_digest
from seewhy.data.images import IMAGENET_MEAN, IMAGENET_STD, LoadedImage, Preprocessing
from seewhy.data.multi_input_files import Listing, check_names_of_inputs, list_folders, list_manifest, read_table
from seewhy.data.places import Place, folder_at, on_disk, revision_at, root_at, told_revision, with_table
from seewhy.data.records import Record, RecordRef
from seewhy.data.settings import check_seed, check_split_ratio
from seewhy.values import DataError, Geometry, Json, nearest

GRAY_MEAN, GRAY_STD = (0.5,), (0.5,)
Numbers = Sequence[float]


class MultiInput:
    """Records of several pictures (PNG, TIFF and what else is decoded; 8- and 16-bit gray, RGB), each named.

    ``root`` holds one folder per input, each laid out alike as one of ``root/INPUT/{train,val,test}/CLASS/id.png``,
    ``root/INPUT/CLASS/id.png`` (split by ``split_ratio`` and ``seed``) or ``root/INPUT/id.png``; a file may also be
    called ``id_INPUT.png``. Or ``manifest`` is a CSV, TSV or Parquet table with the columns id, label, split and one of
    paths per input, relative to ``root`` (its own folder by default). ``inputs`` names the inputs in the model's order.
    All of them may lie in a store (``s3://bucket/folder``).

    ``size``, ``channels`` (1 or 3), ``mean`` and ``std`` are one value for all inputs or a mapping by input name. Left
    open, channels are as many as the mean has, else one; gray is brought from [0, 1] to [-1, 1], colour is normalised
    as ImageNet's. By default nothing is cropped, so that a place is the same place in every input of a record.

    Raises ``DataError``: SW-D80 neither folders nor a manifest, SW-D01 and SW-D02 a setting, SW-D81 to SW-D84 from
    :mod:`seewhy.data.multi_input_files`, SW-D85 a setting that does not name every input, SW-D86 channels that mean and
    std do not fit, SW-D140 to SW-D147 from a store.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        manifest: str | os.PathLike[str] | None = None,
        inputs: Sequence[str] | None = None,
        size: int | Sequence[int] | Mapping[str, Any] = 224,
        *,
        channels: int | Mapping[str, int] | None = None,
        mean: Numbers | Mapping[str, Numbers] | None = None,
        std: Numbers | Mapping[str, Numbers] | None = None,
        crop: str = "none",
        crop_ratio: float = 0.875,
        class_names: Sequence[str] | None = None,
        split_ratio: Sequence[float] = (0.7, 0.15, 0.15),
        seed: int = 0,
        background: Sequence[int] = (255, 255, 255),
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        listing = _listing(root, manifest, inputs, class_names, split_ratio, seed)
        names = self.input_names = listing.input_names
        each = {
            "size": of_each_input("size", size, names),
            "channels": of_each_input("channels", channels, names),
            "mean": of_each_input("mean", mean, names),
            "std": of_each_input("std", std, names),
        }
        self.preprocessing = {
            name: _preprocessing(
                name,
                **{setting: values[name] for setting, values in each.items()},
                crop=crop,
                crop_ratio=crop_ratio,
                background=background,
                max_pixels=max_pixels,
            )
            for name in names
        }
        self.class_names: Sequence[str] | None = listing.class_names
        self._index, self._paths = listing.index, listing.paths

    def index(self) -> Sequence[RecordRef]:
        """Every record: in the order of the paths, or of the manifest's rows."""
        return self._index

    def read(self, position: int) -> Record:
        """Decode and preprocess a record's pictures, each by its input's settings.

        The geometry is the one that all inputs share; None where they do not. Raises the ``DataError`` of
        :func:`seewhy.data.decoding.decode`.
        """
        ref = self._index[position]
        loaded = {name: self._loaded(name, place) for name, place in self._paths[position].items()}
        return Record(
            record_id=ref.record_id,
            split=ref.split,
            inputs={name: image.pixels for name, image in loaded.items()},
            label=ref.label,
            geometry=_shared([image.geometry for image in loaded.values()]),
            revision=_revision({name: image.revision for name, image in loaded.items()}, ref.label),
            notes=tuple(f"{name}: {note}" for name, image in loaded.items() for note in image.notes),
        )

    def revision(self, position: int) -> str:
        """A digest of the bytes of all the record's files, and of its label."""
        files = {name: revision_at(place) for name, place in self._paths[position].items()}
        return _revision(files, self._index[position].label)

    def _loaded(self, name: str, place: Place) -> LoadedImage:
        with on_disk(place) as path:
            image = self.preprocessing[name].load(path)
        return replace(image, revision=told_revision(place) or image.revision)

    def pictures(self, inputs: Mapping[str, Tensor]) -> Mapping[str, UInt8[np.ndarray, "_ _ 3"]]:
        """Each input ``(C, H, W)`` as a person knows it, ``(H, W, 3)``."""
        return {
            name: self.preprocessing[name].normalisation.picture(inputs[name])
            for name in self.input_names
            if name in inputs
        }

    def picture(self, inputs: Mapping[str, Tensor]) -> UInt8[np.ndarray, "h w 3"]:
        """All inputs in a row, in their order."""
        return side_by_side(list(self.pictures(inputs).values()))

    def fingerprint(self) -> Mapping[str, Json]:
        """What decides pixel values, input by input."""
        return {
            "data": "multi_input",
            "inputs": list(self.input_names),
            "preprocessing": {name: one.fingerprint() for name, one in self.preprocessing.items()},
        }


def side_by_side(pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> UInt8[np.ndarray, "h w 3"]:
    """Pictures in a row, tops aligned, black below those that are shorter.

    >>> side_by_side([np.zeros((4, 3, 3), np.uint8), np.ones((2, 5, 3), np.uint8)]).shape
    (4, 8, 3)
    """
    height = max(len(picture) for picture in pictures)
    return np.concatenate([np.pad(one, ((0, height - len(one)), (0, 0), (0, 0))) for one in pictures], axis=1)


def of_each_input(setting: str, value: Any, names: Sequence[str]) -> dict[str, Any]:
    """``value`` for every input, or a mapping's own for each; DataError SW-D85 unless it names exactly the inputs."""
    if not isinstance(value, Mapping):
        return dict.fromkeys(names, value)
    unknown = [str(name) for name in value if name not in names]
    if unknown or any(name not in value for name in names):
        raise DataError(
            "SW-D85",
            f"{setting} is given for {', '.join(map(str, value)) or 'no input'}; the inputs are {', '.join(names)}",
            near=nearest(unknown[0], names) if unknown else (),
            fix=f"give {setting} once for all inputs, or under every input's name",
        )
    return {name: value[name] for name in names}


def _listing(
    root: str | os.PathLike[str] | None,
    manifest: str | os.PathLike[str] | None,
    inputs: Sequence[str] | None,
    class_names: Sequence[str] | None,
    split_ratio: Sequence[float],
    seed: int,
) -> Listing:
    names = None if inputs is None else check_names_of_inputs(inputs)
    ratio, seed = check_split_ratio(split_ratio), check_seed(seed)
    if manifest is not None:
        table, beside = with_table("manifest", manifest, read_table)
        return list_manifest(table, beside if root is None else root_at("root", root), names, class_names)
    if root is None:
        raise DataError(
            "SW-D80",
            "nothing says where the pictures are",
            fix="set root to the folder that holds one folder per input, or manifest to a table with a column of each",
        )
    return list_folders(folder_at("root", root), names, class_names, ratio, seed)


def _preprocessing(
    name: str, *, size: Any, channels: Any, mean: Numbers | None, std: Numbers | None, **shared: Any
) -> Preprocessing:
    given = [values for values in (mean, std) if values is not None]
    count = channels if channels is not None else len(given[0]) if given else 1
    if count not in (1, 3) or any(len(values) != count for values in given):
        told = ", ".join(f"{len(values)} values of {key}" for key, values in (("mean", mean), ("std", std)) if values)
        raise DataError(
            "SW-D86",
            f"input {name!r} has channels={count!r}{' and ' + told if told else ''}",
            fix="channels is 1 (gray) or 3 (RGB); give mean and std one value per channel",
        )
    known_mean, known_std = (GRAY_MEAN, GRAY_STD) if count == 1 else (IMAGENET_MEAN, IMAGENET_STD)
    return Preprocessing.checked(
        size, known_mean if mean is None else mean, known_std if std is None else std, **shared
    )


def _shared(geometries: Sequence[Geometry]) -> Geometry | None:
    return geometries[0] if all(geometry == geometries[0] for geometry in geometries) else None


def _revision(files: Mapping[str, str], label: int | None) -> str:
    digest = new_digest()
    digest.update(repr((sorted(files.items()), label)).encode())
    return digest.hexdigest()
