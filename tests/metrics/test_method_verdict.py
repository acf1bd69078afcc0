"""Verdicts on gradebooks whose truth is known: the best is chosen, cheats are caught, and what is not known is said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from books import CONTROLS, FACTS, GOOD, book, spread, without

from seewhy.metrics.comparisons import above_controls
from seewhy.metrics.gradebook import Gradebook
from seewhy.metrics.verdict import verdict
from seewhy.metrics.verdict_rules import RULES

BETTER = {**GOOD, "deletion": 0.1, "insertion": 0.8, "road": 0.4}
WEAK = {"deletion": 0.41, "insertion": 0.49, "road": 0.09, "average_sensitivity": 0.2}


def test_the_best_is_chosen_and_the_numbers_are_in_the_words() -> None:
    found = verdict(book({"good": GOOD, "better": BETTER, "weak": WEAK}))
    assert (found.use, found.ties, list(found.unproven)) == ("better", (), ["weak"])
    assert found.avoid == {}
    assert [(row.method, row.standing, row.wins) for row in found.ranking] == [
        ("better", "first", 1),
        ("good", "behind", -1),
        ("weak", "not shown", None),
    ]
    lines = found.text().splitlines()
    assert lines[0] == "Use better for this model (24 records),"
    assert lines[1].startswith(
        "  - because deleting what it marks first lowers the probability more than deleting what a map of the middle "
        "marks (deletion: difference 0.30 [0.2"
    )
    assert lines[1].endswith("], p = 0.0003, 24 records)")  # 9 comparisons, each seen once of 2¹⁵ + 1
    assert (
        "its maps change when the weights are randomised (magnitude of the similarity 0.10 [0.08, 0.12], an edge map "
        "has 1.00)"
    ) in found.text()
    assert "Above the controls, but behind: good." in lines
    assert "it is not shown to be better than a map of the middle (deletion: difference -0.01" in found.unproven["weak"]
    assert any(line.startswith("Unproven, weak: it is not shown to be better than a map of") for line in lines)


def test_the_difference_is_that_from_the_best_control_and_the_chance_the_worst_corrected() -> None:
    above = verdict(book({"good": GOOD})).ranking[0].evidence.above["insertion"]
    assert (above.control, above.better, above.worse) == ("centre", True, False)
    assert above.difference.mean == pytest.approx(0.7 - 0.5)
    assert above.value.mean == pytest.approx(0.7)
    assert above.p == pytest.approx(3 / (2**15 + 1))  # 3 comparisons: its metrics; all controls must be beaten


def test_an_edge_map_dressed_as_a_method_is_rejected_whatever_its_faithfulness() -> None:
    cheat = {**BETTER, "deletion": 0.01, "insertion": 0.99, "parameter_randomization": 1.0, "class_sensitivity": 1.0}
    given = book({"dressed": cheat, "good": GOOD})
    found = verdict(given)
    assert found.use == "good"
    assert found.ranking[-1].method == "dressed"
    assert found.ranking[-1].standing == "rejected"
    assert verdict(given, replace(RULES, sanity=())).use == "dressed"  # so that it is the rules which reject it
    assert found.avoid["dressed"] == (
        "its maps do not change when the weights are randomised (magnitude of the similarity 1.00 [1.00, 1.00], an "
        "edge map has 1.00); "
        "its maps are much the same whatever class is asked about, so they cannot say why it is this one (similarity "
        "1.00 [1.00, 1.00], an edge map has 1.00)"
    )


def test_a_map_that_is_right_by_construction_is_caught() -> None:
    mask = {**BETTER, "relevance_mass_accuracy": 1.0, "parameter_randomization": 1.0, "class_sensitivity": 1.0}
    honest = {**GOOD, "relevance_mass_accuracy": 0.4}
    assert verdict(book({"mask": mask, "honest": honest})).use == "honest"
    alone = verdict(book({"mask": mask}))
    assert alone.use is None
    assert alone.text().startswith("None of these can be trusted here: every method fails a check of sanity.")
    assert "do not change when the weights are randomised" in alone.avoid["mask"]


def test_a_map_that_nearly_ignores_the_weights_is_rejected_and_the_limit_is_half_the_edge_maps() -> None:
    found = verdict(book({"guided": {**BETTER, "parameter_randomization": 0.97}, "good": GOOD}))
    assert found.avoid["guided"].startswith(
        "its maps do not change when the weights are randomised (magnitude of the similarity 0.97 [0.95, 0.99], an "
        "edge map has 1.00)"
    )
    states = {
        level: verdict(book({"one": {**GOOD, "parameter_randomization": level}})).ranking[0].evidence.sanity[0].state
        for level in (0.4, 0.5, 0.6)
    }
    assert states == {0.4: "passed", 0.5: "unclear", 0.6: "failed"}
    unclear = verdict(book({"one": {**GOOD, "parameter_randomization": 0.5}}))
    assert unclear.use == "one"
    assert any("it is not clear whether its maps change when the weights" in note for note in unclear.notes)


def test_a_map_for_every_class_is_rejected_for_that_alone() -> None:
    found = verdict(book({"blind": {**BETTER, "class_sensitivity": 1.0}, "good": GOOD}))
    assert found.use == "good"
    assert found.avoid["blind"].startswith("its maps are much the same whatever class is asked about")


def test_nothing_is_recommended_where_no_method_is_above_the_controls() -> None:
    found = verdict(book({"weak": WEAK, "worse": {**WEAK, "deletion": 0.6, "insertion": 0.2, "road": -0.2}}))
    assert found.use is None
    assert found.text().startswith(
        "Nothing is sure yet: no method is above every control by most metrics of faithfulness (24 records); more "
    )
    worst = verdict(book({"worse": {**WEAK, "deletion": 0.6, "insertion": 0.2, "road": -0.2}}))
    assert worst.text().startswith(
        "None of these can be trusted here: no method is above every control by most metrics of faithfulness (24 "
        "records)."
    )
    assert "it is worse than a map of the middle (deletion: difference -0.20" in found.avoid["worse"]
    assert [row.standing for row in found.ranking] == ["not shown", "not above the controls"]
    assert "Do not use worse: " in found.text()
    assert "Do not use weak" not in found.text()


def test_better_by_half_of_the_metrics_is_no_majority() -> None:
    half = {"deletion": 0.2, "insertion": 0.5}
    found = verdict(book({"half": half}))
    assert found.use is None
    assert found.outcome.removesuffix("; more records may tell").endswith(
        "by most metrics of faithfulness (24 records); half is only by deletion"
    )
    assert found.unproven["half"].endswith("it is above every control only by deletion")
    assert list(verdict(book({"half": {**half, "insertion": 0.2}})).avoid) == ["half"]  # cannot be by most any more
    assert verdict(book({"half": half}), replace(RULES, majority=0.4)).use == "half"
    two_of_three = verdict(book({"most": {"deletion": 0.2, "insertion": 0.5, "road": 0.3}}))
    assert two_of_three.use == "most"
    assert any(note.startswith("most: it is not shown to be better than a map of") for note in two_of_three.notes)


def test_methods_that_cannot_be_told_apart_are_ties_and_the_reason_for_the_first_is_told() -> None:
    found = verdict(book({"other": GOOD, "stable": {**GOOD, "average_sensitivity": 0.05}}))
    assert (found.use, found.ties) == ("stable", ("other",))
    assert found.tied[0].startswith("other cannot be told apart from stable by faithfulness (deletion: difference ")
    assert ", p = " in found.tied[0]
    assert found.tied[0].endswith("stable is named first because its maps change less under noise")
    assert [row.standing for row in found.ranking] == ["first", "tied"]


def test_of_equals_the_cheaper_is_named_first_then_the_one_given_first() -> None:
    equal = {"dear": GOOD, "cheap": GOOD}
    by_cost = verdict(replace(book(equal), costs={"dear": 50.0, "cheap": 2.0}))
    assert (by_cost.use, by_cost.ties) == ("cheap", ("dear",))
    assert by_cost.tied[0].endswith("cheap is named first because it takes 2 passes through the model, not 50")
    unknown = verdict(replace(book(equal), costs={"dear": np.nan, "cheap": 2.0}))
    assert unknown.tied[0].endswith("it takes 2 passes through the model, not an unknown number of")
    assert verdict(book(equal)).tied[0].endswith("dear is named first because it was given first")


def test_metrics_that_contradict_one_another_are_shown_and_not_averaged() -> None:
    left, right = {"deletion": 0.1, "insertion": 0.6}, {"deletion": 0.3, "insertion": 0.9}
    found = verdict(book({"left": left, "right": right}))
    assert {found.use, *found.ties} == {"left", "right"}  # each beats the other once: 0.2 and 0.3 are not weighed
    assert "are each ahead by as many metrics of faithfulness as the other" in found.tied[0]
    (one,) = found.disagreements
    assert (one.metrics, one.reversed) == (("deletion", "insertion"), (("left", "right"),))
    assert "deletion has left ahead of right (difference 0.20 [" in one.words
    assert "insertion has right ahead (difference 0.30 [" in one.words
    assert found.correlations["deletion"]["insertion"] == pytest.approx(0.9)  # of five in order, two neighbours swap
    assert found.correlations["deletion"]["deletion"] == pytest.approx(1.0)


def test_metrics_that_agree_show_no_disagreement() -> None:
    assert verdict(book({"good": GOOD, "better": BETTER})).disagreements == ()


def test_a_majority_of_metrics_ranks_and_a_circle_of_three_is_a_tie() -> None:
    def of(deletion: float, insertion: float, road: float) -> dict[str, float]:
        return {"deletion": deletion, "insertion": insertion, "road": road}

    found = verdict(book({"a": of(0.05, 0.8, 0.2), "b": of(0.15, 0.7, 0.6), "c": of(0.25, 0.9, 0.4)}))
    assert {row.wins for row in found.ranking} == {0}  # a beats b, b beats c, c beats a, each by two of three
    majority = verdict(book({"a": of(0.05, 0.9, 0.2), "b": of(0.15, 0.7, 0.6)}))
    assert (majority.use, majority.ties) == ("a", ())


def test_one_record_says_nothing_about_others() -> None:
    found = verdict(book({"good": GOOD}).take([0]))
    assert found.use is None
    assert found.avoid == {}
    assert found.text().startswith("One record: no interval; nothing can be said about other pictures.")


@pytest.mark.parametrize(("count", "use"), [(5, None), (6, "good")])
def test_so_few_records_that_no_difference_can_be_sure_are_said_to_be_too_few(count: int, use: str | None) -> None:
    found = verdict(book({"good": GOOD}, count=count))  # 3 comparisons: 3 / 2⁵ is above 0.05, 3 / 2⁶ below
    assert found.use == use
    if use is None:
        assert "too few records to tell: 5 records with grades, but so many comparisons need 6" in found.outcome
        assert found.avoid == {}
        assert found.ranking[0].standing == "unknown"


def test_what_was_not_checked_is_said() -> None:
    given = without(book({"good": GOOD}), "parameter_randomization", "class_sensitivity")
    found = verdict(given)
    assert found.use == "good"
    assert not any("similarity" in reason for reason in found.because)
    text = found.text()
    for what in (
        "whether the maps change when the weights are randomised (parameter_randomization was not graded)",
        "whether the maps depend on the class asked about (class_sensitivity was not graded)",
    ):
        assert f"Note: it was not checked {what}." in text


def test_a_method_whose_sanity_has_no_value_is_not_passed_silently() -> None:
    given = book({"good": GOOD, "better": BETTER})
    rows = {who: dict(row) for who, row in given.values.items()}
    rows["better"]["parameter_randomization"] = np.full(24, np.nan)
    found = verdict(replace(given, values=rows))
    assert found.use == "better"
    assert any(
        note.startswith("better: it was not checked whether its maps change when the weights") for note in found.notes
    )


def test_without_controls_or_faithfulness_nothing_is_recommended() -> None:
    given = book({"good": GOOD})
    alone = Gradebook(given.records, {"good": given.values["good"]}, facts=FACTS)
    assert "no control was graded" in verdict(alone).outcome
    assert "no metric of faithfulness was graded" in verdict(without(given, "deletion", "insertion", "road")).outcome
    assert verdict(alone).use is None


def test_without_a_control_the_limit_of_sanity_is_half_of_one() -> None:
    given = book({"guided": {**GOOD, "parameter_randomization": 0.8}})
    alone = Gradebook(given.records, {"guided": given.values["guided"]}, facts=FACTS)
    assert "similarity 0.80 [0.78, 0.82], a map that ignores the model has 1.00" in verdict(alone).avoid["guided"]


def with_grades(given: Gradebook, who: str, **columns: Sequence[float] | np.ndarray) -> Gradebook:
    """The same with other values of a method."""
    rows = {one: dict(row) for one, row in given.values.items()}
    rows[who] |= {metric: np.asarray(column, dtype=np.float64) for metric, column in columns.items()}
    return replace(given, values=rows)


UNKNOWN = np.full(24, np.nan)
ONE_KNOWN = np.where(np.arange(24) == 3, 0.0, np.nan)


def test_of_equals_the_one_whose_sanity_was_checked_is_named_first_even_before_the_more_robust() -> None:
    given = book({"a": {**GOOD, "average_sensitivity": 0.05}, "b": GOOD})
    assert verdict(given).use == "a"
    for column in (UNKNOWN, ONE_KNOWN):
        found = verdict(with_grades(given, "a", parameter_randomization=column, class_sensitivity=column))
        assert (found.use, found.ties) == ("b", ("a",))
        assert found.tied[0].endswith(
            "b is named first because it is not known of a whether its maps change when the weights are randomised and "
            "whether its maps depend on the class asked about"
        )
        assert found.outcome == "use b for this model (24 records)"


def test_one_that_was_checked_is_preferred_to_a_tie_that_beats_others_more_often() -> None:
    # a is sure to be ahead of c by both, b by neither more than a and b are apart
    given = book({"a": {"deletion": 0.10}, "b": {"deletion": 0.12}, "c": {"deletion": 0.15}}, count=12)
    fought = verdict(given)
    assert fought.use == "a"
    assert fought.ties == ("b",)
    assert [row.wins for row in fought.ranking] == [1, 0, -1]
    assert verdict(with_grades(given, "a", parameter_randomization=UNKNOWN[:12])).use == "b"


def test_the_sentence_of_a_first_choice_that_was_not_checked_says_so() -> None:
    given = book({"good": GOOD})
    asked = "whether its maps change when the weights are randomised"
    found = verdict(with_grades(given, "good", parameter_randomization=UNKNOWN))
    assert found.outcome == f"use good for this model (24 records); {asked} was not checked"
    found = verdict(with_grades(given, "good", parameter_randomization=ONE_KNOWN))
    assert found.outcome == f"use good for this model (24 records); it is not clear {asked}"
    found = verdict(without(given, "parameter_randomization", "class_sensitivity"))
    assert found.outcome == (
        f"use good for this model (24 records); {asked}, whether its maps change when the model is trained on shuffled "
        "labels and whether its maps depend on the class asked about was not checked"
    )


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_known_value_neither_passes_nor_fails_and_few_are_counted(value: float) -> None:
    given = book({"good": GOOD}, count=12)
    column = np.full(12, np.nan)
    column[4] = value
    found = verdict(with_grades(given, "good", parameter_randomization=column))
    assert found.ranking[0].evidence.sanity[0].state == "unclear"
    assert not any("weights" in reason for reason in found.because)
    said = f"(magnitude of the similarity {value:.2f}, an edge map has 1.00, 1 of 12 records)"
    assert any(note.startswith("good: it is not clear") and note.endswith(said) for note in found.notes)
    column[:3] = 0.1, 0.2, 0.0
    column[4] = np.nan
    passed = verdict(with_grades(given, "good", parameter_randomization=column))
    assert any(reason.endswith("an edge map has 1.00, 3 of 12 records)") for reason in passed.because)


def test_an_inverted_copy_is_the_same_map_but_opposite_maps_of_two_classes_are_right() -> None:
    turned = np.where(np.arange(24) % 2, 0.97, -0.97)
    given = book({"good": GOOD})
    found = verdict(with_grades(given, "good", parameter_randomization=turned))
    assert "do not change when the weights are randomised (magnitude of the similarity 0.97 [0.9" in found.avoid["good"]
    opposite = verdict(with_grades(given, "good", class_sensitivity=np.full(24, -1.0)))
    assert opposite.use == "good"
    assert any("(similarity -1.00 [-1.00, -1.00]" in reason for reason in opposite.because)


def test_an_inconclusive_comparison_is_unproven_and_one_at_zero_is_a_reason_against() -> None:
    given = book({"open": {"deletion": 0.38}, "copy": {"deletion": 0.4}}, count=8)
    differences = np.array([0.3, 0.3, -0.1, 0.2, -0.1, 0.1, 0.2, -0.15])
    middle = given.values["centre"]["deletion"]
    found = verdict(with_grades(with_grades(given, "open", deletion=middle - differences), "copy", deletion=middle))
    assert (list(found.unproven), list(found.avoid)) == (["open"], ["copy"])
    assert found.unproven["open"].startswith("it is not shown to be better than a map of the middle (deletion: diff")
    assert found.avoid["copy"].startswith("it is no better than a map of the middle (deletion: difference 0.00 [0.00, ")
    assert found.to_json()["unproven"] == dict(found.unproven)
    assert "- unproven, **open**: " in found.markdown()


def test_methods_that_are_the_same_differ_by_nothing() -> None:
    given = book({"one": GOOD, "two": GOOD})
    for first, second in (("one", "two"), ("two", "one")):
        rows = {first: given.values["one"], second: given.values["one"]}
        same = replace(given, values={**rows, **{who: given.values[who] for who in CONTROLS}})
        assert "deletion: difference 0.00 [0.00, 0.00]" in verdict(same).tied[0]
        assert "-0" not in verdict(replace(same, costs={first: 9.0, second: 1.0})).tied[0]


def test_a_metric_that_depends_on_the_scale_of_a_map_does_not_rank() -> None:
    found = verdict(book({"good": {**GOOD, "infidelity": 5.0}}))
    assert "infidelity" not in found.correlations
    assert any(note.startswith("infidelity does not rank: ") for note in found.notes)


def test_maps_that_noise_changes_altogether_are_told() -> None:
    found = verdict(book({"shaky": {**GOOD, "average_sensitivity": 1.4}}))
    assert any("a little noise in the picture changes its maps" in note for note in found.notes)


def test_records_without_a_value_are_counted() -> None:
    given = book({"good": GOOD})
    rows = {who: dict(row) for who, row in given.values.items()}
    rows["good"]["deletion"] = np.where(np.arange(24) < 3, np.nan, rows["good"]["deletion"])
    found = verdict(replace(given, values=rows))
    assert "21 of 24 records)" in found.because[0]


def test_neither_the_order_of_records_nor_a_second_time_changes_anything() -> None:
    given = book({"good": GOOD, "better": BETTER, "weak": WEAK})
    order = list(np.random.default_rng(0).permutation(24))
    assert verdict(given).to_json() == verdict(given).to_json() == verdict(given.take(order)).to_json()


def test_json_comes_back_as_it_was_and_markdown_holds_a_row_for_each_method() -> None:
    found = verdict(book({"good": GOOD, "better": BETTER, "weak": WEAK}).take(range(1)))
    assert json.loads(json.dumps(found.to_json(), allow_nan=False)) == found.to_json()
    found = verdict(replace(book({"good": GOOD, "better": BETTER}), costs={"good": 2.0}))
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["ranking"][0]["above_controls"]["deletion"]["control"] == "centre"
    assert told["ranking"][0]["sanity"][0]["limit"] == 0.5
    table = [line for line in found.markdown().splitlines() if line.startswith("| good") or line.startswith("| better")]
    assert table[0].startswith("| better | first | 0.30 [")
    assert table[1].endswith("| 2 |")


def test_one_input_of_several_is_named() -> None:
    assert verdict(book({"good": GOOD}, input="oct")).outcome == "use good for this model of the input oct (24 records)"


def test_the_controls_alone_are_no_methods() -> None:
    given = book({"good": GOOD})
    assert given.methods == ("good",)
    assert given.present_controls == tuple(CONTROLS)
    assert np.mean(spread(0.3, 24, 5)) == pytest.approx(0.3)


def test_the_control_that_is_named_is_the_one_whose_p_is_told() -> None:
    """Of 8 records all beat the centre by a little; one does worse than the edges, which are beaten by more on average.

    Signs turned at random do as well in 1 of 256 cases against the centre, in 9 against the edges.
    """
    method = np.full(8, 0.5)
    edges = method - 0.2
    edges[0] = 0.8
    controls = {"centre": method - np.linspace(0.1, 0.12, 8), "edges": edges, "random": method - 0.4}
    values = {"mine": {"insertion": method}, **{name: {"insertion": one} for name, one in controls.items()}}
    found = above_controls(Gradebook(tuple("abcdefgh"), values), ["insertion"])["mine"]["insertion"]
    assert found.control == "edges"
    assert found.difference.mean == pytest.approx((method - edges).mean())
    assert found.p == pytest.approx(9 / 256), "sums of 1.7, 1.1 as seen, and seven times 1.3, of 256"
