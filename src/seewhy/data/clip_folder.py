"""A data set of clips: video files, animated pictures, multi-page TIFF files and folders of frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Float64, UInt8
from torch import Tensor

from seewhy.data.clip_annotations import ClipAnnotations
from seewhy.data.clips import MAX_FRAMES, read_clip
from seewhy.data.film_times import FilmTimes, film_times, without_times
from seewhy.data.folder_listing import Kind, PathLike, listing
from seewhy.data.frame_folder import frames_revision
from seewhy.data.frame_sampling import Limits, even_positions
from seewhy.data.gaze import Gaze
from seewhy.data.images import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from seewhy.data.limits import MAX_BYTES
from seewhy.data.listed_files import ListedFiles
from seewhy.data.places import on_disk, parent_of, revision_at
from seewhy.data.records import Record, Slices, View
from seewhy.data.settings import check_positive
from seewhy.data.volume_input import clip_input
from seewhy.values import Json

CLIPS: Final = Kind(
    "clips",
    (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".gif", ".webp", ".png", ".tif", ".tiff"),
    frames=True,
)
FRAMES: Final = 16
"""The number of frames where none is said."""
SIZE: Final = 112
"""The size of frames in pixels where none is said."""


class ClipFolder(ListedFiles):
    """Clips ``{"video": (C, T, H, W)}`` of ``frames`` frames spread evenly over each film, from
    ``root/{train,val,test}/CLASS/``, ``root/CLASS/`` or ``root/``, or from a ``manifest`` with the columns id, path,
    label and split. A clip is a video file, an animated picture, a multi-page TIFF or a folder of JPEG or PNG frames
    (``000001.jpg`` ...).

    Frames are resized, cropped and normalised as pictures are (:class:`seewhy.data.image_folder.ImageFolder`). Where
    ``frames``, ``size``, ``mean`` or ``std`` is None, :data:`FRAMES`, :data:`SIZE` and ImageNet's are assumed, and said
    to be. A model that takes ``(B, T, C, H, W)`` is told by the run's ``frames_first=[video]``.

    ``annotations`` is a table of points (where somebody looked, say) and facts, as
    :func:`seewhy.data.gaze_table.read_gaze_table` reads it; ``"auto"`` takes ``gaze.csv`` or ``gaze.parquet`` in root
    where there is one. ``coordinates`` are ``pixels`` or ``fraction``. :meth:`gaze` gives each frame the one point
    nearest in time, with ``dense_gaze`` all of the time that it stands for; :meth:`info` gives the facts. ``fps`` is
    the frames per second of films that tell no times, such as folders.

    Raises what :func:`seewhy.data.folder_listing.listing`, :class:`seewhy.data.images.Preprocessing` and
    :meth:`seewhy.data.clip_annotations.ClipAnnotations.of` raise, and ``DataError`` SW-D118 where points of folders are
    told in seconds without ``fps``.
    """

    def __init__(
        self,
        root: PathLike | None = None,
        manifest: PathLike | None = None,
        frames: int | None = None,
        size: int | Sequence[int] | None = None,
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        crop: str = "center",
        crop_ratio: float = 0.875,
        class_names: Sequence[str] | None = None,
        split_ratio: Sequence[float] = (0.7, 0.15, 0.15),
        seed: int = 0,
        max_frames: int = MAX_FRAMES,
        max_bytes: int = MAX_BYTES,
        annotations: PathLike | None = None,
        coordinates: str | None = None,
        dense_gaze: bool = False,
        fps: float | None = None,
    ) -> None:
        self.preprocessing = Preprocessing.checked(
            SIZE if size is None else size,
            IMAGENET_MEAN if mean is None else mean,
            IMAGENET_STD if std is None else std,
            crop=crop,
            crop_ratio=crop_ratio,
        )
        self.frames = FRAMES if frames is None else frames
        self._limits = {"max_frames": max_frames, "max_bytes": max_bytes}
        self._fps = None if fps is None else check_positive("fps", fps)
        found = listing(CLIPS, root, manifest, class_names, split_ratio, seed)
        beside = root if root is not None else parent_of(manifest or ".")
        ids = [ref.record_id for ref in found.index]
        self._annotations = ClipAnnotations.of(annotations, beside, ids, coordinates, dense_gaze)
        assumed = _assumed(frames=frames, size=size, mean=mean, std=std)
        super().__init__(found, "video", assumed | self._annotations.assumed(annotations, coordinates))
        self._check_times()

    def read(self, position: int) -> Record:
        """Decode the frames of one clip and preprocess them; raises what ``read_clip`` raises."""
        with on_disk(self._paths[position]) as path:
            clip = read_clip(path, self.frames, **self._limits)
        loaded = clip_input(clip, self.preprocessing)
        notes = (*loaded.notes, *self._gaze_notes(position, clip.readable))
        return self._record(position, replace(loaded, notes=notes))

    def revision(self, position: int) -> str:
        """A digest of the bytes of the file, or of the frames in the folder."""
        place = self._paths[position]
        return revision_at(place, frames_revision) if place.is_dir() else super().revision(position)

    @property
    def has_gaze(self) -> bool:
        """Whether there is a table of annotations."""
        return self._annotations.table is not None

    def gaze(self, position: int, readable: int | None = None) -> list[Float64[np.ndarray, "n 2"]]:
        """For each frame of the clip the points that belong to it, ``(n, 2)`` as ``(x, y)`` in pixels of the input.

        A frame to which no point belongs has ``(0, 2)``. ``readable`` is how many frames of a damaged film could be
        read (its record's notes say so); its clip has other frames than the whole film's. Nothing is decoded but the
        first frame of a video, which tells how it is turned. Raises ``DataError`` SW-D118 for seconds of a film that
        tells no times, SW-D119 without annotations, and what reading the film raises.
        """
        return list(self.points(position, readable).frames)

    def points(self, position: int, readable: int | None = None) -> Gaze:
        """What :meth:`gaze` gives, and how many points were cropped away or lie outside."""
        times = self._times(position)
        plane = self.preprocessing.geometry(times.size)
        return self._annotations.gaze(self._index[position].record_id, times, self.frames, readable, plane)

    def info(self, position: int) -> dict[str, Json]:
        """Plain facts of a record: every column of its annotations that is about the record (``verb``, ``noun`` ...),
        ``record_id``, ``split``, ``label``, ``length`` (how many different frames the clip has) and ``film_frames``.
        """
        ref, count = self._index[position], self._times(position).count
        return {
            **self._annotations.facts(ref.record_id),
            "record_id": ref.record_id,
            "split": ref.split,
            "label": ref.label,
            "length": len(set(even_positions(count, self.frames))),
            "film_frames": count,
        }

    def pictures(self, inputs: Mapping[str, Tensor]) -> Mapping[str, View]:
        """Every frame with the normalisation undone."""
        return {"video": self._frames(inputs["video"])}

    def picture(self, inputs: Mapping[str, Tensor]) -> UInt8[np.ndarray, "h w 3"]:
        """The middle frame."""
        return self._frames(inputs["video"]).middle

    def fingerprint(self) -> Mapping[str, Json]:
        """What decides pixel values."""
        return {"data": "clips", "frames": self.frames, **self.preprocessing.fingerprint()}

    def _times(self, position: int) -> FilmTimes:
        with on_disk(self._paths[position]) as path:
            return film_times(path, Limits(**self._limits)).at(self._fps)

    def _check_times(self) -> None:
        """DataError SW-D118 for seconds of folders, told before the work begins."""
        table = self._annotations.table
        if table is None or not table.in_seconds or self._fps is not None:
            return
        for ref, path in zip(self._index, self._paths, strict=True):
            if ref.record_id in table.records and path.is_dir():
                raise without_times(ref.record_id)

    def _gaze_notes(self, position: int, readable: int | None) -> list[str]:
        if self._annotations.table is None:
            return []
        if self._annotations.points(self._index[position].record_id) is None:
            return ["gaze: the annotations have no row for this record"]
        return self.points(position, readable).notes()

    def _frames(self, values: Tensor) -> Slices:
        column = self.preprocessing.normalisation.picture(values.detach().cpu().flatten(1, 2))
        return Slices(column.reshape(*values.shape[1:], 3), "frame")


def _assumed(**given: object) -> dict[str, str]:
    """What stands for each setting that was left open."""
    taken = {
        "frames": f"{FRAMES}, spread evenly over each film (data.frames=... to say otherwise)",
        "size": f"{SIZE} × {SIZE} pixels (data.size=... to say otherwise)",
        "mean": f"{list(IMAGENET_MEAN)}, ImageNet's (data.mean=... to say otherwise)",
        "std": f"{list(IMAGENET_STD)}, ImageNet's (data.std=... to say otherwise)",
    }
    return {name: taken[name] for name, value in given.items() if value is None}
