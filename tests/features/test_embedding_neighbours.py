"""Exact neighbours: by hand, against a plain table of distances, against faiss, and whatever the chunks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seewhy.features.embeddings.faiss_search import FaissIndex
from seewhy.features.embeddings.neighbours import nearest_neighbours, neighbours_within
from seewhy.values import ConfigError, EmbeddingError

INFINITE = float("inf")


def plain(vectors: torch.Tensor, k: int, metric: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The neighbours by a stable sort of a whole table of distances."""
    rows = vectors.double()
    if metric == "cosine":
        rows = rows / rows.norm(dim=1, keepdim=True)
    apart = (rows[:, None] - rows[None]).square().sum(dim=2)
    apart.fill_diagonal_(INFINITE)
    ranked = apart.sort(dim=1, stable=True)
    values = ranked.values[:, :k]
    return ranked.indices[:, :k], values / 2 if metric == "cosine" else values.sqrt()


def test_neighbours_by_hand() -> None:
    table = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [-3.0, 0.0]])
    found = neighbours_within(table, 3)
    assert found.indices[0].tolist() == [2, 1, 3]
    torch.testing.assert_close(
        found.distances[0], torch.tensor([1 - 2**-0.5, 1.0, 2.0], dtype=torch.float64), rtol=1e-12, atol=1e-12
    )
    found = neighbours_within(table, 3, "l2")
    assert found.indices[0].tolist() == [2, 1, 3]
    torch.testing.assert_close(found.distances[0], torch.tensor([1.0, 5**0.5, 4.0], dtype=torch.float64))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6), count=st.integers(3, 60), width=st.integers(1, 5), k=st.integers(1, 20),
    metric=st.sampled_from(["cosine", "l2"]), chunk=st.integers(1, 70), block=st.integers(1, 70),
)  # fmt: skip
def test_ties_and_chunks_change_nothing(
    seed: int, count: int, width: int, k: int, metric: str, chunk: int, block: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    table = torch.randint(1, 3, (count, width), generator=generator).float()  # very many equal distances
    k = min(k, count - 1)
    found = nearest_neighbours(table, table, k, metric, exclude=torch.arange(count), chunk_rows=chunk, block_rows=block)
    indices, distances = plain(table, k, metric)
    assert torch.equal(found.distances, neighbours_within(table, k, metric).distances)
    torch.testing.assert_close(found.distances, distances, rtol=1e-12, atol=1e-12)
    if metric == "l2":  # whole numbers: ties are exact in the plain table, too
        assert torch.equal(found.indices, indices)
    assert torch.equal(found.indices, neighbours_within(table, k, metric).indices)


def test_turning_and_reordering_keep_the_neighbours() -> None:
    table = torch.randn(80, 6)
    turn = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q
    found = neighbours_within(table.double(), 5, "l2")
    turned = neighbours_within(table.double() @ turn, 5, "l2")
    assert torch.equal(found.indices, turned.indices)
    torch.testing.assert_close(found.distances, turned.distances)
    order = torch.randperm(80)
    moved = neighbours_within(table[order].double(), 5, "l2")
    assert torch.equal(order[moved.indices], found.indices[order])


def test_the_cosine_knows_no_length_and_a_copy_is_at_distance_zero() -> None:
    table = torch.randn(30, 7)
    scaled = table * torch.logspace(-30, 30, 30)[:, None]
    assert torch.equal(neighbours_within(table, 4).indices, neighbours_within(scaled, 4).indices)
    found = nearest_neighbours(table, table.repeat(2, 1), 2)
    assert torch.equal(found.distances, torch.zeros(30, 2, dtype=torch.float64))
    assert found.indices.tolist() == [[row, row + 30] for row in range(30)]
    huge = torch.tensor([[1e300, 0.0], [0.0, 1e-300]], dtype=torch.float64)
    assert nearest_neighbours(huge, huge, 2).distances.tolist() == [[0.0, 1.0], [0.0, 1.0]]


def test_rows_without_a_distance_are_told_and_are_nobodys_neighbour() -> None:
    table = torch.tensor([[1.0, 0.0], [0.0, 0.0], [float("nan"), 1.0], [0.5, 0.5], [float("inf"), 1.0]])
    found = neighbours_within(table, 1)
    assert found.indices[:, 0].tolist() == [3, -1, -1, 0, -1]
    assert found.distances[[1, 2, 4]].isnan().all()
    assert found.left_out == 3
    assert neighbours_within(table, 2, "l2").left_out == 2


def test_far_from_the_origin_differences_are_still_right() -> None:
    table = torch.tensor([[1e6, 1e6], [1e6 + 0.25, 1e6], [1e6, 1e6 + 0.125]], dtype=torch.float64)
    found = neighbours_within(table, 2, "l2")
    assert found.indices[0].tolist() == [2, 1]
    assert found.distances[0].tolist() == [0.125, 0.25]


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_faiss_flat_finds_the_exact_neighbours(metric: str) -> None:
    table = torch.randn(400, 16)
    table[7] = float("nan")
    exact = nearest_neighbours(table[:50], table, 6, metric)
    index = FaissIndex(table, metric, "flat")
    found = index.search(table[:50], 6)
    assert torch.equal(found.indices, exact.indices)
    torch.testing.assert_close(found.distances, exact.distances, rtol=1e-4, atol=1e-4, equal_nan=True)
    assert found.left_out == 1
    assert index.recall(table[:50], 6).share == 1.0
    assert index.recall(table[:50], 6).queries == 49


def test_hnsw_says_what_share_of_the_exact_neighbours_it_finds() -> None:
    table = torch.randn(500, 8)
    recall = FaissIndex(table, "l2", "hnsw").recall(table[:40], 5)
    assert 0.9 <= recall.share <= 1.0
    assert (recall.queries, recall.k) == (40, 5)


@pytest.mark.parametrize(
    ("code", "ask"),
    [
        ("SW-E01", lambda t: neighbours_within(t, 1, "cosin")),
        ("SW-E02", lambda t: neighbours_within(t[0], 1)),
        ("SW-E02", lambda t: neighbours_within(t[:0], 1)),
        ("SW-E02", lambda t: nearest_neighbours(t, t, 1, exclude=torch.tensor([0]))),
        ("SW-E03", lambda t: neighbours_within(t, 4)),
        ("SW-E03", lambda t: neighbours_within(t * 0, 1)),
        ("SW-E04", lambda t: nearest_neighbours(t[:, :1], t, 1)),
        ("SW-E14", lambda t: FaissIndex(t, "l2", "ivf")),
        ("SW-E03", lambda t: FaissIndex(t).search(t, 5)),
        ("SW-E04", lambda t: FaissIndex(t).search(t[:, :1], 1)),
    ],
)
def test_what_cannot_be_asked_is_refused(code: str, ask) -> None:
    with pytest.raises(EmbeddingError) as refusal:
        ask(torch.eye(4)[:, :2] + 1)
    assert refusal.value.code == code


@pytest.mark.parametrize("k", [0, -1, 1.5, True])
def test_a_count_is_a_whole_number(k: object) -> None:
    with pytest.raises(ConfigError) as refusal:
        neighbours_within(torch.eye(4), k)
    assert refusal.value.code == "SW-F201"
