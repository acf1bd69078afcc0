"""A data set of clips: video files, animated pictures and multi-page TIFF files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from seewhy.data.clips import MAX_FRAMES, read_clip
from seewhy.data.folder_listing import Kind, PathLike, listing
from seewhy.data.images import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from seewhy.data.limits import MAX_BYTES
from seewhy.data.listed_files import ListedFiles
from seewhy.data.records import Record, Slices, View
from seewhy.data.volume_input import clip_input
from seewhy.values import Json

CLIPS: Final = Kind(
    "clips",
    (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".gif", ".webp", ".png", ".tif", ".tiff"),
)
FRAMES: Final = 16
"""The number of frames where none is said."""
SIZE: Final = 112
"""The size of frames in pixels where none is said."""


class ClipFolder(ListedFiles):
    """Clips ``{"video": (C, T, H, W)}`` of ``frames`` frames spread evenly over each film, from
    ``root/{train,val,test}/CLASS/``, ``root/CLASS/`` or ``root/``, or from a ``manifest`` with the columns id, path,
    label and split.

    Frames are resized, cropped and normalised as pictures are (:class:`seewhy.data.image_folder.ImageFolder`). Where
    ``frames``, ``size``, ``mean`` or ``std`` is None, :data:`FRAMES`, :data:`SIZE` and ImageNet's are assumed, and said
    to be. A model that takes ``(B, T, C, H, W)`` is told by the run's ``frames_first=[video]``.

    Raises what :func:`seewhy.data.folder_listing.listing` and :class:`seewhy.data.images.Preprocessing` raise.
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
        assumed = _assumed(frames=frames, size=size, mean=mean, std=std)
        super().__init__(listing(CLIPS, root, manifest, class_names, split_ratio, seed), "video", assumed)

    def read(self, position: int) -> Record:
        """Decode the frames of one clip and preprocess them; raises what ``read_clip`` raises."""
        clip = read_clip(self._paths[position], self.frames, **self._limits)
        return self._record(position, clip_input(clip, self.preprocessing))

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


def _assumed(**given: object) -> dict[str, str]:
    """What stands for each setting that was left open."""
    taken = {
        "frames": f"{FRAMES}, spread evenly over each film (data.frames=... to say otherwise)",
        "size": f"{SIZE} × {SIZE} pixels (data.size=... to say otherwise)",
        "mean": f"{list(IMAGENET_MEAN)}, ImageNet's (data.mean=... to say otherwise)",
        "std": f"{list(IMAGENET_STD)}, ImageNet's (data.std=... to say otherwise)",
    }
    return {name: taken[name] for name, value in given.items() if value is None}
