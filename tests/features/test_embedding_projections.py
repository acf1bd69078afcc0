"""Principal components against a singular value decomposition, and UMAP's seed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from seewhy.features.embeddings.principal import principal_components, principal_of_chunks
from seewhy.features.embeddings.umap_projection import run_umap
from seewhy.values import EmbeddingError


@pytest.mark.parametrize(("rows", "columns"), [(60, 7), (7, 60)])
def test_components_are_those_of_a_singular_value_decomposition(rows: int, columns: int) -> None:
    table = torch.randn(rows, columns, dtype=torch.float64) * torch.logspace(0, 1, columns)
    found = principal_components(table, 3)
    centred = table - table.mean(dim=0)
    _, strengths, axes = torch.linalg.svd(centred, full_matrices=False)
    torch.testing.assert_close(found.variances, strengths[:3].square() / (rows - 1))
    torch.testing.assert_close((found.axes * axes[:3]).sum(dim=1).abs(), torch.ones(3, dtype=torch.float64))
    assert found.explained == pytest.approx((strengths.square() / strengths.square().sum())[:3].tolist())
    torch.testing.assert_close(found.project(table), centred @ found.axes.T)
    assert (found.axes.gather(1, found.axes.abs().argmax(dim=1, keepdim=True)) > 0).all()


def test_chunks_and_the_order_of_records_change_nothing_but_rounding() -> None:
    table = torch.randn(50, 6)
    whole = principal_components(table)
    for size in (1, 7, 50):
        parts = principal_of_chunks(lambda size=size: torch.split(table, size))
        torch.testing.assert_close(parts.axes, whole.axes)
        torch.testing.assert_close(parts.variances, whole.variances)
    order = torch.randperm(50)
    torch.testing.assert_close(principal_components(table[order]).project(table), whole.project(table))
    assert torch.equal(whole.project(table)[3:5], whole.project(table[3:5]))


def test_turning_the_vectors_keeps_the_places_up_to_sign() -> None:
    table = torch.randn(40, 5, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64)).Q
    places = principal_components(table).project(table)
    turned = principal_components(table @ turn).project(table @ turn)
    torch.testing.assert_close(places.abs(), turned.abs())


def test_rows_that_are_not_finite_are_left_out_and_have_no_place() -> None:
    table = torch.randn(20, 3)
    spoilt = torch.cat([table, torch.tensor([[float("nan"), 0.0, 0.0]])])
    found = principal_components(spoilt)
    assert (found.rows, found.left_out) == (20, 1)
    torch.testing.assert_close(found.axes, principal_components(table).axes)
    assert found.project(spoilt)[-1].isnan().all()
    assert found.project(spoilt)[:-1].isfinite().all()


def test_nothing_varies_or_there_is_one_column_or_record() -> None:
    same = torch.full((9, 4), 0.1)
    found = principal_components(same)
    assert torch.equal(found.project(same), torch.zeros(9, 2, dtype=torch.float64))
    assert all(np.isnan(share) for share in found.explained)
    assert principal_components(torch.randn(9, 1)).axes.tolist() == [[1.0]]
    assert principal_components(torch.randn(1, 4)).project(torch.randn(3, 4)).shape == (3, 1)
    with pytest.raises(EmbeddingError) as refusal:
        principal_components(torch.full((3, 2), float("nan")))
    assert refusal.value.code == "SW-E05"
    with pytest.raises(EmbeddingError) as refusal:
        principal_components(torch.randn(9, 3)).project(torch.randn(2, 4))
    assert refusal.value.code == "SW-E04"
    with pytest.raises(EmbeddingError) as refusal:
        principal_of_chunks(lambda: iter([torch.randn(2, 3), torch.randn(2, 4)]))
    assert refusal.value.code == "SW-E04"


def test_too_wide_a_table_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seewhy.features.embeddings.principal.WIDEST", 4)
    with pytest.raises(EmbeddingError) as refusal:
        principal_components(torch.randn(9, 6))
    assert refusal.value.code == "SW-E06"
    assert principal_components(torch.randn(4, 6)).rows == 4


UMAP = """
import torch
from seewhy.features.embeddings.umap_projection import run_umap

torch.manual_seed(0)
heaps = torch.cat([torch.randn(30, 8), torch.randn(30, 8) + 20, torch.full((1, 8), float("nan"))])
places = run_umap(heaps, metric="euclidean", n_neighbors=10)
assert torch.equal(places[:60], run_umap(heaps, metric="l2", n_neighbors=10)[:60])
assert places[60].isnan().all()
one, other = places[:30], places[30:60]
assert torch.cdist(one, other).min() > torch.cdist(one, one).max()
"""


@pytest.mark.slow
def test_umap_keeps_two_heaps_apart_and_a_seed_gives_one_picture() -> None:
    # in a process of its own: numba takes the folder tests/coverage for the package of that name
    done = subprocess.run([sys.executable, "-c", UMAP], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("code", "settings"), [("SW-E12", {"min_dist": 2}), ("SW-E13", {}), ("SW-E01", {"metric": "manhattan"})]
)
def test_umap_refuses_what_it_cannot_place(code: str, settings: dict[str, object]) -> None:
    with pytest.raises(EmbeddingError) as refusal:
        run_umap(torch.eye(3), **settings)
    assert refusal.value.code == code
