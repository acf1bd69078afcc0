"""What is taken as a table of vectors, and which settings are: the rest is refused with a code."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch

import seewhy
from seewhy.features.embeddings import umap_projection
from seewhy.features.embeddings.clustering import cluster
from seewhy.features.embeddings.duplicates import near_duplicates
from seewhy.features.embeddings.principal import principal_components
from seewhy.features.embeddings.usable import usable_rows
from seewhy.values import EmbeddingError, SeewhyError

TABLE = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
of = seewhy.Embeddings.of
LABELLED = of(TABLE, labels=torch.arange(40) % 2)


def refused(ask: Callable[[], object]) -> SeewhyError:
    with pytest.raises(SeewhyError) as refusal:
        ask()
    return refusal.value


def test_a_parameter_and_an_array_of_either_byte_order_are_asked_like_a_tensor() -> None:
    plain = of(TABLE).cluster(count=2).labels
    assert torch.equal(of(torch.nn.Parameter(TABLE)).cluster(count=2).labels, plain)
    assert torch.equal(of(TABLE.numpy().astype(">f4")).cluster(count=2).labels, plain)
    assert of(TABLE).similar(TABLE[3].numpy(), 1)[0].record_id == "3"


@pytest.mark.parametrize(
    ("what", "table"),
    [
        ("sparse", TABLE.to_sparse()), ("'meta'", TABLE.to("meta")), ("complex", TABLE + 0j),
        ("quantised", lambda: torch.quantize_per_tensor(TABLE, 0.1, 0, torch.qint8)), ("complex", TABLE.numpy() + 0j),
    ],
)  # fmt: skip
def test_what_is_no_plain_table_is_named(what: str, table: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, that quantised tensors go
        given = table() if callable(table) else table
    told = refused(lambda: of(given))
    assert told.code == "SW-E02"
    assert what in told.message


def test_numbers_whose_squares_overflow_have_no_euclidean_distance() -> None:
    huge = torch.eye(4, dtype=torch.float64)
    huge[:2] *= 1e200
    assert usable_rows(huge).tolist() == [False, False, True, True]
    assert usable_rows(huge, "cosine").all()
    found = principal_components(huge, 1)
    assert (found.rows, found.left_out) == (2, 2)
    assert found.project(huge).isnan()[:, 0].tolist() == [True, True, False, False]
    assert refused(lambda: principal_components(huge[:2])).code == "SW-E05"
    assert near_duplicates(torch.full((3, 2), float("nan"))).found == 0


def test_only_numbers_of_clusters_that_can_be_are_tried() -> None:
    found = cluster(torch.eye(3).repeat(10, 1))
    assert found.sizes == [10, 10, 10]
    assert found.tried.keys() == {2, 3}
    assert refused(lambda: cluster(torch.ones(5, 2))).code == "SW-E09"
    assert refused(lambda: cluster(torch.eye(3).repeat(10, 1), count=4)).code == "SW-E09"


@pytest.mark.parametrize("seed", [-1, 2**32, "a", 0.5, True])
def test_a_seed_is_a_whole_number_that_every_library_takes(seed: object) -> None:
    for ask in (
        lambda: LABELLED.cluster(count=2, seed=seed), lambda: LABELLED.cluster(seed=seed),
        lambda: LABELLED.project("umap", random_state=seed), lambda: LABELLED.probe("knn", seed=seed),
    ):  # fmt: skip
        assert refused(ask).code == "SW-E12"


def test_an_unknown_setting_is_told_with_the_nearest() -> None:
    told = refused(lambda: LABELLED.project("umap", min_distance=1))
    assert (told.code, told.near[0]) == ("SW-E15", "min_dist")
    assert refused(lambda: LABELLED.project("pca", metric="l2")).code == "SW-E15"
    assert refused(lambda: LABELLED.probe("knn", strength=1)).code == "SW-E15"


def test_a_projection_tells_all_settings_that_decided_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Flat:
        """In the place of umap-learn."""

        def __init__(self, **told: object) -> None:
            assert (told["n_neighbors"], told["min_dist"], told["random_state"]) == (15, 0.2, 42)

        def fit_transform(self, rows: np.ndarray) -> np.ndarray:
            return rows[:, :2]

    monkeypatch.setattr(umap_projection, "_umap", lambda: Flat)
    assert LABELLED.project("umap", min_dist=0.2).settings == {
        "metric": "cosine", "min_dist": 0.2, "random_state": 42, "n_neighbors": 15, "n_components": 2,
    }  # fmt: skip


@pytest.mark.parametrize("labels", [[0.7] * 40, [float("nan")] * 40, [float("inf")] * 40, ["1"] * 40, 3, [0] * 39])
def test_labels_are_whole_numbers(labels: object) -> None:
    assert refused(lambda: of(TABLE, labels=labels)).code == "SW-E23"


def test_labels_of_numpy_and_none_are_taken() -> None:
    assert of(TABLE[:3], labels=[np.int64(4), None, np.uint8(2)]).labels.tolist() == [4, -1, 2]
    assert of(TABLE[:2], labels=np.array([1, 0])).labels.tolist() == [1, 0]
    assert of(TABLE[:2], confidence=[np.float32(0.5), None]).confidence[0] == 0.5


def test_what_a_dict_says_already_is_not_said_again() -> None:
    assert refused(lambda: of({"a": TABLE[0], "b": TABLE[1]}, ["x", "y"])).code == "SW-E23"
    assert refused(lambda: of({"train": TABLE[:2], "test": TABLE[2:]}, splits=["all"] * 40)).code == "SW-E23"


def test_a_text_is_one_split_and_none_named_is_refused() -> None:
    found = of({"train": TABLE[:20], "test": TABLE[20:]})
    assert {one.split for one in found.similar("3", 5, split="train", among="test")} == {"test"}
    assert refused(lambda: found.similar("3", 5, split="train", among=[])).code == "SW-E22"


def test_what_a_probe_lacks_is_said() -> None:
    assert "label" in refused(lambda: of(TABLE).probe()).message
    assert refused(lambda: of(TABLE).probe()).code == "SW-E07"
    assert refused(lambda: of(TABLE[:3], labels=[0, 1, 2]).probe()).code == "SW-E11"


def test_all_neighbours_are_counted_without_the_record_itself() -> None:
    for index in ("exact", "flat", "hnsw"):
        told = refused(lambda kind=index: of(TABLE).neighbours(40, index=kind))
        assert (told.code, told.message) == ("SW-E03", "asked for 40 neighbours, there are 39")
        assert of(TABLE).neighbours(39, index=index).indices.shape == (40, 39)


def test_labels_of_other_classes_have_their_own_names() -> None:
    found = of(TABLE, class_names=("cat", "dog"), label_names=("indoors",))
    assert (found.class_name(0), found.label_name(0), found.label_name(1)) == ("cat", "indoors", "1")
    assert of(TABLE, class_names=("cat", "dog")).label_name(1) == "dog"
    assert of(TABLE, class_names=("cat",), label_names=()).label_name(0) == "0"


def test_errors_of_embeddings_are_of_their_own_kind() -> None:
    assert isinstance(refused(lambda: of(TABLE, labels=3)), EmbeddingError)
