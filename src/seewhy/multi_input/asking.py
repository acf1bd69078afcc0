"""One or several methods asked about all inputs of a model, in as few passes as they allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from seewhy.core import Inputs
from seewhy.explain.answering import Answer, ListeningProbe
from seewhy.explain.class_choice import class_list
from seewhy.explain.every_input import InputsExplained, each_of
from seewhy.explain.explainer import Explainer
from seewhy.explain.explainers import explainer_class
from seewhy.explain.head import head_of
from seewhy.explain.study import Study
from seewhy.methods.together import ask_together
from seewhy.models.adapter import Adapter
from seewhy.models.borrow import unwrapped
from seewhy.models.calling import frames_first_of, frames_second
from seewhy.multi_input.methods import DEFAULT_NOISE_LEVEL, DEFAULT_SAMPLES, InputsMethod
from seewhy.multi_input.named_inputs import known_names, looked_up, named_inputs
from seewhy.pixels import Normalisation
from seewhy.registry import METHODS as REGISTRY
from seewhy.values import ConfigError, ModelError

Answers = Mapping[str, InputsExplained]
"""What each method says of one record."""
Layers = Sequence[str | nn.Module]


class InputsExplainer:
    """Asks methods about a model of any number of inputs. It holds no hook, moves no model and changes none.

    Args:
        model: a classifier; it is asked in evaluation mode, on the device where it is.
        methods: the methods, which share one forward and one backward where they only read.
        target_layers: one for each input, by unique suffix (``backbone1``) or module; for methods with a layer. The
            last layers with a grid if None.
        input_names: in the order in which the model takes them; found from its signature if None.
        class_names: in the order of the outputs; the model's own ``class_names`` if None.
        normalisation: how values came from pixels, for all inputs or by name, so that they can be drawn as they were.
        passing: how ``forward`` takes its inputs, where its signature does not tell.
        frames_first: the inputs that are clips ``(B, T, C, H, W)``; found by the model's first convolution if None.
        n_samples, noise_level: of methods that average over noise, the level as a share of each input's range.
        study: what is known of this model from earlier questions, which saves tracing it again.

    Raises:
        LayerError: a layer that is not there, with the nearest names.
        ConfigError: ``SW-F123``; when asked ``SW-F122``, an input on which none of the layers lies, and what
            :func:`seewhy.models.calling.frames_first_of` raises.
    """

    def __init__(
        self,
        model: nn.Module,
        methods: Sequence[InputsMethod],
        *,
        target_layers: Layers | None = None,
        input_names: Sequence[str] | None = None,
        class_names: Sequence[str] | None = None,
        normalisation: Normalisation | Mapping[str, Normalisation] | None = None,
        passing: str | None = None,
        frames_first: Sequence[str] | None = None,
        n_samples: int = DEFAULT_SAMPLES,
        noise_level: float = DEFAULT_NOISE_LEVEL,
        study: Study | None = None,
    ) -> None:
        self.methods = tuple(methods)
        self.normalisation = normalisation
        self.n_samples, self.noise_level = n_samples, noise_level
        own_names = getattr(unwrapped(model), "class_names", None) if isinstance(model, nn.Module) else None
        given = {"class_names": class_names or own_names or None, "normalisation": normalisation, "passing": passing}
        self._explainers = {
            method.name: _explainer(model, method, target_layers, {**given, **method.settings(n_samples, noise_level)})
            for method in methods
        }
        self._frames_first = frames_first
        self.study = study or self._first.study
        self.input_names = known_names(model, input_names)

    @property
    def class_names(self) -> Sequence[str] | None:
        """The classes' names, where they are known."""
        return self._first.class_names

    def named(self, inputs: Any) -> Inputs:
        """Inputs ``(B, C, *S)`` by name; a clip's channels come before its frames."""
        named = named_inputs(inputs, self.input_names)
        return frames_second(named, self._clips(named))

    def explain(self, inputs: Any, target_class: Any = None) -> list[Answers]:
        """For each record of a batch, what each method says of it; all explain the same class.

        Args:
            inputs: tensors ``(B, C, *S)`` in order or by name.
            target_class: one class for all records or one for each, by number or name; the predicted ones if None.
        """
        given = named_inputs(inputs, self.input_names)
        clips = self._clips(given)
        tensors = frames_second(given, clips)
        adapter = self._adapter(tensors, clips)
        classes = class_list(target_class, len(next(iter(tensors.values()))), self.class_names)
        head = head_of(adapter, self._first.reading)
        probe = ListeningProbe(adapter, head.question(classes), tensors)
        asked = {name: explainer.asked({}) for name, explainer in self._explainers.items()}
        found = ask_together(list(asked.values()), probe, tensors)
        outputs, settled = probe.heard()
        each = {
            name: each_of(Answer(one.target(), outputs, settled, head, adapter.notes), tensors, asked[name])
            for (name, one) in zip(asked, found, strict=True)
        }
        answers: list[Answers] = [dict(zip(each, record, strict=True)) for record in zip(*each.values(), strict=True)]
        _require_every_input(answers[0], tensors, adapter.spatial_inputs)
        return answers

    def _clips(self, given: Inputs) -> tuple[str, ...]:
        return frames_first_of(self.study.bare, given) if self._frames_first is None else tuple(self._frames_first)

    def _adapter(self, tensors: Inputs, clips: Sequence[str]) -> Adapter:
        try:
            return self.study.adapter(tensors, clips)
        except ModelError as error:
            raise looked_up(error, tensors) or error from error.__cause__

    @property
    def _first(self) -> Explainer:
        return next(iter(self._explainers.values()))


def _explainer(
    model: nn.Module, method: InputsMethod, target_layers: Layers | None, settings: Mapping[str, Any]
) -> Explainer:
    layers = target_layers if REGISTRY[method.name].needs_layer and target_layers is not None else None
    if layers is None:
        return explainer_class(method.name)(model, **settings)
    return explainer_class(method.name)(model, target_layer=[layers] if isinstance(layers, str) else layers, **settings)


def _require_every_input(answers: Answers, inputs: Inputs, spatial: Sequence[str]) -> None:
    for method, answer in answers.items():
        missing = [name for name in inputs if name in spatial and name not in answer.raw]
        if missing:
            raise ConfigError(
                "SW-F122",
                f"{method} has no map of {', '.join(missing)}: its layers "
                f"({answer.attribution.facts.get('layer')}) lie on {', '.join(answer.raw)} alone",
                fix="give one layer for each input, or none to take the last of each",
            )
