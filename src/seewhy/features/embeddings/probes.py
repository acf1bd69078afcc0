"""What embeddings know of a label: a linear probe and a k-NN probe, beside two controls that know nothing."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int64, Num
from torch import Tensor

from seewhy.features.embeddings.choices import ROUNDS
from seewhy.features.embeddings.grouping import require_groups
from seewhy.features.embeddings.neighbours import nearest_neighbours
from seewhy.features.embeddings.settings import require_seed
from seewhy.features.embeddings.usable import require_distance, require_table, usable_rows
from seewhy.ops import generator
from seewhy.values import EmbeddingError, MissingExtraError


@dataclass(frozen=True)
class Score:
    """How often a probe was right: of all, and the mean over classes. ``by_class`` holds ``(right, records)``."""

    accuracy: float
    balanced: float
    by_class: dict[int, tuple[int, int]]


@dataclass(frozen=True)
class Probed:
    """A probe's score on held-out records, and what controls score there.

    ``majority`` always says the commonest class of the training records; ``shuffled`` is the same probe after their
    labels were shuffled. A probe that does not beat both says nothing. ``classes`` are those of the training records;
    ``unseen`` held-out records of other classes count as wrong. ``settled`` is false where the fit was cut short.
    """

    kind: str
    score: Score
    majority: Score
    shuffled: Score
    trained_on: int
    tested_on: int
    left_out: int
    classes: tuple[int, ...]
    unseen: int
    settled: bool = True


def linear_probe(
    train: Num[Tensor, "n d"],
    train_labels: Int64[Tensor, " n"],
    test: Num[Tensor, "m d"],
    test_labels: Int64[Tensor, " m"],
    *,
    strength: float = 1.0,
    seed: int = 0,
) -> Probed:
    """Logistic regression on standardised embeddings (means and deviations of the training records).

    Alain and Bengio 2016 (arXiv:1610.01644). Records without a label (-1) or with a number that is not finite are left
    out.

    Args:
        train, test: ``(N, D)`` and ``(M, D)``.
        train_labels, test_labels: a class for each, -1 for none.
        strength: of the L2 penalty, inverted: scikit-learn's ``C``.
        seed: of the shuffled control.

    Raises:
        MissingExtraError: scikit-learn is not installed. EmbeddingError: ``SW-E02``, ``SW-E04``, ``SW-E07`` fewer than
            two classes, ``SW-E11`` nothing to test on, ``SW-E12`` a strength that is no number above 0, or the seed.

    Example:
        >>> table = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
        >>> linear_probe(table, torch.tensor([0, 0, 1, 1]), table, torch.tensor([0, 0, 1, 1])).score.accuracy
        1.0
    """
    if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 < strength < float("inf"):
        raise EmbeddingError("SW-E12", f"strength must be a number above 0, got {strength!r}", fix="take 1.0")
    split = _Split.of(train, train_labels, test, test_labels, "l2")
    mean, deviation = split.train.mean(dim=0), split.train.std(dim=0, unbiased=False)
    varies = split.train.amin(dim=0) != split.train.amax(dim=0)
    known, asked = (((rows - mean) / deviation)[:, varies] for rows in (split.train, split.test))
    if not bool(varies.any()):
        raise EmbeddingError("SW-E07", "all training vectors are the same", fix="take embeddings that differ")
    said, settled = _regression(known, split.train_labels, asked, strength)
    shuffled, _ = _regression(known, split.shuffled(seed), asked, strength)
    return split.told("linear", said, shuffled, settled)


def knn_probe(
    train: Num[Tensor, "n d"],
    train_labels: Int64[Tensor, " n"],
    test: Num[Tensor, "m d"],
    test_labels: Int64[Tensor, " m"],
    *,
    k: int = 5,
    metric: str = "cosine",
    seed: int = 0,
) -> Probed:
    """The commonest class of the ``k`` nearest training records; of equally common ones, the one that is nearer.

    Raises:
        EmbeddingError: ``SW-E01``, ``SW-E03`` fewer than ``k`` training records, and as :func:`linear_probe`.

    Example:
        >>> table = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
        >>> labels = torch.tensor([0, 0, 1, 1])
        >>> found = knn_probe(table, labels, table + 1, labels, k=1, metric="l2")
        >>> found.score.accuracy, found.majority.balanced
        (1.0, 0.5)
    """
    distance = require_distance(metric)
    split = _Split.of(train, train_labels, test, test_labels, distance)
    near = nearest_neighbours(split.test, split.train, k, distance).indices
    return split.told("knn", _votes(near, split.train_labels), _votes(near, split.shuffled(seed)), True)


def score_of(said: Int64[Tensor, " m"], labels: Int64[Tensor, " m"]) -> Score:
    """Accuracy over records, and its mean over the classes that the labels hold.

    Example:
        >>> score_of(torch.tensor([0, 0, 0, 0]), torch.tensor([0, 0, 0, 1])).balanced
        0.5
    """
    right = said == labels
    by_class = {
        name: (int(right[labels == name].sum()), int((labels == name).sum())) for name in torch.unique(labels).tolist()
    }
    balanced = sum(hits / count for hits, count in by_class.values()) / len(by_class)
    return Score(float(right.double().mean()), balanced, by_class)


@dataclass(frozen=True)
class _Split:
    """Training and held-out records that have a label and a distance."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    left_out: int

    @classmethod
    def of(cls, train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor, metric: Any) -> _Split:
        train, test = require_table(train), require_table(test)
        require_labels(train_labels)
        require_groups(train, train_labels)
        require_groups(test, test_labels, fewest=0)
        if train.shape[1] != test.shape[1]:
            raise EmbeddingError(
                "SW-E04", f"training vectors of length {train.shape[1]}, held-out ones of length {test.shape[1]}",
                fix="take embeddings of the same layer",
            )  # fmt: skip
        known, asked = (
            usable_rows(rows, metric) & (labels >= 0) for rows, labels in ((train, train_labels), (test, test_labels))
        )
        if len(torch.unique(train_labels[known])) < 2:
            raise EmbeddingError(
                "SW-E07",
                "the training vectors that are finite are of fewer than two classes",
                fix="check the embeddings",
            )
        if not bool(asked.any()):
            raise EmbeddingError(
                "SW-E11", "no held-out record has a label and an embedding to test on", fix="name a split with labels"
            )
        left_out = int((~known).sum()) + int((~asked).sum())
        return cls(train[known].double(), train_labels[known], test[asked].double(), test_labels[asked], left_out)

    def shuffled(self, seed: int) -> Tensor:
        order = torch.randperm(len(self.train_labels), generator=generator(require_seed(seed), "probe"))
        return self.train_labels[order]

    def told(self, kind: str, said: Tensor, shuffled: Tensor, settled: bool) -> Probed:
        names, counts = torch.unique(self.train_labels, return_counts=True)
        commonest = names[counts.argmax()].expand(len(self.test_labels))
        return Probed(
            kind=kind,
            score=score_of(said, self.test_labels),
            majority=score_of(commonest, self.test_labels),
            shuffled=score_of(shuffled, self.test_labels),
            trained_on=len(self.train),
            tested_on=len(self.test),
            left_out=self.left_out,
            classes=tuple(names.tolist()),
            unseen=int((~torch.isin(self.test_labels, names)).sum()),
            settled=settled,
        )


def require_labels(labels: object) -> None:
    """Raise ``EmbeddingError`` SW-E07 where no record has a label."""
    if isinstance(labels, Tensor) and labels.numel() and not bool((labels >= 0).any()):
        raise EmbeddingError(
            "SW-E07", "no training record has a label, and a probe learns labels",
            fix="take records with labels, or cluster them",
        )  # fmt: skip


def _regression(train: Tensor, labels: Tensor, test: Tensor, strength: float) -> tuple[Tensor, bool]:
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "analysis") from error
    model = LogisticRegression(C=float(strength), max_iter=ROUNDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told as `settled`
        model.fit(train.numpy(), labels.numpy())
    return torch.from_numpy(model.predict(test.numpy())), bool((model.n_iter_ < ROUNDS).all())


def _votes(near: Int64[Tensor, "m k"], labels: Int64[Tensor, " n"]) -> Int64[Tensor, " m"]:
    theirs = labels[near]
    count = (theirs[:, :, None] == theirs[:, None, :]).sum(dim=2)
    return theirs.gather(1, count.argmax(dim=1, keepdim=True))[:, 0]
