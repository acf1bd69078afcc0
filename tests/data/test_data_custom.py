"""The user's own data sets, in the forms people write them, become records with string ids."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset
from torch.utils.data import Dataset as TorchDataset

from seewhy.data.batching import load_batches
from seewhy.data.custom import CustomDataset
from seewhy.data.items import read_item, read_label
from seewhy.values import DataError

X = torch.arange(12.0).reshape(3, 2, 2)


class Listed(TorchDataset[Any]):
    """Items from a list; ``reads`` counts how often one was asked for."""

    def __init__(self, items: Sequence[Any], **attributes: Any) -> None:
        self.items, self.reads = items, 0
        vars(self).update(attributes)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        self.reads += 1
        return self.items[i]


def ids(dataset: Any, **settings: Any) -> list[str]:
    return [ref.record_id for ref in CustomDataset(dataset, **settings).index()]


def refusal(act: Callable[[], object]) -> DataError:
    with pytest.raises(DataError) as caught:
        act()
    return caught.value


@pytest.mark.parametrize(
    ("item", "record_id", "label"),
    [
        ((X, 2, "p7"), "p7", 2),
        ((X, torch.tensor(2), torch.tensor(7)), "7", 2),
        ((X, torch.tensor([0.0, 0.0, 1.0]), np.int64(7)), "7", 2),
        ([X, np.int64(2)], None, 2),
        ((X,), None, None),
        (X, None, None),
        ((X, None, "p7"), "p7", None),
        ((X, -1), None, None),
        ({"image": X, "label": 2, "id": "p7"}, "p7", 2),
        ({"x": X, "y": torch.tensor([2])}, None, 2),
        ({"input": X, "target": 2, "index": 7}, "7", 2),
        ({"inputs": {"image": X}, "targets": 2, "record_id": "p7"}, "p7", 2),
    ],
)
def test_forms_of_an_item(item: Any, record_id: str | None, label: int | None) -> None:
    read = read_item(item, "test[0]")
    assert (read.record_id, read.label) == (record_id, label)
    assert list(read.inputs) == ["image"]
    assert read.inputs["image"].equal(X)


def test_several_inputs_keep_their_names() -> None:
    from_dict = read_item({"mnv": X, "fluid": X + 1, "label": 1, "path": "a.png"}, "test[0]")
    from_pair = read_item(({"mnv": X, "fluid": X + 1}, 1), "test[0]")
    for item in (from_dict, from_pair):
        assert list(item.inputs) == ["mnv", "fluid"]
        assert item.inputs["fluid"].equal(X + 1)
        assert item.label == 1


def test_a_single_input_under_its_own_name_keeps_it() -> None:
    assert list(read_item({"volume": X, "y": 0}, "test[0]").inputs) == ["volume"]


def test_box_and_mask_of_an_item() -> None:
    mask = torch.tensor([[[0, 1], [1, 0]]])
    item = read_item({"image": X, "box": torch.tensor([0, 0, 1, 2]), "mask": mask}, "test[0]")
    assert item.box == (0.0, 0.0, 1.0, 2.0)
    assert item.mask is not None
    assert item.mask.tolist() == [[False, True], [True, False]]


def test_arrays_are_inputs_without_a_change_of_type() -> None:
    array = np.arange(4, dtype=np.float32).reshape(1, 2, 2)[:, ::-1]
    assert read_item((array, 0), "test[0]").inputs["image"].tolist() == [[[2.0, 3.0], [0.0, 1.0]]]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ((X, 0, "p", "more"), "SW-D30"),
        (("a.png", 0), "SW-D30"),
        ({"path": "a.png"}, "SW-D30"),
        (({}, 0), "SW-D30"),
        ((X, 0, 1.5), "SW-D30"),
        ((X, 0.5), "SW-D31"),
        ((X, -3), "SW-D31"),
        ((X, object()), "SW-D31"),
        ((X, torch.tensor([0.2, 0.8])), "SW-D31"),
        ((X, "cat"), "SW-D31"),
        ({"image": X, "box": [3, 3, 1, 1]}, "SW-D14"),
    ],
)
def test_forms_that_are_refused_name_the_item(item: Any, code: str) -> None:
    error = refusal(lambda: read_item(item, "test[5]"))
    assert (error.code, "test[5]" in error.message) == (code, True)


def test_labels_by_name_and_several_labels() -> None:
    assert read_label("dog", "t", ["cat", "dog"]) == (1, ())
    assert refusal(lambda: read_label("dogs", "t", ["cat", "dog"])).near == ("dog",)
    assert read_label(torch.tensor([1, 0, 1]), "t") == (None, ("2 of 3 labels set: none chosen",))


def test_ids_come_from_the_items_in_one_pass() -> None:
    dataset = Listed([(X, i, f"patient_{i}") for i in (3, 1, 2)])
    custom = CustomDataset(dataset)
    assert dataset.reads == 0
    assert [(ref.record_id, ref.split, ref.label) for ref in custom.index()] == [
        ("patient_3", "test", 3),
        ("patient_1", "test", 1),
        ("patient_2", "test", 2),
    ]
    reads = dataset.reads
    assert custom.index() is custom.index()
    assert dataset.reads == reads


@pytest.mark.parametrize("name", ["record_ids", "ids"])
def test_stated_ids_cost_no_item(name: str) -> None:
    dataset = Listed([(X, 0, 0), (X, 1, 1)], **{name: ["JS01", "JS02"]})
    assert ids(dataset) == ["JS01", "JS02"]
    assert dataset.reads == 0


def test_ids_stated_by_method_are_used_with_items_that_say_their_index() -> None:
    class Seed(Listed):
        def get_raw_sample_id(self, index: int) -> str:
            return f"JS{index:02d}"

    custom = CustomDataset(Seed([(X, 0, 0), (X, 1, 1)]))
    assert [ref.record_id for ref in custom.index()] == ["JS00", "JS01"]
    assert custom.read(1).record_id == "JS01"


def test_items_without_ids_or_with_their_index_get_the_index() -> None:
    for items in ([(X, i) for i in range(50)], [(X, i, i) for i in range(50)]):
        dataset = Listed(items)
        assert ids(dataset) == [str(i) for i in range(50)]
        assert dataset.reads == 2  # the first and the last tell what the third part is


def test_whole_numbers_that_are_no_index_are_ids() -> None:
    assert ids(Listed([(X, 0, 1042), (X, 1, 1007)])) == ["1042", "1007"]


def test_index_ids_carry_the_split_where_there_are_several() -> None:
    parts = {"test": Listed([(X, 0)]), "train": Listed([(X, 0), (X, 1)]), "valid": Listed([(X, 0)])}
    custom = CustomDataset(parts)
    assert [(ref.record_id, ref.split) for ref in custom.index()] == [
        ("train_0", "train"),
        ("train_1", "train"),
        ("val_0", "val"),
        ("test_0", "test"),
    ]


def test_a_subset_picks_from_the_stated_ids_of_the_whole() -> None:
    whole = Listed([(X, i, i) for i in range(4)], record_ids=list("abcd"), classes=["x", "y", "z", "w"])
    custom = CustomDataset({"train": Subset(whole, [3, 0]), "test": Subset(whole, [1])})
    assert [ref.record_id for ref in custom.index()] == ["d", "a", "b"]
    assert custom.read(0).record_id == "d"
    assert custom.class_names == ["x", "y", "z", "w"]


def test_a_subset_without_stated_ids_has_the_indices_of_the_whole() -> None:
    whole = Listed([(X, i, i) for i in range(10)])
    assert ids({"train": Subset(whole, [5, 7]), "test": Subset(whole, [9, 2])}) == ["5", "7", "9", "2"]


@pytest.mark.parametrize(
    ("dataset", "code"),
    [
        (Listed([(X, 0, "a"), (X, 0, "a")]), "SW-D04"),
        (Listed([(X, 0, "a"), (X, 0, None), (X, 0, "b")]), "SW-D34"),
        (Listed([(X, 0), (X, 1)], ids=["only one"]), "SW-D34"),
        (Listed([(X, 0)], ids=[None]), "SW-D34"),
    ],
)
def test_ids_that_do_not_fit_are_refused(dataset: Listed, code: str) -> None:
    custom = CustomDataset(dataset)
    assert refusal(custom.index).code == code


def test_an_item_that_changes_its_id_fails() -> None:
    dataset = Listed([(X, 0, "a"), (X, 0, "b")])
    custom = CustomDataset(dataset)
    custom.index()
    dataset.items = [(X, 0, "b"), (X, 0, "a")]
    assert refusal(lambda: custom.read(0)).code == "SW-D34"


def test_a_tensor_data_set_as_torch_ships_it() -> None:
    custom = CustomDataset(TensorDataset(torch.stack([X, X + 1]), torch.tensor([4, 5])))
    record = custom.read(1)
    assert (record.record_id, record.label, record.split) == ("1", 5, "test")
    assert record.inputs["image"].equal(X + 1)
    assert record.geometry is not None
    assert record.geometry.original == (2, 2)


def test_random_items_are_the_same_in_every_run_and_leave_the_generator_alone() -> None:
    class Cropped(Listed):
        def __getitem__(self, i: int) -> Any:
            return torch.rand(1, 4, 4), 0, f"p{i}"

    torch.manual_seed(3)
    expected = torch.rand(1, generator=torch.Generator().manual_seed(3))
    custom = CustomDataset(Cropped([0, 1, 2]))
    first = [batch.inputs["image"] for batch in load_batches(custom, [[0, 1, 2]])]
    second = [batch.inputs["image"] for batch in load_batches(CustomDataset(Cropped([0, 1, 2])), [[0, 1, 2]])]
    assert first[0].equal(second[0])
    assert torch.rand(1).equal(expected)


def test_pictures_undo_a_known_normalisation() -> None:
    image = torch.tensor([0.0, 0.5, 1.0]).reshape(3, 1, 1)
    custom = CustomDataset(Listed([(X, 0)]), mean=[0.5] * 3, std=[0.5] * 3)
    assert custom.picture({"image": image * 2 - 1}).tolist() == [[[0, 128, 255]]]


def test_pictures_of_unknown_normalisation_are_stretched_between_their_percentiles() -> None:
    image = torch.linspace(-3, 5, 101).reshape(1, 1, 101)
    picture = CustomDataset(Listed([(X, 0)])).picture({"image": image})
    assert picture[0, [0, 1, 50, 99, 100], 0].tolist() == [0, 0, 128, 255, 255]


def test_the_middle_of_a_volume_and_of_a_clip_is_shown() -> None:
    custom = CustomDataset(Listed([(X, 0)]), mean=[0.0], std=[1.0])
    volume = torch.zeros(1, 5, 3, 4)
    volume[:, 2] = 1
    assert custom.picture({"volume": volume}).min() == 255
    clip = torch.zeros(8, 1, 3, 4)
    clip[4] = 1
    assert custom.picture({"video": clip}).min() == 255


def test_a_revision_method_is_used() -> None:
    class Revised(Listed):
        def revision(self, index: int) -> str:
            return f"v{index}"

    custom = CustomDataset(Revised([(X, 0), (X, 1)]))
    assert custom.read(1).revision == custom.revision(1) == "v1"
    assert CustomDataset(Listed([(X, 0)])).revision(0) == ""


def test_it_survives_pickling_with_its_index() -> None:
    custom = CustomDataset(Listed([(X, i, f"p{i}") for i in range(3)]))
    before = custom.index()
    assert pickle.loads(pickle.dumps(custom)).index() == before


class Plain:
    """A data module that is none of Lightning's: only the methods count."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def prepare_data(self) -> None:
        raise ConnectionError("a download")

    def setup(self, stage: str) -> None:
        self.stages.append(stage)

    def train_dataloader(self) -> Any:
        return DataLoader(Listed([(X, 0, "a"), (X, 1, "b")]), batch_size=2, shuffle=True)

    def val_dataloader(self) -> Any:
        return None


