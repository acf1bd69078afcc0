"""One forward reads any layers: the very numbers of the modules, for records and time steps, of any rank."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from borrowed import unchanged
from features.video_models import WAYS, ClipNet, TimeAttention, Trunk, Way
from seewhy.features.collecting import Collected
from seewhy.features.layer_reader import LayerReader
from seewhy.features.measuring import statistics_of
from seewhy.features.row_order import frame_calls
from seewhy.values import DataError, LayerError, ModelError

CLIPS = torch.randn(2, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
PAIRS = [(0, 0), (1, 3), (1, 0), (0, 2)]


def of_pairs(model: nn.Module, batch: Any, pairs: list[tuple[int, int]], layers: Any = None) -> dict[str, list[Tensor]]:
    reader = LayerReader(model, layers)
    kept = Collected(reader.given(batch), pairs)
    counts = reader.read(kept.given, kept.take)
    return kept.by_layer(reader.layers, counts)


@pytest.mark.parametrize("way", WAYS)
def test_a_frame_of_a_clip_is_found_whichever_way_the_model_goes_through_time(way: Way) -> None:
    model = ClipNet(way).eval()
    found = of_pairs(model, CLIPS, PAIRS, ["conv1", "act", "act#1", "lstm"])
    trunk = model.backbone
    for index, (record, step) in enumerate(PAIRS):
        frame = CLIPS[record, step][None]
        first = trunk.conv1(frame)
        second = trunk.conv2(first.relu())
        vectors = torch.stack([trunk(one[None])[0] for one in CLIPS[record]])[None]
        hidden = model.lstm(vectors if model.lstm.batch_first else vectors.transpose(0, 1))[0]
        expected = {
            "conv1": first[0],
            "act": first.relu()[0],
            "act#1": second.relu()[0],
            "lstm": hidden.reshape(4, 6)[step],
        }
        for name, value in expected.items():
            torch.testing.assert_close(found[name][index], value, msg=f"{name} of record {record}, step {step}")


def test_rows_that_run_by_time_are_told_from_rows_that_run_by_record_also_with_as_many_steps_as_records() -> None:
    square = CLIPS[:, :2]
    by_record, by_time = (of_pairs(ClipNet(way), square, [(0, 1), (1, 0)]) for way in WAYS[:2])
    for name in ("conv1", "conv2", "lstm"):
        for one, other in zip(by_record[name], by_time[name], strict=True):
            torch.testing.assert_close(one, other, msg=name)


def test_attention_over_time_is_read_at_each_step() -> None:
    model = TimeAttention().eval()
    found = of_pairs(model, {"frames": CLIPS, "label": torch.zeros(2)}, PAIRS, "mix")
    mixed = model.mix(torch.stack([model.trunk(clip) for clip in CLIPS]))
    for index, (record, step) in enumerate(PAIRS):
        torch.testing.assert_close(found["mix"][index], mixed[record, step])


def test_a_model_of_pictures_gets_the_frames_of_a_clip_as_pictures() -> None:
    model = Trunk()
    found = of_pairs(model, CLIPS, PAIRS, "conv1")
    for index, (record, step) in enumerate(PAIRS):
        torch.testing.assert_close(found["conv1"][index], model.conv1(CLIPS[record, step][None])[0])


def test_a_time_axis_inside_the_layer_is_followed_at_its_own_stride() -> None:
    model = nn.Sequential(nn.Conv3d(3, 2, 3, stride=(2, 1, 1), padding=1), nn.ReLU())
    video = torch.randn(2, 3, 8, 6, 6)
    found = of_pairs(model, {"video": video}, [(1, 0), (1, 5)], "0")
    whole = model[0](video)
    assert whole.shape[2] == 4
    torch.testing.assert_close(found["0"][0], whole[1, :, 0])
    torch.testing.assert_close(found["0"][1], whole[1, :, 2])  # step 5 of 8 lies in the third of four


def test_a_volume_has_no_time_and_is_kept_whole() -> None:
    model = nn.Sequential(nn.Conv3d(1, 2, 3), nn.ReLU())
    volume = torch.randn(2, 1, 7, 6, 6)
    torch.testing.assert_close(of_pairs(model, volume, [(1, 0)], "0")["0"][0], model[0](volume)[1])
    with pytest.raises(DataError, match="no time") as raised:
        of_pairs(model, volume, [(0, 3)], "0")
    assert raised.value.code == "SW-D132"


def test_tokens_become_the_grid_they_were_cut_from_without_the_class_token() -> None:
    model = timm.create_model("test_vit", img_size=64).eval()
    pictures = torch.randn(2, 3, 64, 64)
    found = LayerReader(model, "blocks.0").maps(pictures)["blocks.0"]
    tokens = model.blocks[0](model.norm_pre(model._pos_embed(model.patch_embed(pictures))))
    side = 64 // model.patch_embed.patch_size[0]
    torch.testing.assert_close(found, tokens[:, 1:].transpose(1, 2).reshape(2, -1, side, side))


def test_channels_last_and_vectors_and_signals_have_their_channels_second() -> None:
    swin = timm.create_model("swin_tiny_patch4_window7_224").eval()
    pictures = torch.randn(1, 3, 224, 224)
    torch.testing.assert_close(
        LayerReader(swin, "patch_embed").maps(pictures)["patch_embed"], swin.patch_embed(pictures).permute(0, 3, 1, 2)
    )
    signals = nn.Sequential(nn.Conv1d(2, 3, 5), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(3, 4))
    found = LayerReader(signals, ["0", "4"]).maps(torch.ones(2, 2, 20))
    torch.testing.assert_close(found["0"], signals[0](torch.ones(2, 2, 20)))
    torch.testing.assert_close(found["4"], signals(torch.ones(2, 2, 20)))


def test_an_activation_in_place_behind_a_layer_does_not_change_what_was_read() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(inplace=True))
    pictures = torch.randn(2, 1, 9, 9)
    found = LayerReader(model).maps(pictures)
    torch.testing.assert_close(found["0"], model[0](pictures))
    assert bool((found["0"] < 0).any())
    assert bool((found["1"] >= 0).all())


def test_statistics_over_batches_are_those_of_all_records_at_once() -> None:
    model = ClipNet("frame by frame").eval()
    clips = torch.randn(5, 3, 3, 8, 8)
    found = statistics_of(LayerReader(model, ["act", "act#1", "lstm"]), clips.split(2))
    # the activation runs twice on every frame, on 4 and then on 5 channels
    first = model.backbone.conv1(clips.flatten(0, 1)).relu()
    second = model.backbone.conv2(first).relu()
    for name, values in (("act", first), ("act#1", second)):
        torch.testing.assert_close(found[name].mean.float(), values.mean(dim=(0, 2, 3)))
        assert found[name].zeros.tolist() == (values == 0).sum(dim=(0, 2, 3)).tolist()
    assert (found["lstm"].records, found["lstm"].count) == (15, 15)


@pytest.mark.parametrize("way", WAYS)
def test_the_model_comes_back_as_it_was_also_after_an_error(way: Way) -> None:
    model = ClipNet(way).train()
    clips = CLIPS.clone()
    with unchanged(model, clips):
        LayerReader(model).maps(clips)
    with unchanged(model, clips), pytest.raises(ZeroDivisionError):
        LayerReader(model).read(clips, lambda part: 1 / 0)
    with unchanged(model), pytest.raises(ModelError):
        LayerReader(model).maps(torch.zeros(2, 4, 3, 8))


def test_a_dict_goes_by_the_names_of_forward_and_a_loaders_tuple_without_its_labels() -> None:
    model = ClipNet()
    by_tensor = LayerReader(model, "lstm").maps(CLIPS)["lstm"]
    for batch in ({"gaze": torch.zeros(2, 8, 8), "frames": CLIPS}, (CLIPS, torch.zeros(2)), [{"frames": CLIPS}, 1]):
        torch.testing.assert_close(LayerReader(model, "lstm").maps(batch)["lstm"], by_tensor)
    with pytest.raises(DataError) as raised:
        LayerReader(model, "lstm").maps({"left": CLIPS, "right": CLIPS})
    assert raised.value.code == "SW-D130"
    with pytest.raises(DataError) as raised:
        LayerReader(model, "lstm").maps(CLIPS[:0])
    assert raised.value.code == "SW-D131"


class Odd(nn.Module):
    """A layer of which nothing can be read, and one that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.scale, self.never = nn.Conv2d(1, 2, 1), Summed(), nn.Conv2d(1, 2, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.conv(pictures) * self.scale(pictures)


class Summed(nn.Module):
    """One number for each pixel row of the batch, which is neither a record's nor a step's."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, pictures: Tensor) -> Tensor:
        return (self.weight * pictures).sum(dim=(0, 1, 3))[:, None]


def test_what_cannot_be_read_is_an_error_if_named_and_left_out_with_its_reason_if_not() -> None:
    pictures = torch.ones(2, 1, 3, 3)
    reader = LayerReader(Odd())
    assert list(reader.maps(pictures)) == ["conv"]
    assert "neither the 2 records" in reader.skipped["scale"]
    assert "not reached" in reader.skipped["never"]
    for layer, code in (("scale", "SW-L40"), ("never", "SW-L07")):
        with pytest.raises(LayerError) as raised:
            LayerReader(Odd(), layer).maps(pictures)
        assert raised.value.code == code


def test_a_module_that_runs_a_multiple_of_the_steps_runs_for_each_of_them() -> None:
    assert [frame_calls(*asked) for asked in [(4, 4, False), (8, 4, False), (6, 4, False), (1, 4, True)]] == [
        1,
        2,
        0,
        0,
    ]
