"""Runs over volumes, clips and signals: raw maps of any rank, pictures that suit them, maps on the file's voxels."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from pipeline_inputs import Named, gap_map
from pipeline_samples import ids, pictures, rows, snapshot
from torch import nn

import seewhy
from seewhy.data.clip_folder import ClipFolder
from seewhy.data.custom import CustomDataset
from seewhy.data.records import Slices
from seewhy.data.volume_folder import VolumeFolder
from seewhy.render.encode import encode_png
from seewhy.render.signals import signal_picture
from seewhy.render.slices import slice_picture
from seewhy.values import DataError, SeewhyError
from toys import FramesNet, GapLinear, Vit

ONLY_GRADCAM: dict[str, Any] = {"generate_embeddings": False, "generate_attention": False, "target_classes": [1]}
SPACES = {"signal": (20,), "volume": (5, 6, 7)}


def gap(rank: int) -> GapLinear:
    torch.manual_seed(3)
    return GapLinear(rank)


@pytest.mark.parametrize("name", SPACES)
def test_raw_maps_have_the_rank_of_the_input(tmp_path: Path, name: str) -> None:
    space, model = SPACES[name], gap(len(SPACES[name]))
    data = Named(ids(3), {name: (2, *space)})
    assert seewhy.run(model, data, tmp_path / "run", batch_size=2, **ONLY_GRADCAM).exit_code == 0
    for record, row in rows(tmp_path / "run").items():
        expected = gap_map(model, data.inputs(record)[name], 1).numpy()
        assert row.answers["gradcam@conv"].values[0] == pytest.approx(expected, abs=1e-6)
    assert pictures(tmp_path / "run") == {f"gradcam/{record}/class_1.png" for record in ids(3)}
    assert seewhy.verify(tmp_path / "run") == []


def words_of(row: Any) -> dict[str, str]:
    caption = f"class 1 · {row.probabilities[1]:.1%}"
    caption += " · predicted" * (row.predicted == 1) + " · true class" * (row.label == 1)
    return {"title": row.record_id, "caption": caption}


def test_a_signal_is_drawn_as_lines(tmp_path: Path) -> None:
    data = Named(ids(1), {"signal": (2, 20)})
    seewhy.run(gap(1), data, tmp_path / "run", **ONLY_GRADCAM)
    row = rows(tmp_path / "run")["r00"]
    lines = data.inputs("r00")["signal"].numpy()
    expected = signal_picture(lines, row.answers["gradcam@conv"].values[0], **words_of(row))
    assert (tmp_path / "run/gradcam/r00/class_1.png").read_bytes() == encode_png(expected)


@pytest.mark.parametrize(("name", "called"), [("volume", "slice"), ("video", "frame")])
def test_a_volume_or_clip_is_drawn_as_slices_or_frames(tmp_path: Path, name: str, called: str) -> None:
    data = Named(ids(1), {name: (2, 5, 6, 7)})
    seewhy.run(gap(3), data, tmp_path / "run", **ONLY_GRADCAM)
    row = rows(tmp_path / "run")["r00"]
    shown = CustomDataset(data).pictures(data.inputs("r00"))[name]
    assert isinstance(shown, Slices)
    labels = [f"{called} {number} / 5" for number in range(1, 6)]
    expected = slice_picture(shown.pixels, row.answers["gradcam@conv"].values[0], labels=labels, **words_of(row))
    assert (tmp_path / "run/gradcam/r00/class_1.png").read_bytes() == encode_png(expected)


def test_slices_share_one_stretch_and_lie_in_order() -> None:
    values = torch.arange(4.0)[:, None, None] + 0.25 * torch.arange(5.0)[:, None] + 0.1 * torch.arange(2.0)
    shown = CustomDataset(Named(["a"], {})).pictures({"volume": values[None]})["volume"]
    assert isinstance(shown, Slices)
    low, high = np.percentile(values, (1, 99))
    levels = ((values.numpy() - low) / (high - low)).clip(0, 1) * 255
    assert np.abs(shown.pixels - levels[..., None]).max() <= 0.501  # rounded
    assert shown.pixels.shape == (4, 5, 2, 3)


def test_a_model_of_frames_first_is_explained_frame_by_frame(tmp_path: Path) -> None:
    net = gap(2)
    data = Named(ids(2), {"video": (4, 2, 6, 8)})
    seewhy.run(FramesNet(net), data, tmp_path / "run", frames_first=["video"], **ONLY_GRADCAM)
    for record, row in rows(tmp_path / "run").items():
        frames = data.inputs(record)["video"]
        expected = np.stack([gap_map(net, frame, 1).numpy() / 4 for frame in frames])
        (answer,) = row.answers.values()
        assert answer.values[0] == pytest.approx(expected, abs=1e-6)


def test_how_a_model_takes_its_frames_is_part_of_what_a_run_is(tmp_path: Path) -> None:
    net, data = FramesNet(gap(2)), Named(ids(1), {"video": (2, 2, 6, 8)})
    seewhy.run(net, data, tmp_path / "run", frames_first="video", **ONLY_GRADCAM)
    with pytest.raises(SeewhyError, match="frames_first") as refused:
        seewhy.run(net, data, tmp_path / "run", **ONLY_GRADCAM)
    assert refused.value.code == "SW-S05"


def test_volumes_of_other_shapes_go_together_with_their_like(tmp_path: Path) -> None:
    model, data = gap(3), Named(ids(4), {"volume": (2, 4, 5, 6)}, taller=["r01", "r02"])
    seewhy.run(model, data, tmp_path / "run", batch_size=4, **ONLY_GRADCAM)
    for record, row in rows(tmp_path / "run").items():
        values = data.inputs(record)["volume"]
        assert row.answers["gradcam@conv"].values[0] == pytest.approx(gap_map(model, values, 1).numpy(), abs=1e-6)


def test_tokens_of_a_volume_have_attention_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Vit((8, 8, 8), patch=4)
    summary = seewhy.run(model, Named(ids(1), {"volume": (2, 8, 8, 8)}), tmp_path / "run", generate_gradcam=False)
    rollout = rows(tmp_path / "run")["r00"].answers["rollout"].values
    assert (summary.exit_code, rollout.shape) == (0, (2, 2, 2))
    assert pictures(tmp_path / "run") == {"attention_maps/r00_attention.png"}


# -- data sets of volumes and clips


class Identity3d(nn.Module):
    """Logit 0 is the mean over the volume, logit 1 is minus that: Grad-CAM of class 0 is the volume over its cells."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv3d(1, 1, 1, bias=False), nn.Linear(1, 2, bias=False)
        self.conv.weight.data.fill_(1)
        self.fc.weight.data.copy_(torch.tensor([[1.0], [-1.0]]))

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(volume).mean(dim=(2, 3, 4)))


