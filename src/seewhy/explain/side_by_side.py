"""One image, several methods: methods that only read share one pass, and one that fails takes no other with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seewhy.core import Explanation
from seewhy.explain.answering import Answer, ListeningProbe
from seewhy.explain.cache_shelf import Looked
from seewhy.explain.class_choice import class_list
from seewhy.explain.explained import Explained, each_record
from seewhy.explain.explainer import Explainer
from seewhy.explain.given_inputs import stacked
from seewhy.explain.head import head_of
from seewhy.explain.prepared import ImageLike, Prepared, prepare
from seewhy.methods.together import ask_together
from seewhy.values import SeewhyError


def explained_together(
    explainers: Mapping[str, Explainer], image: ImageLike, target_class: Any = None
) -> dict[str, Explained | SeewhyError]:
    """Every explainer's answer, or the error it ended in, in the order given.

    The explainers are of one model and one preprocessing; all explain the class that the first pass settles. What their
    cache holds is not asked again.
    """
    first = next(iter(explainers.values()))
    prepared = prepare(image, first.recipe, first.study.dtype)
    classes = class_list(target_class, 1, first.class_names)
    looked = {
        name: Looked() if one.cache is None else one.cache.shelf.look(one, one.asked({}), [prepared], classes)
        for name, one in explainers.items()
    }
    missing = {name: one for name, one in explainers.items() if not looked[name].found}
    found: dict[str, Explained | SeewhyError] = {name: one.found[0] for name, one in looked.items() if one.found}
    if missing:
        found |= _asked_together(missing, prepared, classes)
    for name, explainer in missing.items():
        answer = found[name]
        if explainer.cache is not None and isinstance(answer, Explained):
            explainer.cache.shelf.keep(looked[name], explainer.asked({}), {0: answer})
    return {name: found[name] for name in explainers}


def _asked_together(
    explainers: Mapping[str, Explainer], prepared: Prepared, classes: Sequence[Any]
) -> dict[str, Explained | SeewhyError]:
    first = next(iter(explainers.values()))
    inputs = stacked([prepared.pixels])
    adapter = first.study.adapter(inputs)
    head = head_of(adapter, first.reading)
    probe = ListeningProbe(adapter, head.question(classes), inputs)
    reading = {name: one for name, one in explainers.items() if not one.asked({}).method.asks}
    shared = _together(reading, probe) or {}
    found: dict[str, Explained | SeewhyError] = {}
    for name, explainer in explainers.items():
        try:
            answer = shared[name] if name in shared else explainer.asked({})(probe, inputs)
            outputs, settled = probe.heard()
            (found[name],) = each_record(
                Answer(answer.target(), outputs, settled, head, adapter.notes), [prepared], explainer.asked({})
            )
        except SeewhyError as error:
            found[name] = error
    return found


def _together(explainers: Mapping[str, Explainer], probe: ListeningProbe) -> dict[str, Explanation] | None:
    """The answers from one pass; None where one of them fails, which asking one by one then names."""
    try:
        answers = ask_together([one.asked({}) for one in explainers.values()], probe, probe.clean)
    except SeewhyError:
        return None
    return dict(zip(explainers, answers, strict=True))
