"""Probes beside their controls, planted duplicates, planted outliers and planted wrong labels."""

from __future__ import annotations

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from seewhy.features.embeddings import duplicates as duplicates_module
from seewhy.features.embeddings.duplicates import near_duplicates
from seewhy.features.embeddings.outliers import outliers
from seewhy.features.embeddings.probes import knn_probe, linear_probe, score_of
from seewhy.values import EmbeddingError


def three_classes(each: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(3).repeat(each)
    return torch.randn(3 * each, 5) + 1.5 * torch.nn.functional.one_hot(labels, 5), labels


def test_probes_score_as_scikit_learn_does() -> None:
    (train, known), (test, asked) = three_classes(40), three_classes(30)
    scaler = StandardScaler().fit(train)
    model = LogisticRegression(max_iter=1000).fit(scaler.transform(train), known)
    said = model.predict(scaler.transform(test))
    found = linear_probe(train, known, test, asked)
    assert found.score.accuracy == pytest.approx(float((said == asked.numpy()).mean()))
    assert found.score.balanced == pytest.approx(balanced_accuracy_score(asked, said))
    assert found.settled
    near = KNeighborsClassifier(1).fit(train, known).predict(test)
    found = knn_probe(train, known, test, asked, k=1, metric="l2")
    assert found.score.accuracy == pytest.approx(float((near == asked.numpy()).mean()))


def test_the_controls_know_nothing() -> None:
    train, known = three_classes(100)
    test, asked = three_classes(100)
    for found in (linear_probe(train, known, test, asked), knn_probe(train, known, test, asked, k=15)):
        assert found.score.accuracy > 0.6
        assert found.majority.accuracy == pytest.approx(1 / 3)
        assert 0.15 < found.shuffled.accuracy < 0.55
        assert found.score.by_class.keys() == {0, 1, 2}
        assert sum(records for _, records in found.score.by_class.values()) == 300


def test_votes_that_tie_go_to_the_nearer_one() -> None:
    train = torch.tensor([[0.0], [1.0], [3.0], [4.0]])
    known = torch.tensor([5, 6, 6, 5])
    found = knn_probe(train, known, torch.tensor([[0.2], [2.9]]), torch.tensor([5, 6]), k=2, metric="l2")
    # 0.2: classes 5 and 6 once each, 5 nearer; 2.9: 6 (at 3) before 5 (at 4)
    assert found.score.accuracy == 1.0


def test_what_is_left_out_and_what_was_never_seen_is_counted() -> None:
    train, known = three_classes(10)
    train[0], known[1] = float("nan"), -1
    test, asked = three_classes(4)
    test[0], asked[1], asked[2] = float("inf"), -1, 9
    found = linear_probe(train, known, test, asked)
    assert (found.trained_on, found.tested_on, found.left_out, found.unseen) == (28, 10, 4, 1)
    assert found.score.by_class[9] == (0, 1)


def test_balanced_accuracy_is_the_mean_over_classes() -> None:
    score = score_of(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 0, 1]))
    assert score.accuracy == 0.75
    assert score.balanced == pytest.approx((2 / 3 + 1) / 2)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("SW-E07", {"train_labels": torch.zeros(30, dtype=torch.int64)}),
        ("SW-E07", {"train": torch.full((30, 5), float("nan"))}),
        ("SW-E07", {"train": torch.ones(30, 5)}),
        ("SW-E11", {"test_labels": torch.full((30,), -1)}),
        ("SW-E04", {"test": torch.randn(30, 4)}),
        ("SW-E02", {"test_labels": torch.zeros(29, dtype=torch.int64)}),
        ("SW-E12", {"strength": 0}),
    ],
)
def test_a_probe_that_cannot_be_is_refused(code: str, change: dict[str, object]) -> None:
    table, labels = three_classes(10)
    asked = {"train": table, "train_labels": labels, "test": table, "test_labels": labels, **change}
    with pytest.raises(EmbeddingError) as refusal:
        linear_probe(**asked)
    assert refusal.value.code == code


