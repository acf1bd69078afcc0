"""What a run says of its pictures is read back as it was, and nothing else is taken for it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from seewhy.data.orientation import Reordering
from seewhy.data.records import Space
from seewhy.pipeline.drawings import MapOf, MapsDrawing, SheetDrawing, from_json, to_json
from seewhy.pipeline.pictures import Shown, has_volume
from seewhy.values import Answer, Geometry

MAPS = MapsDrawing((MapOf("image", "gradcam", ""),), None, "", several=False)
SHEET = SheetDrawing("image", "attention@1", "rollout", (0, 1), class_token=True, suffix="", several=False)


def test_drawings_are_read_as_they_were_written() -> None:
    assert from_json(json.loads(json.dumps(to_json([MAPS, SHEET])))) == (MAPS, SHEET)


@pytest.mark.parametrize(
    "said",
    [
        {"drawings": []},
        "maps",
        ["x"],
        [None],
        [{}],
        [{"kind": "gradcam"}],
        [{"kind": "poster"}],
        [{**to_json([MAPS])[0], "maps": []}],
        [{**to_json([MAPS])[0], "maps": ["image"]}],
        [{**to_json([MAPS])[0], "maps": [{"input_name": "image", "key": 3, "suffix": ""}]}],
        [{**to_json([MAPS])[0], "suffix": None}],
        [{**to_json([MAPS])[0], "several": "no"}],
        [{**to_json([MAPS])[0], "more": 1}],
        [{**to_json([SHEET])[0], "layers": ["first"]}],
        [{**to_json([SHEET])[0], "layers": 3}],
    ],
)
def test_anything_else_is_no_drawing(said: Any) -> None:
    with pytest.raises(ValueError, match="drawing"):
        from_json(said)


def test_only_maps_of_volumes_could_be_written_as_volumes() -> None:
    geometry = Geometry.identity((4, 6, 6))
    space = Space(Reordering((0, 1, 2), (False, False, False)), np.eye(4))
    shown = Shown("a", "a", {}, None, 0, None, geometry=geometry, space=space)
    answers = {"gradcam": Answer(np.zeros((1, 2, 3, 3), np.float32), (0,))}
    assert has_volume(shown, [SHEET, MAPS], answers)
    assert not has_volume(shown, [SHEET], answers)
    assert not has_volume(shown, [MAPS], {"gradcam": Answer(np.zeros((1, 3, 3), np.float32), (0,))})