AFFINE = np.array([[0, -2.0, 0, 9], [1.5, 0, 0, -4], [0, 0, -3.0, 7], [0, 0, 0, 1]])


def write_scan(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values.astype(np.float32), AFFINE), path)


def scans(root: Path) -> Path:
    draw = np.random.default_rng(1)
    for split, kind, name in (
        ("train", "healthy", "a.nii"),
        ("train", "ill", "b.nii.gz"),
        ("valid", "ill", "c.nii.gz"),
    ):
        write_scan(root / split / kind / name, draw.normal(size=(4, 5, 6)))
    return root


def test_a_folder_of_volumes_has_splits_classes_and_ids(tmp_path: Path) -> None:
    data = VolumeFolder(scans(tmp_path))
    assert data.class_names == ["healthy", "ill"]
    assert [(ref.record_id, ref.split, ref.label) for ref in data.index()] == [
        ("train/healthy/a", "train", 0), ("train/ill/b", "train", 1), ("valid/ill/c", "val", 1)
    ]  # fmt: skip
    record = data.read(1)
    assert record.inputs["volume"].shape == (1, 6, 4, 5)  # S, P, L of a file whose axes run along A, L and I
    assert record.revision == data.revision(1)


def test_a_map_is_written_on_the_voxels_of_its_file(tmp_path: Path) -> None:
    """The map of the identity model is its input, so the written one must be the file's own array, scaled."""
    data = VolumeFolder(scans(tmp_path / "scans"), scaling="window", window=[-10, 10])
    asked = {**ONLY_GRADCAM, "target_classes": [0]}
    assert seewhy.run(Identity3d(), data, tmp_path / "run", **asked).exit_code == 0
    source = nibabel.load(tmp_path / "scans/train/ill/b.nii.gz")
    written = nibabel.load(tmp_path / "run/gradcam/train+ill+b/class_0.nii.gz")
    assert np.array_equal(written.affine, source.affine)
    assert written.get_fdata() == pytest.approx((source.get_fdata() + 10) / 20 / source.get_fdata().size, abs=1e-7)
    assert seewhy.verify(tmp_path / "run") == []


