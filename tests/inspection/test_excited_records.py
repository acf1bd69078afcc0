"""The records that excite a channel: known ones are found, in any batches, from any source, and only they are kept."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from borrowed import unchanged
from features.video_models import ClipNet
from seewhy.data.custom import CustomDataset
from seewhy.data.records import Record, RecordRef, Slices
from seewhy.inspection.excited_records import ExcitedRecords, top_records
from seewhy.inspection.record_view import seen_record
from seewhy.values import ConfigError, DataError, LayerError, SeewhyError

SIZE = 6
PLAIN = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "size": SIZE, "crop": "none"}
BRIGHT = [3, 9, 1, 7, 9, 5, 0, 9, 2, 8]
"""How bright the spot of each record is: of equal ones the earlier comes first."""
ORDER = [1, 4, 7, 9, 3, 5, 0, 8, 2, 6]


def spots() -> Tensor:
    """Records ``(N, 3, 6, 6)`` with one spot of red, at row and column of their number."""
    pictures = torch.zeros(len(BRIGHT), 3, SIZE, SIZE)
    for number, bright in enumerate(BRIGHT):
        pictures[number, 0, number // SIZE, number % SIZE] = bright / 10
    return pictures


def colours() -> nn.Sequential:
    """Channel 0 is red, 1 its negative, 2 is zero; then a vector of their means."""
    model = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model[0].weight.data.zero_()
    model[0].weight.data[0, 0], model[0].weight.data[1, 0] = 1.0, -1.0
    return model.eval()


class Spots:
    """The spots as a data set of ours that counts what is read and keeps track of what is alive."""

    class_names = None

    def __init__(self, broken: tuple[int, ...] = ()) -> None:
        self.reads: Counter[int] = Counter()
        self.alive: list[weakref.ref[Tensor]] = []
        self.broken = broken

    def index(self) -> list[RecordRef]:
        return [RecordRef(f"spot_{number}", "train" if number < 5 else "test") for number in range(len(BRIGHT))]

    def read(self, position: int) -> Record:
        self.reads[position] += 1
        if position in self.broken:
            raise OSError("cut short")
        picture = spots()[position]
        self.alive.append(weakref.ref(picture))
        return Record(f"spot_{position}", "train", {"image": picture})

    def revision(self, position: int) -> str:
        return ""

    def picture(self, inputs: Any) -> np.ndarray:
        return (inputs["image"].permute(1, 2, 0) * 255).byte().numpy()

    def fingerprint(self) -> dict[str, Any]:
        return {}


def plain(found: ExcitedRecords) -> dict[int, list[tuple[Any, ...]]]:
    return {
        channel: [(one.position, one.value, one.place, one.map.tolist()) for one in each]
        for channel, each in found.items()
    }


def test_the_brightest_are_found_with_their_place_and_equal_ones_in_the_order_of_the_records() -> None:
    found = top_records(colours(), Spots(), "0", channels=[0, 1], top_k=10)
    assert [one.position for one in found[0]] == ORDER
    assert [one.record_id for one in found[0]][:2] == ["spot_1", "spot_4"]
    assert [one.value for one in found[0]] == pytest.approx([BRIGHT[number] / 10 for number in ORDER])
    # the record with a spot of 0 holds nothing, and its first cell is the highest of equals
    assert [one.place for one in found[0]][:-1] == [(number // SIZE, number % SIZE) for number in ORDER[:-1]]
    assert [one.value for one in found[1]] == [0.0] * 10
    assert [one.position for one in found[1]] == list(range(10))
    assert (found.layer, found.records, dict(found.failures)) == ("0", 10, {})


def test_the_mean_is_another_order_than_the_highest_where_spots_are_wide() -> None:
    pictures = [torch.zeros(3, SIZE, SIZE), torch.full((3, SIZE, SIZE), 0.2)]
    pictures[0][0, 0, 0] = 1.0
    assert [one.record_id for one in top_records(colours(), pictures, "0", 0)[0]] == ["0", "1"]
    by_mean = top_records(colours(), pictures, "0", 0, reduce="mean")[0]
    assert [one.record_id for one in by_mean] == ["1", "0"]
    assert [one.value for one in by_mean] == pytest.approx([0.2, 1 / SIZE**2])


@pytest.mark.parametrize("batch_size", [1, 3, 10, 64])
def test_the_batch_size_changes_nothing(batch_size: int) -> None:
    expected = plain(top_records(colours(), Spots(), "0", top_k=4))
    assert plain(top_records(colours(), Spots(), "0", top_k=4, batch_size=batch_size)) == expected
    assert plain(top_records(colours(), list(spots()), "0", top_k=4, batch_size=batch_size)) == expected
    loader = DataLoader(TensorDataset(spots(), torch.zeros(10)), batch_size=batch_size)
    assert plain(top_records(colours(), loader, "0", top_k=4)) == expected
    assert plain(top_records(colours(), [(part,) for part in spots().split(batch_size)], "0", top_k=4)) == expected
    assert plain(top_records(colours(), spots(), "0", top_k=4, batch_size=batch_size)) == expected


def test_only_the_winners_are_read_a_second_time_and_no_picture_is_kept(tmp_path: Path) -> None:
    data = Spots()
    found = top_records(colours(), data, "0", channels=0, top_k=2, save_path=tmp_path / "sheet.png", batch_size=3)
    # the first is looked at before the long pass, so that what cannot be shown is said then
    assert dict(data.reads) == {number: 1 + (number in (0, 1, 4)) for number in range(10)}
    gc.collect()
    assert not [ref for ref in data.alive if ref() is not None]
    assert {one.map.untyped_storage().nbytes() for one in found[0]} == {SIZE * SIZE * 4}
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert np.asarray(sheet).std() > 0


def test_a_sheet_of_every_channel_shows_a_few_of_them(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 40, 1))
    found = top_records(model, list(spots()), "0", top_k=2, save_path=tmp_path / "sheet.png")
    assert len(found) == 40
    named = top_records(model, list(spots()), "0", list(range(8)), 2, save_path=tmp_path / "named.png")
    assert list(named) == list(range(8))
    heights = []
    for name in ("sheet.png", "named.png"):
        with Image.open(tmp_path / name) as sheet:
            heights.append(sheet.size[1])
    assert abs(heights[0] - heights[1]) < 60  # a line of words at most, where a row of pictures has over 200


def test_a_record_that_cannot_be_read_is_left_out_and_told(tmp_path: Path) -> None:
    found = top_records(colours(), Spots(broken=(0, 4)), "0", 0, top_k=10, save_path=tmp_path / "sheet.png")
    assert [one.position for one in found[0]] == [number for number in ORDER if number not in (0, 4)]
    assert set(found.failures) == {"spot_0", "spot_4"}
    assert found.failures["spot_4"] == "OSError: cut short"
    with pytest.raises(DataError, match="cut short") as raised:
        top_records(colours(), Spots(broken=tuple(range(10))), "0", 0)
    assert raised.value.code == "SW-D53"


def test_a_split_is_looked_at_alone() -> None:
    found = top_records(colours(), Spots(), "0", 0, split="test", top_k=3)
    assert [one.position for one in found[0]] == [number for number in ORDER if number >= 5][:3]
    assert found.records == 5


def test_pictures_are_called_by_their_files_and_prepared_as_the_explainers_do(tmp_path: Path) -> None:
    paths = []
    for name, value in {"dark": 10, "light": 250, "middle": 100}.items():
        paths.append(tmp_path / f"{name}.png")
        Image.fromarray(np.full((2 * SIZE, 2 * SIZE, 3), value, np.uint8)).save(paths[-1])
    found = top_records(colours(), paths, "0", 0, save_path=tmp_path / "sheet.png", preprocessing=PLAIN)
    assert [one.record_id for one in found[0]] == ["light", "middle", "dark"]
    assert [one.value for one in found[0]] == pytest.approx([2 * value / 255 - 1 for value in (250, 100, 10)], rel=1e-5)


def test_values_that_are_no_numbers_are_left_out_and_counted(tmp_path: Path) -> None:
    class Root(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x - 0.4).sqrt()

    model = nn.Sequential(Root(), nn.Flatten())
    pictures = torch.full((3, 3, SIZE, SIZE), 0.5)
    pictures[1, 0, 0, 0] = 0.0
    found = top_records(model, pictures, "0", save_path=tmp_path / "sheet.png")
    assert found.nonfinite == {0: 1}
    assert [one.position for one in found[0]] == [0, 2]
    assert [one.position for one in found[1]] == [0, 1, 2]


def test_a_vector_has_no_place_and_a_clip_one_in_time(tmp_path: Path) -> None:
    found = top_records(colours(), Spots(), "2", 0, top_k=2, save_path=tmp_path / "vector.png")
    assert [(one.position, one.place) for one in found[0]] == [(1, ()), (4, ())]
    model, clips = ClipNet().eval(), torch.zeros(3, 5, 3, 8, 8)
    clips[2, 3, :, 4, 6] = 100.0
    found = top_records(model, clips, "conv1", top_k=1, save_path=tmp_path / "clips.png")
    best = max(found.values(), key=lambda each: each[0].value)[0]
    assert best.position == 2
    assert best.place[0] == 3
    assert best.map.shape == (5, 8, 8)
    assert max(abs(best.place[1] - 4), abs(best.place[2] - 6)) <= 1


def test_signals_and_volumes_are_drawn_too(tmp_path: Path) -> None:
    signals = torch.zeros(4, 1, 20)
    signals[2, 0, 7] = 5.0
    model = nn.Sequential(nn.Conv1d(1, 1, 1, bias=False), nn.Flatten())
    model[0].weight.data.fill_(2.0)
    for data in (signals, signals.split(3)):
        (best, *_) = top_records(model, data, "0", save_path=tmp_path / "signals.png")[0]
        assert (best.position, best.value, best.place) == (2, 10.0, (7,))
    volume = nn.Sequential(nn.Conv3d(1, 1, 1, bias=False), nn.Flatten())
    volume[0].weight.data.fill_(1.0)
    volumes = torch.zeros(3, 1, 4, 5, 6)
    volumes[1, 0, 3, 2, 5] = 1.0
    (best, *_) = top_records(volume, volumes, "0", save_path=tmp_path / "volumes.png")[0]
    assert (best.position, best.place) == (1, (3, 2, 5))


def test_the_frame_shown_is_the_one_where_the_channel_is_highest() -> None:
    frames = Slices(np.arange(8, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8), "frame")
    values = np.zeros((4, 2, 2))
    values[3, 1, 0] = 2.0
    picture, heat, words = seen_record(frames, values, (3, 1, 0), peak=4.0)
    assert (int(picture[0, 0, 0]), words) == (7, "frame 8 of 8")
    assert heat is not None
    assert heat.tolist() == [[0.0, 0.0], [0.5, 0.0]]
    assert seen_record(frames, np.array([0.0, 3.0]), (1,), 3.0)[1] is None


def test_a_data_set_of_several_inputs_shows_the_one_named(tmp_path: Path) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 1, 1, bias=False), nn.Conv2d(3, 1, 1, bias=False)

        def forward(self, first: Tensor, second: Tensor) -> Tensor:
            return (self.left(first) + self.right(second)).mean(dim=(2, 3))

    items = [({"first": one, "second": one.flip(0)}, 0) for one in spots()]
    data = CustomDataset(items)  # type: ignore[arg-type]
    model = Two().eval()
    model.left.weight.data.fill_(1.0)
    found = top_records(model, data, "left", save_path=tmp_path / "sheet.png", input_name="first")
    assert [one.position for one in found[0]] == ORDER[:9]
    with pytest.raises(ConfigError, match="first, second") as raised:
        top_records(model, data, "left", save_path=tmp_path / "sheet.png", input_name="third")
    assert raised.value.code == "SW-F208"


def test_the_model_is_given_back_as_it_was(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5)).train()
    with unchanged(model):
        top_records(model, Spots(), "2", save_path=tmp_path / "sheet.png")
        with pytest.raises(ConfigError):
            top_records(model, Spots(), "2", channels=[4])


def asked(**settings: Any) -> Any:
    given: dict[str, Any] = {"model": colours(), "data": Spots(), "layer": "0", **settings}
    return lambda: top_records(**given)


BAD: dict[str, tuple[type[SeewhyError], str, Any]] = {
    "records": (ConfigError, "SW-F201", asked(top_k=0)),
    "no channels": (ConfigError, "SW-F201", asked(channels=[])),
    "channel": (ConfigError, "SW-F202", asked(channels=[0, 3])),
    "channel by name": (ConfigError, "SW-F202", asked(channels="red")),
    "reduce": (ConfigError, "SW-F208", asked(reduce="median")),
    "batch": (ConfigError, "SW-F75", asked(batch_size=0)),
    "split": (ConfigError, "SW-F219", asked(split="val")),
    "layer": (LayerError, "SW-L01", asked(layer="9")),
    "nothing": (DataError, "SW-D53", asked(data=[])),
    "shuffled": (ConfigError, "SW-F209", asked(data=DataLoader(TensorDataset(spots()), shuffle=True))),
    "once": (ConfigError, "SW-F209", asked(data=iter([spots()]), save_path="sheet.png")),
}


@pytest.mark.parametrize(("kind", "code", "call"), BAD.values(), ids=BAD)
def test_what_cannot_be_asked_is_said(kind: type[SeewhyError], code: str, call: Any) -> None:
    with pytest.raises(kind) as raised:
        call()
    assert raised.value.code == code


def test_batches_that_come_once_are_enough_without_a_sheet() -> None:
    found = top_records(colours(), iter([spots()]), "0", 0, top_k=2)
    assert [one.position for one in found[0]] == ORDER[:2]
