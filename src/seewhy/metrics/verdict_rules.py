"""The rules of a verdict as data: what must hold, what ranks, where each threshold comes from, and the words for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from seewhy.registry.metrics import Family


@dataclass(frozen=True)
class SanityRule:
    """A similarity of maps that must stay below what a map which ignores the model reaches.

    The limit is ``share`` of what the edge map (or, without one, the best other control) reaches on the same records,
    or of 1 where no control was graded. A method fails where its whole interval lies at or above the limit, passes
    where it lies below, and is unclear in between or with fewer than 2 values. With ``magnitude`` the similarity counts
    without its sign, record by record: an inverted copy of a map is still the same map. Without, the sign is kept.
    ``fails``, ``passes`` and ``asks`` are words for it.
    """

    metric: str
    share: float
    source: str
    fails: str
    passes: str
    asks: str
    magnitude: bool = False

    @property
    def measure(self) -> str:
        """What its values are called in a sentence."""
        return "magnitude of the similarity" if self.magnitude else "similarity"


@dataclass(frozen=True)
class Caution:
    """Something to be told of a method, whatever else is said of it, where its mean reaches ``above``."""

    metric: str
    above: float
    source: str
    words: str


@dataclass(frozen=True)
class Rules:
    """All rules of a verdict.

    ``level`` is the confidence of intervals, and of all differences called so together. A method must be better than
    every control by more than ``majority`` of the metrics of the first family of ``order``; methods are ranked by that
    family, then by how many rules of ``sanity`` they are not known to keep, by the other families of ``order`` one
    after the other, and by cost. ``unranked`` are metrics whose values cannot be compared between maps, and why.
    """

    sanity: tuple[SanityRule, ...]
    cautions: tuple[Caution, ...] = ()
    order: tuple[Family, ...] = ("faithfulness", "robustness", "localization")
    level: float = 0.95
    majority: float = 0.5
    unranked: Mapping[str, str] = field(default_factory=dict)


SANITY: Final = (
    SanityRule(
        "parameter_randomization",
        0.5,
        "Adebayo et al. 2018, arXiv:1810.03292, section 3; calibrated on the controls: half-way between an unrelated "
        "map, 0, and a map that ignores the weights, which the edge map is; of each record the magnitude counts, since "
        "an inverted copy is the same map",
        fails="its maps do not change when the weights are randomised",
        passes="its maps change when the weights are randomised",
        asks="whether its maps change when the weights are randomised",
        magnitude=True,
    ),
    SanityRule(
        "label_randomization",
        0.9,
        "Adebayo et al. 2018, arXiv:1810.03292, section 4; calibrated on the controls: the edge map ignores labels; "
        "of each record the magnitude counts, since an inverted copy is the same map",
        fails="its maps stay as they are when the model is trained on shuffled labels",
        passes="its maps change when the model is trained on shuffled labels",
        asks="whether its maps change when the model is trained on shuffled labels",
        magnitude=True,
    ),
    SanityRule(
        "class_sensitivity",
        0.9,
        "calibrated on the controls: the edge map is the same for every class; of a rank correlation of 0.9 the two "
        "maps share 81 % of their variance; the sign is kept, since of two classes that exclude one another the maps "
        "are rightly opposite",
        fails="its maps are much the same whatever class is asked about, so they cannot say why it is this one",
        passes="its maps depend on the class asked about",
        asks="whether its maps depend on the class asked about",
    ),
)

RULES: Final = Rules(
    sanity=SANITY,
    cautions=tuple(
        Caution(
            metric,
            1.0,
            "Yeh et al. 2019, arXiv:1901.09392, definition 2, divided by the map's norm: at 1 the change is as large "
            "as the map",
            "a little noise in the picture changes its maps by as much as there is in them",
        )
        for metric in ("average_sensitivity", "max_sensitivity")
    ),
    unranked=MappingProxyType(
        {
            "infidelity": "it depends on the scale of a map, and the controls have none",
            "relative_input_stability": "it depends on how small values of a map are",
            "relative_output_stability": "it depends on how small values of a map are",
            "relative_representation_stability": "it depends on how small values of a map are",
            "local_lipschitz": "it depends on the scale of a map",
        }
    ),
)

CONTROL_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {"random": "a random map", "centre": "a map of the middle", "edges": "an edge map"}
)

BETTER_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "deletion": "deleting what it marks first lowers the probability more than deleting what {control} marks",
        "insertion": "showing what it marks first raises the probability more than showing what {control} marks",
        "aopc_morf": "replacing the regions it marks first lowers the score more than those {control} marks",
        "aopc_lerf": "replacing the regions it marks last lowers the score less than those {control} marks last",
        "pixel_flipping": "replacing the places it marks first lowers the score more than those {control} marks",
        "irof": "replacing the segments it marks first lowers the probability more than those {control} marks",
        "road": "imputing what it marks lowers the probability more than imputing what {control} marks",
        "road_morf": "imputing what it marks first lowers the probability more than imputing what {control} marks",
        "road_lerf": "imputing what it marks last lowers the probability less than imputing what {control} marks last",
        "average_drop": "what it marks keeps more of the probability than what {control} marks",
        "increase_in_confidence": "what it marks alone raises the probability more often than what {control} marks",
        "sensitivity_n": "its values go with the drop of the score more closely than those of {control}",
        "faithfulness_correlation": "its values go with the drop of the score more closely than those of {control}",
    }
)
"""How it is said that a method is better than a control; other metrics are named."""


def control_words(control: str) -> str:
    """What a control is called in a sentence.

    >>> control_words("edges"), control_words("prior")
    ('an edge map', 'the map prior')
    """
    return CONTROL_WORDS.get(control, f"the map {control}")


def better_words(metric: str, control: str) -> str:
    """Why a method is to be trusted that is better than a control by a metric."""
    words = BETTER_WORDS.get(metric, f"it is better by {metric} than {{control}}")
    return words.format(control=control_words(control))