def test_a_resized_volume_gives_a_map_of_the_files_shape(tmp_path: Path) -> None:
    data = VolumeFolder(scans(tmp_path / "scans"), size=[3, 4, 4])
    seewhy.run(Identity3d(), data, tmp_path / "run", **{**ONLY_GRADCAM, "target_classes": [0]})
    assert nibabel.load(tmp_path / "run/gradcam/train+ill+b/class_0.nii.gz").shape == (4, 5, 6)
    assert rows(tmp_path / "run", "train")["train/ill/b"].answers["gradcam@conv"].values.shape == (1, 3, 4, 4)


def test_without_nibabel_the_maps_are_not_written_as_volumes_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seewhy.pipeline.stage.can_write_volumes", lambda: False)
    summary = seewhy.run(Identity3d(), VolumeFolder(scans(tmp_path / "scans")), tmp_path / "run", **ONLY_GRADCAM)
    assert summary.choices["maps as volumes"] == "not written: pip install 'seewhy[medical]'"
    assert summary.exit_code == 0
    assert not [name for name in snapshot(tmp_path / "run") if name.endswith(".nii.gz")]


def test_a_folder_of_dicom_slices_is_one_volume_and_keeps_its_whole_name(tmp_path: Path) -> None:
    for name in ("scan.1", "shot.2"):
        folder = tmp_path / "train" / "ill" / name
        folder.mkdir(parents=True)
        for slice_ in ("0001", "0002.dcm"):
            (folder / slice_).write_bytes(bytes(128) + b"DICM" + name.encode())
    write_scan(tmp_path / "train" / "ill" / "other.nii", np.zeros((2, 2, 2)))
    data = VolumeFolder(tmp_path)
    assert [ref.record_id for ref in data.index()] == ["train/ill/other", "train/ill/scan.1", "train/ill/shot.2"]
    before = data.revision(1)
    assert before != data.revision(2)
    (tmp_path / "train/ill/scan.1/notes.txt").write_text("not a slice")
    assert data.revision(1) == before


def test_volumes_and_clips_come_from_a_table_too(tmp_path: Path) -> None:
    write_scan(tmp_path / "scans/one.nii", np.ones((2, 2, 2)))
    table = tmp_path / "list.csv"
    table.write_text("id,path,label,split\np1,scans/one.nii,ill,train\n")
    data = VolumeFolder(manifest=table)
    assert [(ref.record_id, ref.split, ref.label) for ref in data.index()] == [("p1", "train", 0)]
    table.write_text("id,path\np1,scans/one.nii\np2,scans/two.nii\n")
    with pytest.raises(DataError, match=r"row 3 \(id 'p2'\): scans/two.nii") as refused:
        VolumeFolder(manifest=table)
    assert refused.value.code == "SW-D102"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "SW-D101"),
        ({"root": "."}, "SW-D03"),
        ({"root": ".", "scaling": "zscor"}, "SW-D104"),
        ({"root": ".", "scaling": "window"}, "SW-D104"),
    ],
)
def test_settings_that_lead_nowhere_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as refused:
        VolumeFolder(**given)
    assert refused.value.code == code


