"""The sentences of a verdict, each with the numbers it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from seewhy.metrics.comparisons import Above, Duel, balance
from seewhy.metrics.gradebook import Gradebook
from seewhy.metrics.intervals import Interval
from seewhy.metrics.verdict_evidence import Evidence, Sanity
from seewhy.metrics.verdict_rules import Rules, better_words, control_words
from seewhy.registry.metrics import Family

CRITERIA: Mapping[Family, str] = {
    "faithfulness": "it beats more of the other methods by faithfulness",
    "robustness": "its maps change less under noise",
    "localization": "its maps lie more on the object",
}


def counted(number: int, what: str = "record") -> str:
    """A number of things.

    >>> counted(1), counted(32)
    ('1 record', '32 records')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def outcome(
    book: Gradebook,
    first: Evidence | None,
    metrics: Sequence[str],
    records: int,
    needed: int,
    sound: Sequence[Evidence],
    *,
    is_open: bool,
) -> str:
    """The first sentence: what to use, or why nothing is said to be; ``is_open``: of some method it is not decided."""
    of = "" if book.input == "image" else f" of the input {book.input}"
    if first is not None:
        return f"use {first.method} for this model{of} ({counted(records)}){_doubts(first, book.metrics)}"
    if not sound:
        return f"none of these can be trusted here{of}: every method fails a check of sanity"
    if not metrics:
        return f"nothing can be said of which to trust{of}: no metric of faithfulness was graded"
    if not book.present_controls:
        return f"nothing can be said of which to trust{of}: no control was graded beside the methods"
    if len(book.records) == 1:
        return f"one record: no interval; nothing can be said about other pictures{of}"
    if records < needed:
        return f"too few records to tell{of}: {counted(records)} with grades, but so many comparisons need {needed}"
    by = {one.method: [each.metric for each in one.better(metrics)] for one in sound}
    only = "".join(f"; {who} is only by {listed(names)}" for who, names in by.items() if names)
    most = "no method is above every control by most metrics of faithfulness"
    if is_open:
        return f"nothing is sure yet{of}: {most} ({counted(records)}){only}; more records may tell"
    return f"none of these can be trusted here{of}: {most} ({counted(records)}){only}"


def because(one: Evidence, metrics: Sequence[str]) -> tuple[str, ...]:
    """Why a method can be trusted: how far it is above its best controls, and the sanity it has."""
    better = [f"{better_words(each.metric, each.control or '')} {evidence_of(each)}" for each in one.better(metrics)]
    return (*better, *(sanity(each) for each in one.sanity if each.state == "passed"))


def evidence_of(above: Above) -> str:
    """The numbers of a comparison with a control; ``p`` is of being better, and says nothing where it is not."""
    sure = "" if above.ruled_out else f"{chance(above.p)}, "
    return f"({above.metric}: difference {above.difference}, {sure}{_of(above.difference)})"


def sanity(one: Sanity) -> str:
    """How a method does by a rule of sanity."""
    who = "a map that ignores the model" if one.control is None else control_words(one.control)
    words = {"failed": one.rule.fails, "passed": one.rule.passes}.get(one.state, f"it is not clear {one.rule.asks}")
    count = "" if one.value.n == one.value.of and one.value.n > 1 else f", {_of(one.value)}"
    return f"{words} ({one.rule.measure} {one.value}, {who} has {one.reached:.2f}{count})"


def rejection(one: Evidence) -> str:
    """Why a method fails whatever else it can do."""
    return "; ".join(sanity(each) for each in one.failed)


def not_above(one: Evidence, metrics: Sequence[str]) -> str:
    """Why a method cannot be said to be better than a map that knows nothing."""
    parts = []
    for each in (one.above[metric] for metric in metrics if metric in one.above):
        if each.control is None:
            parts.append(f"it has no value by {each.metric} that a control has too")
        elif not each.better:
            than = "worse than" if each.worse else "no better than" if each.ruled_out else "not shown to be better than"
            parts.append(f"it is {than} {control_words(each.control)} {evidence_of(each)}")
    if better := [each.metric for each in one.better(metrics)]:
        parts.append(f"it is above every control only by {listed(better)}")
    return "; ".join(parts) or "it was graded by no metric of faithfulness"


def tie(fought: Sequence[Duel], first: str, other: str) -> str:
    """That neither of two methods is ahead of the other, by the differences between them."""
    between = _between(fought, first, other)
    told = ", ".join(f"{duel.metric}: difference {_seen_from(first, duel)}, {chance(duel.p)}" for duel in between)
    if balance(between, first, other) < 0:
        return f"{other} is ahead of {first} by more metrics of faithfulness, but behind others ({told})"
    if any(duel.winner for duel in between):
        return f"{other} and {first} are each ahead by as many metrics of faithfulness as the other ({told})"
    return f"{other} cannot be told apart from {first} by faithfulness ({told})"