def test_a_data_module_by_its_methods() -> None:
    module = Plain()
    custom = CustomDataset(module)
    assert [(ref.record_id, ref.split) for ref in custom.index()] == [("a", "train"), ("b", "train")]
    assert module.stages == ["fit"]


def test_a_lightning_data_module_with_some_loaders() -> None:
    from lightning.pytorch import LightningDataModule

    class Module(LightningDataModule):
        def setup(self, stage: str) -> None:
            if stage == "fit":
                self.train = Listed([(X, 0, "a")])
            if stage == "test":
                self.test = Listed([(X, 1, "b")])

        def train_dataloader(self) -> Any:
            return DataLoader(self.train)

        def test_dataloader(self) -> Any:
            return DataLoader(self.test)

    refs = CustomDataset(Module()).index()
    assert [(ref.record_id, ref.split, ref.label) for ref in refs] == [("a", "train", 0), ("b", "test", 1)]


@pytest.mark.parametrize("loader", [[], [1, 2], {"a": 1}, 5], ids=str)
def test_a_loader_that_is_not_one_is_refused(loader: Any) -> None:
    class Odd(Plain):
        def train_dataloader(self) -> Any:
            return loader

    assert refusal(lambda: CustomDataset(Odd())).code == "SW-D33"


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter([(X, 0)])


@pytest.mark.parametrize(
    ("dataset", "code"),
    [
        (Stream(), "SW-D32"),
        ({"train": Stream()}, "SW-D32"),
        (object(), "SW-D32"),
        ({"trian": Listed([(X, 0)])}, "SW-D12"),
        (Listed([]), "SW-D03"),
        ({}, "SW-D03"),
    ],
)
def test_sources_that_are_refused_at_once(dataset: Any, code: str) -> None:
    assert refusal(lambda: CustomDataset(dataset)).code == code


def test_mean_without_std_is_refused() -> None:
    assert refusal(lambda: CustomDataset(Listed([(X, 0)]), mean=[0.5])).code == "SW-D01"


def test_a_mapping_attribute_named_splits_is_used() -> None:
    class Bundle:
        def __init__(self) -> None:
            self.splits: Mapping[str, Any] = {"train": Listed([(X, 0, "a")]), "test": Listed([(X, 0, "b")])}

    assert ids(Bundle()) == ["a", "b"]