def test_planted_copies_are_found_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    table = torch.randn(60, 12)
    table[40], table[55], table[20] = 3 * table[7], table[7], table[9] + 1e-4
    found = near_duplicates(table)
    assert found.pairs.tolist()[0] == [7, 55]
    assert found.pairs.tolist()[3] == [9, 20]
    assert found.distances[1:3].max() < 1e-12
    assert {tuple(pair) for pair in found.pairs.tolist()} == {(7, 40), (7, 55), (40, 55), (9, 20)}
    assert found.distances[0] == 0
    assert found.groups == ((7, 40, 55), (9, 20))
    assert found.found == 4
    assert {tuple(p) for p in near_duplicates(table, 0.01, "l2").pairs.tolist()} == {(7, 55), (9, 20)}
    monkeypatch.setattr(duplicates_module, "CHUNK_ROWS", 7)
    monkeypatch.setattr(duplicates_module, "BLOCK_ROWS", 11)
    again = near_duplicates(table)
    assert torch.equal(again.pairs, found.pairs)
    assert torch.equal(again.distances, found.distances)
    assert again.groups == found.groups


def test_a_chain_of_pairs_is_one_group_and_too_many_pairs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    line = torch.tensor([[4.0], [0.0], [2.0], [1.0], [3.0], [90.0], [91.0]])
    assert near_duplicates(line, 1, "l2").groups == ((0, 1, 2, 3, 4), (5, 6))
    monkeypatch.setattr(duplicates_module, "MOST", 2)
    found = near_duplicates(line, 1, "l2")
    assert (len(found.pairs), found.found) == (2, 5)
    monkeypatch.setattr(duplicates_module, "TOO_MANY", 4)
    with pytest.raises(EmbeddingError) as refusal:
        near_duplicates(line, 1, "l2")
    assert refusal.value.code == "SW-E10"


def test_pairs_across_splits_are_all_counted_and_kept_first(monkeypatch: pytest.MonkeyPatch) -> None:
    table = torch.ones(60, 4)
    table[45:] += 1e-3 * torch.randn(15, 4)  # further from the others than they are from each other
    splits = ["train"] * 45 + ["test"] * 15
    monkeypatch.setattr(duplicates_module, "MOST", 700)
    monkeypatch.setattr(duplicates_module, "CHUNK_ROWS", 7)
    found = near_duplicates(table, splits=splits)
    assert (found.found, found.across, len(found.pairs)) == (60 * 59 // 2, 45 * 15, 700)
    ends = found.pairs[:675]
    assert bool(((ends[:, 0] < 45) & (ends[:, 1] >= 45)).all())
    assert bool((found.distances[:675].diff() >= 0).all())
    assert found.distances[675:].tolist() == [0.0] * 25
    with pytest.raises(EmbeddingError) as refusal:
        near_duplicates(table, splits=["train"])
    assert refusal.value.code == "SW-E02"


@pytest.mark.parametrize("threshold", [-1, float("nan"), "0.1", True])
def test_a_threshold_is_a_number_from_zero(threshold: object) -> None:
    with pytest.raises(EmbeddingError) as refusal:
        near_duplicates(torch.eye(3), threshold)
    assert refusal.value.code == "SW-E10"


def test_a_planted_stranger_lies_alone_and_a_wrong_label_is_contested() -> None:
    heaps = torch.cat([torch.randn(40, 4), torch.randn(40, 4) + 30])
    labels = torch.tensor([0] * 40 + [1] * 40 + [-1])
    labels[3] = 1
    table = torch.cat([heaps, torch.full((1, 4), 200.0)])
    found = outliers(table, labels, k=5, metric="l2")
    assert int(found.scores.argmax()) == 80
    assert found.alone[80]
    assert found.contested.nonzero()[:, 0].tolist() == [3]
    assert found.agreement[80].isnan()
    assert found.agreement[50] == 1.0
    order = torch.randperm(81)
    moved = outliers(table[order], labels[order], k=5, metric="l2")
    torch.testing.assert_close(moved.scores, found.scores[order])


def test_records_that_are_all_the_same_are_no_outliers() -> None:
    found = outliers(torch.ones(8, 3), k=2)
    assert found.distances.tolist() == [0.0] * 8
    assert found.scores.isnan().all()
    assert not found.alone.any()
    assert found.agreement.isnan().all()
    with pytest.raises(EmbeddingError) as refusal:
        outliers(torch.ones(3, 3), k=3)
    assert refusal.value.code == "SW-E03"
