"""Which method to use for a model, which not, and why: the grades of a sample of records, weighed by rules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from seewhy.metrics import verdict_words as words
from seewhy.metrics.comparisons import Duel, balance, copeland, duels, order_correlations
from seewhy.metrics.gradebook import Gradebook
from seewhy.metrics.verdict_evidence import Evidence, gather, ranking_metrics, records_needed
from seewhy.metrics.verdict_result import Disagreement, Row, Standing, Verdict
from seewhy.metrics.verdict_rules import RULES, Rules
from seewhy.registry.metrics import Family

__all__ = ["Verdict", "verdict"]

Wins = Mapping[Family, Mapping[str, int]]


def verdict(book: Gradebook, rules: Rules = RULES, seed: int = 0) -> Verdict:
    """Weigh a gradebook.

    A method that breaks a rule of sanity is rejected, however good it is otherwise: the true place of the object
    handed over as a map has perfect localization and says nothing of the model. Of the others those can be trusted that
    are better than every control by most metrics of faithfulness, each tested on the same records. They are ranked
    by how many of one another they beat by a majority of metrics (Copeland 1951, A reasonable social welfare function),
    family after family in the rules' order, then by cost. Metrics are never averaged, and where they contradict one
    another that is told. The order of the records does not matter.

    Example:
        >>> import numpy as np
        >>> values = {
        ...     "gradcam": {"deletion": np.linspace(0.1, 0.2, 12), "parameter_randomization": np.zeros(12)},
        ...     "mask": {"deletion": np.linspace(0.1, 0.2, 12), "parameter_randomization": np.ones(12)},
        ...     "edges": {"deletion": np.linspace(0.4, 0.6, 12), "parameter_randomization": np.ones(12)},
        ... }
        >>> facts = {"deletion": ("lower", "faithfulness"), "parameter_randomization": ("lower", "randomization")}
        >>> found = verdict(Gradebook(tuple("abcdefghijkl"), values, facts=facts))
        >>> found.use, list(found.avoid)
        ('gradcam', ['mask'])
    """
    evidence = gather(book, rules, seed)
    fought = {
        family: duels(book, book.methods, ranking_metrics(book, rules, family), level=rules.level, seed=seed)
        for family in rules.order
    }
    metrics = ranking_metrics(book, rules, rules.order[0])
    records, needed = records_needed(evidence, metrics, rules)
    enough = records >= needed
    sound = [who for who, one in evidence.items() if not one.failed]
    trusted = [who for who in sound if enough and evidence[who].beats_controls(metrics, rules.majority)]
    wins = {family: copeland(each, trusted) for family, each in fought.items()}
    ranked = sorted(trusted, key=lambda who: _place(wins, evidence[who]))
    first = ranked[0] if ranked else None
    ties = [who for who in ranked[1:] if first and balance(fought[rules.order[0]], first, who) <= 0]
    correlations = order_correlations(book, metrics)
    return Verdict(
        words.outcome(book, first, metrics, records, needed, bool(sound)),
        first,
        words.because(evidence[first], metrics) if first else (),
        tuple(ties),
        tuple(_tied(fought[rules.order[0]], wins, book, first, ties)) if first else (),
        _avoid(evidence, trusted, metrics, enough),
        _ranking(evidence, ranked, ties, wins[rules.order[0]], enough),
        correlations,
        _disagreements(fought[rules.order[0]], correlations),
        tuple(words.notes(rules, evidence, metrics, ranked[: 1 + len(ties)] if first else ())),
    )


def _place(wins: Wins, one: Evidence) -> tuple[float, ...]:
    """What methods are sorted by: the best has the least."""
    return (*(-each[one.method] for each in wins.values()), math.inf if one.cost is None else one.cost)


def _tied(fought: Sequence[Duel], wins: Wins, book: Gradebook, first: str, ties: Sequence[str]) -> list[str]:
    return [f"{words.tie(fought, first, other)}; {words.preference(wins, book.costs, first, other)}" for other in ties]


def _avoid(
    evidence: Mapping[str, Evidence], trusted: Sequence[str], metrics: Sequence[str], enough: bool
) -> dict[str, str]:
    """Why not to use a method: it fails a check, or it was not shown to be better than a map that knows nothing."""
    found = {who: words.rejection(one) for who, one in evidence.items() if one.failed}
    if enough:
        found |= {
            who: words.not_above(one, metrics)
            for who, one in evidence.items()
            if who not in trusted and who not in found
        }
    return found


def _ranking(
    evidence: Mapping[str, Evidence], ranked: Sequence[str], ties: Sequence[str], wins: Mapping[str, int], enough: bool
) -> tuple[Row, ...]:
    """All methods: those that can be trusted in their order, then the others, the rejected last."""
    others = sorted((who for who in evidence if who not in ranked), key=lambda who: bool(evidence[who].failed))
    return tuple(
        Row(_standing(evidence[who], ranked, ties, enough), wins.get(who), evidence[who]) for who in (*ranked, *others)
    )


def _standing(one: Evidence, ranked: Sequence[str], ties: Sequence[str], enough: bool) -> Standing:
    if one.failed:
        return "rejected"
    if one.method in ranked:
        return "first" if one.method == ranked[0] else "tied" if one.method in ties else "behind"
    return "not above the controls" if enough else "unknown"


def _disagreements(fought: Sequence[Duel], correlations: Mapping[str, Mapping[str, float]]) -> tuple[Disagreement, ...]:
    """Pairs of metrics that surely reverse two methods, or whose orders go against one another."""
    winners = {(duel.metric, frozenset((duel.first, duel.second))): duel.winner for duel in fought}
    found = []
    for one, other in combinations(correlations, 2):
        turned = []
        for (metric, pair), winner in winners.items():
            against = winners.get((other, pair))
            if metric == one and winner and against and winner != against:
                turned.append((winner, against))
        correlation = correlations[one][other]
        if turned or correlation < 0:
            said = [words.contradiction(fought, (one, other), pair) for pair in turned]
            order = f"the orders of {one} and {other} have a rank correlation of {correlation:.2f}"
            found.append(Disagreement((one, other), correlation, tuple(turned), "; ".join([*said, order])))
    return tuple(found)