def preference(wins: Mapping[Family, Mapping[str, int]], first: Evidence, other: Evidence) -> str:
    """Why the one of two that cannot be told apart is named first."""
    return f"{first.method} is named first because {_advantage(wins, first, other)}"


def _advantage(wins: Mapping[Family, Mapping[str, int]], first: Evidence, other: Evidence) -> str:
    if len(first.doubts) < len(other.doubts):
        own = [one.rule for one in first.doubts]
        unknown = [one.rule.asks for one in other.doubts if one.rule not in own]
        return f"it is not known of {other.method} {listed(unknown)}"
    for family, each in wins.items():
        if each[first.method] > each[other.method]:
            return CRITERIA.get(family, f"it is ahead by {family}")
    if first.cost is not None and (other.cost is None or first.cost < other.cost):
        dearer = "an unknown number of" if other.cost is None else f"{other.cost:.3g}"
        return f"it takes {first.cost:.3g} passes through the model, not {dearer}"
    return "it was given first"


def _doubts(one: Evidence, graded: Sequence[str]) -> str:
    """What is not known of the first choice that was asked of anyone, or everything where nothing was."""
    told = one.doubts if len(one.doubts) == len(one.sanity) else [x for x in one.doubts if x.rule.metric in graded]
    parts = {state: [each.rule.asks for each in told if each.state == state] for state in ("unchecked", "unclear")}
    words = [f"{listed(parts['unchecked'])} was not checked"] if parts["unchecked"] else []
    words += [f"it is not clear {listed(parts['unclear'])}"] if parts["unclear"] else []
    return "".join(f"; {each}" for each in words)


def notes(
    rules: Rules, evidence: Mapping[str, Evidence], metrics: Sequence[str], chosen: Sequence[str]
) -> Iterator[str]:
    """What was not checked, and what speaks against the chosen methods."""
    for place, rule in enumerate(rules.sanity):
        unchecked = [who for who, one in evidence.items() if one.sanity[place].state == "unchecked"]
        if len(unchecked) == len(evidence):
            yield f"it was not checked {rule.asks.replace('its maps', 'the maps')} ({rule.metric} was not graded)"
        elif unchecked:
            yield f"{listed(unchecked)}: it was not checked {rule.asks} (no value of {rule.metric})"
    for who in chosen:
        one = evidence[who]
        yield from (f"{who}: {sanity(each)}" for each in one.sanity if each.state == "unclear")
        behind = [metric for metric in metrics if metric in one.above and not one.above[metric].better]
        if behind:
            yield f"{who}: {not_above(one, behind)}"
        for caution in one.cautions:
            yield f"{who}: {caution.words} ({caution.metric} {one.values[caution.metric]})"
    graded = {metric for one in evidence.values() for metric in one.values}
    yield from (f"{name} does not rank: {why}" for name, why in rules.unranked.items() if name in graded)


def contradiction(fought: Sequence[Duel], metrics: tuple[str, str], pair: tuple[str, str]) -> str:
    """That one metric has the first method ahead and the other the second."""
    (one,), (other,) = ([duel for duel in _between(fought, *pair) if duel.metric == metric] for metric in metrics)
    return (
        f"{metrics[0]} has {pair[0]} ahead of {pair[1]} (difference {_seen_from(pair[0], one)}), "
        f"{metrics[1]} has {pair[1]} ahead (difference {_seen_from(pair[1], other)})"
    )


def chance(p: float) -> str:
    """A probability under chance alone.

    >>> chance(0.00052), chance(0.00001), chance(0.31)
    ('p = 0.0005', 'p < 0.0001', 'p = 0.31')
    """
    if math.isnan(p):
        return "p unknown"
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.4f}" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def _of(interval: Interval) -> str:
    return counted(interval.n) if interval.n == interval.of else f"{interval.n} of {counted(interval.of)}"


def _between(fought: Sequence[Duel], one: str, other: str) -> list[Duel]:
    return [duel for duel in fought if {duel.first, duel.second} == {one, other}]


def _seen_from(first: str, duel: Duel) -> Interval:
    """The difference, positive where ``first`` is better."""
    if duel.first == first:
        return duel.difference
    seen = duel.difference
    return Interval(0.0 - seen.mean, 0.0 - seen.high, 0.0 - seen.low, seen.n, seen.of)  # no -0
