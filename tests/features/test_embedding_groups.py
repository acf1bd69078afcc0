"""Separation, clusters and agreement: by hand, and against scikit-learn."""

from __future__ import annotations

import pytest
import sklearn.metrics
import torch

from seewhy.features.embeddings import separation as separation_module
from seewhy.features.embeddings.agreement import adjusted_rand, purity
from seewhy.features.embeddings.clustering import cluster
from seewhy.features.embeddings.separation import davies_bouldin, separation, silhouettes
from seewhy.values import EmbeddingError


def test_separation_by_hand() -> None:
    line = torch.tensor([[0.0], [1.0], [10.0], [12.0]])
    groups = torch.tensor([3, 3, 8, 8])
    # record 0: a = 1, b = (10 + 12) / 2 = 11; record 2: a = 2, b = (10 + 9) / 2 = 9.5
    assert silhouettes(line, groups, "l2").tolist() == pytest.approx([10 / 11, 9 / 10, 7.5 / 9.5, 9.5 / 11.5])
    found = separation(line, groups, "l2")
    assert found.davies_bouldin == pytest.approx((0.5 + 1) / 10.5)
    assert found.centroid_ratio == pytest.approx(10.5 / 0.75)
    assert (found.groups, found.records) == (2, 4)


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_silhouettes_are_those_of_scikit_learn(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table, groups = torch.randn(70, 5, dtype=torch.float64), torch.randint(0, 4, (70,))
    groups[0] = 9  # alone in its group
    known = sklearn.metrics.silhouette_samples(table, groups, metric={"l2": "euclidean"}.get(metric, metric))
    whole = silhouettes(table, groups, metric)
    torch.testing.assert_close(whole, torch.from_numpy(known))
    assert whole[0] == 0
    monkeypatch.setattr(separation_module, "CHUNK_NUMBERS", 70 * 3)
    torch.testing.assert_close(silhouettes(table, groups, metric), whole)


def test_davies_bouldin_is_that_of_scikit_learn() -> None:
    table, groups = torch.randn(70, 5, dtype=torch.float64), torch.randint(0, 4, (70,))
    assert davies_bouldin(table, groups) == pytest.approx(sklearn.metrics.davies_bouldin_score(table, groups))


def test_records_without_group_or_distance_are_left_out() -> None:
    table, groups = torch.randn(40, 3), torch.randint(0, 2, (40,))
    spoilt = torch.cat([table, torch.full((1, 3), float("nan")), torch.zeros(1, 3), torch.randn(1, 3)])
    more = torch.cat([groups, torch.tensor([0, 1, -1])])
    assert separation(spoilt, more) == separation(table, groups)
    assert silhouettes(spoilt, more)[40:].isnan().all()


def test_centroids_that_coincide_have_no_index() -> None:
    table = torch.tensor([[-1.0], [1.0], [-1.0], [1.0]])
    found = separation(table, torch.tensor([0, 0, 1, 1]), "l2")
    assert found.davies_bouldin != found.davies_bouldin
    assert found.centroid_ratio == 0


def test_one_group_and_wrong_groups_are_refused() -> None:
    for groups, code in (
        (torch.zeros(4, dtype=torch.int64), "SW-E07"), (torch.zeros(3, dtype=torch.int64), "SW-E02"),
        (torch.zeros(4), "SW-E02"), (torch.full((4,), -1), "SW-E07"),
    ):  # fmt: skip
        with pytest.raises(EmbeddingError) as refusal:
            separation(torch.randn(4, 2), groups)
        assert refusal.value.code == code


@pytest.mark.parametrize("method", ["kmeans", "agglomerative", "hdbscan"])
def test_three_heaps_are_found_and_numbered_by_size(method: str) -> None:
    middles = torch.tensor([[0.0, 0.0, 9.0], [9.0, 0.0, 0.0], [0.0, 9.0, 0.0]])
    heaps = torch.tensor([2] * 10 + [0] * 20 + [1] * 15)
    table = middles[heaps] + 0.1 * torch.randn(45, 3)
    table = torch.cat([table, torch.full((1, 3), float("nan"))])
    found = cluster(table, method, metric="l2")
    assert found.labels[:45].tolist() == [{0: 0, 1: 1, 2: 2}[int(heap)] for heap in heaps]
    assert found.labels[45] == -1
    assert found.sizes == [20, 15, 10]
    if method != "hdbscan":
        assert max(found.tried, key=found.tried.get) == 3


@pytest.mark.parametrize(
    ("code", "settings"),
    [
        ("SW-E08", {"method": "dbscan"}), ("SW-E08", {"method": "hdbscan", "count": 3}), ("SW-E09", {"count": 9}),
        ("SW-E01", {"metric": "dot"}),
    ],
)  # fmt: skip
def test_clusters_that_cannot_be_are_refused(code: str, settings: dict[str, object]) -> None:
    with pytest.raises(EmbeddingError) as refusal:
        cluster(torch.randn(8, 2), **settings)
    assert refusal.value.code == code


def test_equal_vectors_are_no_two_clusters() -> None:
    with pytest.raises(EmbeddingError) as refusal:
        cluster(torch.ones(8, 2), count=2)
    assert refusal.value.code == "SW-E09"


def test_agreement_is_that_of_scikit_learn_and_knows_no_names() -> None:
    one, other = torch.randint(0, 4, (60,)), torch.randint(0, 3, (60,))
    assert adjusted_rand(one, other) == pytest.approx(sklearn.metrics.adjusted_rand_score(one, other))
    assert adjusted_rand(one, 7 - one) == 1.0
    assert adjusted_rand(torch.tensor([0, -1]), torch.tensor([0, 0])) != adjusted_rand(one, one)
    assert purity(torch.tensor([0, 0, 0, 1, -1]), torch.tensor([5, 5, 6, 6, 6])) == 0.75
    with pytest.raises(EmbeddingError):
        purity(one, other[:5])
