"""A data set of clips: video files, animated pictures and multi-page TIFF files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from seewhy.data.clips import MAX_FRAMES, read_clip
from seewhy.data.folder_listing import Kind, PathLike, content_revision, listing
from seewhy.data.images import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from seewhy.data.limits import MAX_BYTES
from seewhy.data.records import Record, RecordRef, Slices, View
from seewhy.data.volume_input import clip_input
from seewhy.values import Json

CLIPS: Final = Kind(
    "clips",
    (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".gif", ".webp", ".png", ".tif", ".tiff"),
)


class ClipFolder:
    """Clips ``{"video": (C, T, H, W)}`` of ``frames`` frames spread evenly over each film, from
    ``root/{train,val,test}/CLASS/``, ``root/CLASS/`` or ``root/``, or from a ``manifest`` with the columns id, path,
    label and split.

    Frames are resized, cropped and normalised as pictures are (:class:`seewhy.data.image_folder.ImageFolder`). A model
    that takes ``(B, T, C, H, W)`` is told by the run's ``frames_first=[video]``.

    Raises what :func:`seewhy.data.folder_listing.listing` and :class:`seewhy.data.images.Preprocessing` raise.
    """

    def __init__(
        self,
        root: PathLike | None = None,
        manifest: PathLike | None = None,
        frames: int = 16,
        size: int | Sequence[int] = 112,
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        crop: str = "center",
        crop_ratio: float = 0.875,
        class_names: Sequence[str] | None = None,
        split_ratio: Sequence[float] = (0.7, 0.15, 0.15),
        seed: int = 0,
        max_frames: int = MAX_FRAMES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.preprocessing = Preprocessing.checked(size, mean, std, crop=crop, crop_ratio=crop_ratio)
        self.frames = frames
        self._limits = {"max_frames": max_frames, "max_bytes": max_bytes}
        found = listing(CLIPS, root, manifest, class_names, split_ratio, seed)
        self.class_names: Sequence[str] | None = found.class_names
        self._index, self._paths = found.index, found.paths

    def index(self) -> Sequence[RecordRef]:
        """Every clip, in the order of the paths or of the table's rows."""
        return self._index

    def read(self, position: int) -> Record:
        """Decode the frames of one clip and preprocess them; raises what ``read_clip`` raises."""
        ref = self._index[position]
        loaded = clip_input(read_clip(self._paths[position], self.frames, **self._limits), self.preprocessing)
        return Record(
            record_id=ref.record_id,
            split=ref.split,
            inputs={"video": loaded.values},
            label=ref.label,
            geometry=loaded.geometry,
            revision=self.revision(position),
            notes=loaded.notes,
        )

    def revision(self, position: int) -> str:
        """A digest of the file's bytes."""
        return content_revision(self._paths[position])

    def pictures(self, inputs: Mapping[str, Tensor]) -> Mapping[str, View]:
        """Every frame with the normalisation undone."""
        return {"video": self._frames(inputs["video"])}

    def picture(self, inputs: Mapping[str, Tensor]) -> UInt8[np.ndarray, "h w 3"]:
        """The middle frame."""
        return self._frames(inputs["video"]).middle

    def fingerprint(self) -> Mapping[str, Json]:
        """What decides pixel values."""
        return {"data": "clips", "frames": self.frames, **self.preprocessing.fingerprint()}

    def _frames(self, values: Tensor) -> Slices:
        column = self.preprocessing.normalisation.picture(values.detach().cpu().flatten(1, 2))
        return Slices(column.reshape(*values.shape[1:], 3), "frame")
