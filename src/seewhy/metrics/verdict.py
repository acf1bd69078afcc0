"""Which method to use for a model, which not, and why: the grades of a sample of records, weighed by rules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

from seewhy.metrics import verdict_words as words
from seewhy.metrics.comparisons import Duel, balance, copeland, duels, order_correlations
from seewhy.metrics.gradebook import Gradebook
from seewhy.metrics.verdict_evidence import Evidence, gather, ranking_metrics, records_needed
from seewhy.metrics.verdict_result import Disagreement, Row, Standing, Verdict
from seewhy.metrics.verdict_rules import RULES, Rules
from seewhy.registry.metrics import Family

__all__ = ["Verdict", "verdict"]

Wins = Mapping[Family, Mapping[str, int]]
AVOID: Final[tuple[Standing, ...]] = ("not above the controls", "rejected")
"""Standings of methods not to use, the worst last."""


def verdict(book: Gradebook, rules: Rules = RULES, seed: int = 0) -> Verdict:
    """Weigh a gradebook.

    A method that breaks a rule of sanity is rejected, however good it is otherwise: the true place of the object
    handed over as a map has perfect localization and says nothing of the model. Of the others those can be trusted that
    are better than every control by most metrics of faithfulness, each tested on the same records; one of which that
    is open is unproven. They are ranked by how many of one another they beat by a majority of metrics (Copeland 1951,
    A reasonable social welfare function), family after family in the rules' order, then by cost; of those that cannot
    be told apart by faithfulness the ones whose sanity was checked come first. Metrics are never averaged, and where
    they contradict one another that is told. The order of the records does not matter.

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
    ranked = _ranked(evidence, trusted, wins, fought[rules.order[0]])
    first = ranked[0] if ranked else None
    ties = _ties(fought[rules.order[0]], ranked)
    correlations = order_correlations(book, metrics)
    standings = {who: _standing(one, ranked, ties, metrics, rules, enough) for who, one in evidence.items()}
    return Verdict(
        words.outcome(
            book,
            evidence[first] if first else None,
            metrics,
            records,
            needed,
            [evidence[who] for who in sound],
            is_open="not shown" in standings.values(),
        ),
        first,
        words.because(evidence[first], metrics) if first else (),
        tuple(ties),
        tuple(_tied(fought[rules.order[0]], wins, evidence, first, ties)) if first else (),
        {who: _against(evidence[who], metrics) for who, standing in standings.items() if standing in AVOID},
        {who: _against(evidence[who], metrics) for who, standing in standings.items() if standing == "not shown"},
        tuple(Row(standings[who], wins[rules.order[0]].get(who), evidence[who]) for who in _order(standings, ranked)),
        correlations,
        _disagreements(fought[rules.order[0]], correlations),
        tuple(words.notes(rules, evidence, metrics, ranked[: 1 + len(ties)] if first else ())),
    )


def _ranked(evidence: Mapping[str, Evidence], trusted: Sequence[str], wins: Wins, fought: Sequence[Duel]) -> list[str]:
    """Those that can be trusted, the best first; of it and its ties the one of which the most was checked."""
    ranked = sorted(trusted, key=lambda who: _place(wins, evidence[who]))
    if not ranked:
        return []
    first = min((ranked[0], *_ties(fought, ranked)), key=lambda who: len(evidence[who].doubts))
    return [first, *(who for who in ranked if who != first)]


def _place(wins: Wins, one: Evidence) -> tuple[float, ...]:
    """What methods are sorted by: the best has the least."""
    faithfulness, *others = (-each[one.method] for each in wins.values())
    return (faithfulness, len(one.doubts), *others, math.inf if one.cost is None else one.cost)


def _ties(fought: Sequence[Duel], ranked: Sequence[str]) -> list[str]:
    """Those that the first is not ahead of."""
    return [who for who in ranked[1:] if balance(fought, ranked[0], who) <= 0]


def _tied(
    fought: Sequence[Duel], wins: Wins, evidence: Mapping[str, Evidence], first: str, ties: Sequence[str]
) -> list[str]:
    return [
        f"{words.tie(fought, first, other)}; {words.preference(wins, evidence[first], evidence[other])}"
        for other in ties
    ]


def _against(one: Evidence, metrics: Sequence[str]) -> str:
    """Why a method is not to be used: it fails a check, or it is not above a map that knows nothing."""
    return words.rejection(one) if one.failed else words.not_above(one, metrics)


def _order(standings: Mapping[str, Standing], ranked: Sequence[str]) -> list[str]:
    """All methods: those that can be trusted in their order, then the others, the rejected last."""
    others = [who for who in standings if who not in ranked]
    return [*ranked, *sorted(others, key=lambda who: AVOID.index(standings[who]) if standings[who] in AVOID else -1)]


def _standing(
    one: Evidence, ranked: Sequence[str], ties: Sequence[str], metrics: Sequence[str], rules: Rules, enough: bool
) -> Standing:
    if one.failed:
        return "rejected"
    if one.method in ranked:
        return "first" if one.method == ranked[0] else "tied" if one.method in ties else "behind"
    if not enough:
        return "unknown"
    return "not above the controls" if one.ruled_out(metrics, rules.majority) else "not shown"


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
