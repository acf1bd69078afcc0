"""Signals among the inputs, and loaders whose labels are texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from seewhy.multi_input import GradCAMVisualizer, MultiInputGradCAM
from seewhy.values import SeewhyError
from toys import Branches, ConvNet


def test_the_heat_map_of_a_signal_is_saved_as_a_strip(tmp_path: Path) -> None:
    model = Branches(ConvNet(2), ConvNet(1, channels=1))
    cam = MultiInputGradCAM(model)
    heats = cam.generate_cam([torch.rand(1, 2, 9, 11), torch.rand(1, 1, 21)])
    written = cam.save_heatmaps(heats, tmp_path, "p1")
    assert sorted(path.name for path in written) == ["p1_image.png", "p1_second.png"]
    with Image.open(tmp_path / "p1_second.png") as strip:
        rows = np.asarray(strip)
    assert rows.shape[1] == 21
    assert (rows == rows[0]).all()


def test_labels_that_are_texts_are_not_taken_for_ids() -> None:
    model = Branches(ConvNet(2), ConvNet(2))
    loader = [(torch.rand(2, 2, 9, 11), torch.rand(2, 2, 9, 11), ("Early", "Late"), ("p1", "p2"))]
    with pytest.raises(SeewhyError, match="labels are texts"):
        GradCAMVisualizer(model).batch_analyze(loader)