def films(root: Path) -> Path:
    for number, (kind, name) in enumerate((("run", "a"), ("run", "b"), ("walk", "c"))):
        folder = root / "test" / kind
        folder.mkdir(parents=True, exist_ok=True)
        frames = [Image.new("RGB", (12, 10), (20 * step, 40 * number, 0)) for step in range(8)]
        frames[0].save(folder / f"{name}.gif", save_all=True, append_images=frames[1:], duration=100)
    return root


def test_a_folder_of_clips_is_read_in_even_frames(tmp_path: Path) -> None:
    data = ClipFolder(films(tmp_path), frames=4, size=8, crop="none", mean=(0.5,) * 3, std=(0.5,) * 3)
    assert [(ref.record_id, ref.label) for ref in data.index()] == [
        ("test/run/a", 0), ("test/run/b", 0), ("test/walk/c", 1)
    ]  # fmt: skip
    record = data.read(2)
    assert record.inputs["video"].shape == (3, 4, 8, 8)
    shown = data.pictures(record.inputs)["video"]
    assert isinstance(shown, Slices)
    assert shown.called == "frame"
    assert [frame[0, 0].tolist() for frame in shown.pixels] == [[20 * step, 80, 0] for step in (1, 3, 5, 7)]
    assert data.picture(record.inputs)[0, 0].tolist() == [100, 80, 0]


def test_a_folder_of_clips_runs_and_resumes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2))
    data = ClipFolder(films(tmp_path / "films"), frames=4, size=8)
    first = seewhy.run(model, data, tmp_path / "run", target_classes=[0])
    again = seewhy.run(model, data, tmp_path / "run", target_classes=[0])
    assert (first.exit_code, first.computed, again.computed, again.reused) == (0, 3, 0, 3)
    assert {f"gradcam/test+run+{name}/class_0.png" for name in "ab"} <= pictures(tmp_path / "run")


def test_a_volume_whose_scaling_nobody_said_is_scaled_as_explain_volume_scales_it(tmp_path: Path) -> None:
    root = scans(tmp_path / "scans")
    left_open, said = VolumeFolder(root), VolumeFolder(root, scaling="percentiles")
    assert left_open.scaling == said.scaling == inspect.signature(seewhy.explain_volume).parameters["scaling"].default
    assert left_open.fingerprint() == said.fingerprint()
    assert torch.equal(left_open.read(1).inputs["volume"], said.read(1).inputs["volume"])


def test_a_run_says_which_scaling_it_assumed_and_nothing_where_it_was_told(tmp_path: Path) -> None:
    root, asked = scans(tmp_path / "scans"), {**ONLY_GRADCAM, "target_classes": [0]}
    choices = seewhy.run(Identity3d(), VolumeFolder(root), tmp_path / "a", **asked).choices
    assert choices["assumed scaling"].startswith("Percentiles(low=1.0, high=99.0, per_channel=True)")
    told = seewhy.run(Identity3d(), VolumeFolder(root, scaling="zscore"), tmp_path / "b", **asked).choices
    assert not [name for name in told if name.startswith("assumed")]


def test_clips_say_which_frames_size_and_normalisation_they_assume(tmp_path: Path) -> None:
    root = films(tmp_path)
    told = ClipFolder(root).assumptions()
    assert {name: how.partition(" (")[0] for name, how in told.items()} == {
        "frames": "16, spread evenly over each film",
        "size": "112 × 112 pixels",
        "mean": "[0.485, 0.456, 0.406], ImageNet's",
        "std": "[0.229, 0.224, 0.225], ImageNet's",
    }
    assert ClipFolder(root).read(0).inputs["video"].shape == (3, 16, 112, 112)
    assert set(ClipFolder(root, frames=4, size=8).assumptions()) == {"mean", "std"}
    assert ClipFolder(root, frames=4, size=8, mean=[0.5], std=[0.5]).assumptions() == {}
