"""One object per method: made once for a model, then asked about any image. It holds no hook and changes no model."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeAlias

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import nn

import seewhy.methods  # noqa: F401  (importing the room registers every method)
from seewhy.core import Attribution, Inputs
from seewhy.explain.answering import Answer, Ready, answer
from seewhy.explain.baseline_choice import with_known_baseline
from seewhy.explain.cache_arguments import require_cache
from seewhy.explain.class_choice import class_list
from seewhy.explain.drawing import Destination, Look, overlay_on, save_panels
from seewhy.explain.every_input import InputsExplained, each_of
from seewhy.explain.explained import Explained, each_record
from seewhy.explain.given_inputs import given_inputs, stacked
from seewhy.explain.head import head_of
from seewhy.explain.keywords import require_settings
from seewhy.explain.method_words import documentation_of, signature_of
from seewhy.explain.prepared import ImageLike, Prepared, chunks_of_one_shape, each_image, prepare
from seewhy.explain.reading import Reading, require_model
from seewhy.explain.recipe import Given, Recipe
from seewhy.explain.study import Study
from seewhy.explain.warning import warn_caller
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.models.calling import frames_first_of, frames_second, takes_signals
from seewhy.models.layers import find_layer
from seewhy.models.outputs import Selector
from seewhy.ops import chunks
from seewhy.pixels import Normalisation
from seewhy.registry import METHODS
from seewhy.values import ConfigError

if TYPE_CHECKING:
    from seewhy.explain.cache import ExplanationCache

Heat = Float32[np.ndarray, "height width"]
Layers: TypeAlias = "str | nn.Module | Sequence[str | nn.Module] | Mapping[str, str | nn.Module] | None"
"""A layer by name or as a module; of several inputs one for each, in any order or by input name."""
CPU_CHUNK: Final = 4
"""Images at once on a CPU: beyond it a network's activations leave the processor's cache (measured)."""


class Explainer:
    """Asks one method about images of one model.

    Args:
        model: any image classifier; it is neither moved nor changed, and is asked in evaluation mode.
        target_layer: a layer's name (``"layer4[-1]"``), the module itself, or None for the traced default; of several
            inputs one for each, as a list or by input name.
        use_cuda: accepted for compatibility: the model is asked where it is.
        preprocessing: how pictures become inputs, where the model does not tell: see
            :func:`seewhy.explain.recipe.find_recipe`.
        class_names: the classes' names in the model's order.
        task: ``multiclass``, ``binary``, ``multilabel`` or ``regression``, where the outputs do not tell.
        threshold: asks a multi-label model about all labels from this probability on.
        output_selector: where the logits are in what the model returns: a key, an index or a function of it.
        passing: how a model of several inputs takes them, where its signature does not tell: ``positional``,
            ``keyword``, ``list``, ``dict`` or ``records``.
        frames_first: the inputs that are clips ``(B, T, C, H, W)``; found by the model's first convolution if None.
        cache: a :class:`seewhy.ExplanationCache`, where answers about images are looked up and kept.
        normalisation: how values of tensors came from pixels, of all inputs or by input name, for baselines that are
            colours; where None, the preprocessing's.
        settings: the method's own.

    Raises:
        ConfigError: ``SW-F12`` unknown setting, ``SW-F13`` a layer for a method that has none, and preprocessing that
            cannot be used.
        ModelError: ``SW-M20``, what is no model.
        LayerError: a layer that is not there.
    """

    method: ClassVar[str]
    other_names: ClassVar[Mapping[str, str]] = {}
    """Settings by another name, as some documents write them."""

    def __init_subclass__(cls, *, method: str | None = None, **others: Any) -> None:
        super().__init_subclass__(**others)
        if method is None:
            return
        cls.method = method
        if cls.__doc__ is None:
            cls.__doc__ = documentation_of(METHODS[method])
        if cls.__init__ is Explainer.__init__:
            cls.__signature__ = signature_of(METHODS[method], Explainer.__init__)  # type: ignore[attr-defined]

    def __init__(
        self,
        model: nn.Module,
        target_layer: Layers = None,
        use_cuda: bool = True,
        *,
        preprocessing: Given | Recipe = None,
        class_names: Sequence[str] | None = None,
        task: str | None = None,
        threshold: float | None = None,
        output_selector: Selector | None = None,
        passing: str | None = None,
        frames_first: Sequence[str] | None = None,
        normalisation: Normalisation | Mapping[str, Normalisation] | None = None,
        cache: ExplanationCache | None = None,
        **settings: Any,
    ) -> None:
        del use_cuda
        require_model(model)
        require_cache(cache)
        self.cache = cache
        self.model = model
        self.settings: Mapping[str, Any] = self.renamed(settings)
        require_settings(METHODS[self.method], self.settings, type(self), Explainer.__init__)
        self.reading = Reading(preprocessing, class_names, task, threshold, output_selector).settled(model)
        self.study = Study(model, normalisation or self.recipe.normalisation, output_selector, passing)
        self._study_of_values = Study(model, normalisation, output_selector, passing)
        self._values_told, self._colours_told = False, normalisation is not None
        self._frames_first = frames_first
        self.set_target_layer(target_layer)

    @property
    def recipe(self) -> Recipe:
        """How pictures become inputs."""
        return self.reading.recipe

    @property
    def class_names(self) -> Sequence[str] | None:
        """The classes' names in the model's order, where they are known."""
        return self.reading.class_names

    def set_target_layer(self, layer: Layers) -> None:
        """Explain through this layer from now on, or each input through one of these; None for the default."""
        layer = tuple(layer.values()) if isinstance(layer, Mapping) else layer
        if isinstance(layer, list | tuple):
            name: str | tuple[str, ...] | None = tuple(str(find_layer(self.study.bare, one)) for one in layer)
        else:
            name = None if layer is None else str(find_layer(self.study.bare, layer))  # type: ignore[arg-type]
        self._asked = Asked(self.method, name, self.settings)

    def get_target_layer_name(self) -> str | None:
        """The layer explained through; None for a method without one. The default is traced on an empty picture."""
        if isinstance(self._asked.layer, str) or not self._asked.method.needs_layer:
            return self._asked.layer if isinstance(self._asked.layer, str) else None
        return self._adapter_for_pictures().target_layer.layer

    def explain(self, image: ImageLike, target_class: Any = None, normalize: bool = True, **settings: Any) -> Heat:
        """Where the evidence for a class is: ``(H, W)`` float32 in [0, 1].

        A map without evidence is zero, and a ``UserWarning`` says why.

        Args:
            image: a path, a PIL image or an array: the map has the original's size, 0 where a centre crop cut. A
                tensor ``(C, H, W)`` counts as prepared: the map has its size.
            target_class: a class's number or name; the predicted class if None.
            normalize: False gives the raw map with its sign and unit, zero where the model saw nothing.
            settings: of the method, for this call.

        Raises:
            DataError: an image that cannot be used.
            TargetError: ``SW-T01``, ``SW-T10``, ``SW-T30``, ``SW-T04`` no such class, ``SW-T33`` a map that is not
                finite.
        """
        return as_asked(self.explained(image, target_class, **settings), normalize)

    __call__ = explain

    def explained(self, image: ImageLike, target_class: Any = None, **settings: Any) -> Explained:
        """As :meth:`explain`, with the raw map, the outputs, the mask of seen pixels and all notes."""
        (found,) = self.explain_each([image], target_class, 1, **settings)
        return found

    def explain_batch(
        self,
        images: Any,
        target_classes: Any = None,
        batch_size: int = 32,
        normalize: bool = True,
        **settings: Any,
    ) -> list[Heat]:
        """:meth:`explain` for many images, asked in batches; sizes may differ.

        Args:
            images: a list, or a batch ``(B, C, H, W)``.
            target_classes: one class for all, or one for each; the predicted ones if None.
            batch_size: images asked at once, at most.
            normalize, settings: as in :meth:`explain`.
        """
        images = each_image(images)
        each = self.explain_each(images, target_classes, batch_size, **settings)
        return [as_asked(found, normalize) for found in each]

    def explain_each(
        self, images: Sequence[ImageLike], target_classes: Any = None, batch_size: int = 32, **settings: Any
    ) -> Iterator[Explained]:
        """The answers for many images one after the other, in their order; what was given is not kept.

        Raises:
            ConfigError: ``SW-F75``, a batch size that is none.
        """
        require_batch_size(batch_size)
        asked = self.asked(settings)
        classes = class_list(target_classes, len(images), self.class_names)
        return self._explain_each(asked, images, classes, batch_size)

    def _explain_each(
        self, asked: Asked, images: Sequence[ImageLike], classes: Sequence[Any], batch_size: int
    ) -> Iterator[Explained]:
        for few in chunks(len(images), batch_size):
            prepared = [prepare(images[position], self.recipe, self.study.dtype) for position in few]
            yield from self.explain_prepared(asked, prepared, [classes[position] for position in few])

    def explain_prepared(self, asked: Asked, prepared: Sequence[Prepared], classes: Sequence[Any]) -> list[Explained]:
        """The answers for images that are prepared already, in their order.

        ``classes`` holds a number for each, or None for the predicted class.
        """
        ask = partial(self._explain_prepared, asked)
        if self.cache is None:
            return ask(prepared, classes)
        return self.cache.shelf.answers(self, asked, prepared, classes, ask)

    def _explain_prepared(self, asked: Asked, prepared: Sequence[Prepared], classes: Sequence[Any]) -> list[Explained]:
        kinds = [(*one.pixels.shape, chosen is None) for one, chosen in zip(prepared, classes, strict=True)]
        found: dict[int, Explained] = {}
        for rows in chunks_of_one_shape(kinds, self._at_once(len(prepared))):
            few = [prepared[row] for row in rows]
            answered = self._answer(asked, stacked([one.pixels for one in few]), [classes[row] for row in rows])
            found.update(zip(rows, each_record(answered, few, asked), strict=True))
        return [found[row] for row in range(len(prepared))]

    def attribute(self, x: Any, target_class: Any = None, **settings: Any) -> Attribution:
        """The raw answer, never resized or normalised: ``.maps``, ``.score``, ``.facts``.

        Args:
            x: tensors ``(B, C, *S)`` of any rank (one image ``(C, H, W)`` too), a mapping of such by input name, or
                images of one prepared size. Maps of clips ``(B, T, C, H, W)`` are ``(B, T, H, W)``.
            target_class: one class for all records, or one for each; the predicted ones if None.
            settings: of the method, for this call.
        """
        return self.ready(x, target_class, self.asked(settings)).answer().attribution

    def explain_inputs(self, x: Any, target_class: Any = None, **settings: Any) -> list[InputsExplained]:
        """The answer for each record of a batch over all of its inputs: maps on one scale, shares of the evidence.

        Args:
            x: tensors ``(B, C, *S)`` by input name (a model of one input: the tensor), clips as the model takes them.
            target_class: one class for all records, or one for each; the predicted ones if None.
            settings: of the method, for this call.
        """
        asked = self.asked(settings)
        ready = self.ready(x, target_class, asked)
        return list(each_of(ready.answer(), ready.inputs, asked))

    def with_normalisation(self, normalisation: Normalisation | None) -> Self:
        """The same explainer, told how values came from pixels; None says that nobody knows."""
        other = copy.copy(self)
        other._study_of_values = Study(self.model, normalisation, self.reading.output_selector)
        other._values_told = True
        other._colours_told = normalisation is not None
        return other

    def _study_for(self, inputs: Inputs) -> tuple[Study, bool]:
        """The study of such inputs, and whether their colours are known.

        What is assumed of pictures is not said of volumes, signals, or several inputs.
        """
        is_picture = len(inputs) == 1 and all(tensor.ndim == 4 for tensor in inputs.values())
        if not self._values_told and (is_picture or not self.recipe.assumed):
            return self.study, True
        return self._study_of_values, self._colours_told

    def with_frames_first(self, names: Sequence[str]) -> Self:
        """The same explainer, told which inputs are clips ``(B, T, C, H, W)``."""
        other = copy.copy(self)
        other._frames_first = tuple(names)
        return other

    def ready(self, x: Any, target_class: Any = None, asked: Asked | None = None) -> Ready:
        """What :meth:`attribute` of these inputs would ask: the traced model, the classes, and the inputs as it takes
        them."""
        asked = self.asked({}) if asked is None else asked
        given = given_inputs(x, self.recipe, self.study.dtype, signals=takes_signals(self.study.bare))
        clips = frames_first_of(self.study.bare, given) if self._frames_first is None else tuple(self._frames_first)
        inputs = frames_second(given, clips)
        classes = class_list(target_class, len(next(iter(inputs.values()))), self.class_names)
        study, colours_known = self._study_for(inputs)
        adapter = study.adapter(inputs, clips)
        return Ready(
            adapter, head_of(adapter, self.reading), with_known_baseline(asked, colours_known), classes, inputs
        )

    def visualize(
        self,
        image: ImageLike,
        heatmap: Any = None,
        save_path: Destination | None = None,
        *,
        target_class: Any = None,
        colormap: str = "viridis",
        alpha: float = 0.4,
        show_original: bool = True,
        dpi: int = 100,
    ) -> UInt8[np.ndarray, "height width 3"]:
        """The heat map over its picture ``(H, W, 3)``, explained first if ``heatmap`` is None; written if asked for.

        Where there is no evidence the picture is left as it is.

        Args:
            image: as in :meth:`explain`.
            heatmap: what :meth:`explain` gave; asked for anew if None.
            save_path: where to write the picture, if anywhere.
            target_class: the class to explain, where no heat map is given; the predicted one if None.
            colormap, alpha, show_original, dpi: as in :func:`seewhy.explain_prediction`.
        """
        look = Look(colormap, alpha, dpi)
        if heatmap is None:
            found = self.explained(image, target_class)
            picture, heatmap, title = found.prepared.draw(), found.drawn, found.titled(self.method)
        else:
            picture, title = prepare(image, self.recipe, self.study.dtype).draw(), self.method
        shown = overlay_on(picture, heatmap, look)
        if save_path is not None:
            panels = {"Original": picture, title: shown} if show_original else {title: shown}
            save_panels(panels, save_path, look)
        return shown

    def asked(self, settings: Mapping[str, Any]) -> Asked:
        """The method with these settings over the object's own."""
        if not settings:
            return self._asked
        own = self.renamed(settings)
        require_settings(METHODS[self.method], own, type(self).explain, Explainer.explain_batch)
        return Asked(self.method, self._asked.layer, {**self.settings, **own})

    @classmethod
    def renamed(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings by the names the method knows them by."""
        return {cls.other_names.get(name, name): value for name, value in settings.items()}

    def _answer(self, asked: Asked, inputs: Inputs, classes: Sequence[Any]) -> Answer:
        adapter = self.study.adapter(inputs)
        return answer(adapter, head_of(adapter, self.reading), asked, classes, inputs)

    def _at_once(self, batch_size: int) -> int:
        on_cpu = next(self.study.bare.parameters(), torch.empty(0)).device.type == "cpu"
        return min(batch_size, CPU_CHUNK) if on_cpu else batch_size

    def _adapter_for_pictures(self) -> Adapter:
        blank = np.full((256, 256, 3), 128, np.uint8)
        pixels = prepare(blank, self.recipe, self.study.dtype).pixels
        return self.study.adapter({"image": pixels[None]})

    def __repr__(self) -> str:
        told = [type(self.model).__name__, *(f"{name}={value!r}" for name, value in self.settings.items())]
        if self._asked.layer is not None:
            told.insert(1, f"target_layer={self._asked.layer!r}")
        return f"{type(self).__name__}({', '.join(told)})"


def require_batch_size(batch_size: object) -> None:
    """Raise ``ConfigError`` SW-F75 for a batch size that is none."""
    if type(batch_size) is not int or batch_size < 1:
        raise ConfigError(
            "SW-F75", f"batch_size must be a whole number from 1 on, got {batch_size!r}", fix="set batch_size=32"
        )


def as_asked(found: Explained, normalize: bool) -> Heat:
    """The heat map, or the raw map on the original; a map without evidence is warned of."""
    heat = found.heat if normalize else found.signed
    if found.nothing is not None:
        warn_caller(found.nothing)
    return heat
