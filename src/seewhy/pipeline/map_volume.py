"""A raw map of a volume as NIfTI, on the voxels of the file that the volume was read from."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from jaxtyping import Float

from seewhy.data.records import Space
from seewhy.render.heatmap import place_on_original
from seewhy.render.resize import resize
from seewhy.render.stacks import encode_nifti
from seewhy.values import Geometry


def can_write_volumes() -> bool:
    """Whether nibabel is installed."""
    return find_spec("nibabel") is not None


def map_volume(raw: Float[np.ndarray, "d h w"], geometry: Geometry, space: Space) -> bytes:
    """The raw, signed map, enlarged linearly to the original and laid on the voxels of its file: same shape and affine.

    Voxels that the model never saw are 0.
    """
    at_input = resize(raw, geometry.input)
    values, _ = place_on_original(at_input, geometry)
    return encode_nifti(space.order.undo(values), space.affine)
