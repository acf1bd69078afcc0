"""Whole analyses of several inputs: what the model says, heat maps, figures and files, of one sample or a loader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from seewhy.core import Inputs
from seewhy.explain.warning import warn_caller
from seewhy.multi_input.analysis import (
    Analysis,
    Heats,
    by_method,
    heat_maps,
    heats_by_method,
    notes_of,
    predictions,
    shares,
)
from seewhy.multi_input.asking import Answers, InputsExplainer
from seewhy.multi_input.methods import InputsMethod
from seewhy.multi_input.named_inputs import merged_inputs
from seewhy.multi_input.pictures import Drawing, write_picture
from seewhy.multi_input.sample_files import Style, draw_sample, write_sample, write_summary
from seewhy.multi_input.sample_results import SampleResult, finished
from seewhy.multi_input.single import Destination, Scaling, is_common
from seewhy.multi_input.streaming import each_sample, in_threads, require_count


class InputsVisualizer:
    """Analyses one sample or a whole loader by one or several methods, which share one pass where they can.

    Args:
        model: a classifier of any number of inputs; it is asked in evaluation mode where it is, and left untouched.
        methods: what is asked.
        scaling: ``common`` draws all inputs of a record on one scale, ``each`` every input on its own.
        others: as in :class:`seewhy.multi_input.asking.InputsExplainer`: ``target_layers``, ``input_names``,
            ``class_names``, ``normalisation``, ``passing``, ``frames_first``, ``n_samples``, ``noise_level``.
    """

    def __init__(
        self, model: nn.Module, methods: Sequence[InputsMethod], *, scaling: Scaling = "common", **others: Any
    ) -> None:
        common = is_common(scaling)
        self.explainer = InputsExplainer(model, methods, **others)
        self.style = Style(tuple(methods), self.explainer.class_names, self.explainer.normalisation, common)

    def analyze_sample(
        self,
        inputs: Any,
        target_class: Any = None,
        save_dir: Destination | None = None,
        sample_id: str = "sample",
    ) -> dict[str, Any]:
        """Input to heat map in [0, 1], ``(H, W)`` at the input's size; method to those where there are several methods.

        Args:
            inputs: tensors ``(B, C, H, W)`` in a list, or by name; of several records the maps are ``(B, H, W)``.
            target_class: the class to explain, by number or name; the predicted one if None.
            save_dir: where the figure and the heat maps are written, made if needed; nothing is written if None.
            sample_id: what the files are called; several records get numbers.

        Raises:
            DataError: ``SW-D95`` to ``SW-D97``, inputs that are not the model's.
            TargetError: a class that the model does not have.
        """
        return self._heats_of(self._answers(inputs, target_class, save_dir, sample_id))

    def analyze(
        self,
        inputs: Any,
        target_class: Any = None,
        save_dir: Destination | None = None,
        sample_id: str = "sample",
        by_name: Mapping[str, Tensor] | None = None,
    ) -> Analysis:
        """As :meth:`analyze_sample`, with what the model says: see :class:`seewhy.training.explaining.ExplainsInputs`.

        ``by_name`` are inputs that follow those in order.
        """
        if by_name and not isinstance(inputs, Mapping):
            inputs = merged_inputs(inputs, by_name, self.explainer.input_names)
        answers = self._answers(inputs, target_class, save_dir, sample_id)
        first = [one[self._names[0]] for one in answers]
        told = {**predictions(first, self.explainer.class_names), "sample_id": sample_id, "notes": notes_of(answers)}
        return {**told, **self._heats_by_key(self._heats_of(answers)), **self._facts(answers)}

    def batch_analyze(
        self, dataloader: Iterable[Any], num_samples: int = 10, save_dir: Destination | None = None
    ) -> list[SampleResult]:
        """The first ``num_samples`` samples of a loader, whole batches at once: a result for each, in order.

        Each is a dict of ``sample_id``, ``true_class`` (None where it is not known), ``pred_class``, ``confidence``,
        ``probabilities`` ``(classes,)``, ``heatmaps``, ``shares``, ``notes`` and ``error``, empty unless the sample
        could not be explained: then it has no heat maps, and a ``UserWarning`` tells how many such there are. With
        ``save_dir`` each sample's figure and heat maps are written, and ``summary_visualization.png``.

        Args:
            dataloader: gives ``(*inputs, label, id)`` or mappings; labels and ids may be missing.
            num_samples: how many samples, not batches.

        Raises:
            ConfigError: ``SW-F125``, no such number of samples.
            DataError: ``SW-D98``, a batch that cannot be read.
        """
        folder = None if save_dir is None else Path(save_dir).expanduser()
        samples = each_sample(self.explainer, dataloader, require_count("num_samples", num_samples))
        done = list(in_threads(samples, partial(finished, style=self.style, folder=folder)))
        if folder is not None:
            drawn = [one.rows for one in done if one.rows]
            write_summary(folder, {name: [rows[name] for rows in drawn] for name in self._names}, self.style)
        failed = sum(bool(one.result["error"]) for one in done)
        if failed:
            warn_caller(f"{failed} of {len(done)} samples could not be explained; 'error' in their results says why")
        return [one.result for one in done]

    def cleanup(self) -> None:
        """Nothing to do: no hook, gradient or cache of the model outlives a call. Kept for code that calls it."""

    def compared(
        self, inputs: Any, target_class: Any = None, save_path: Destination | None = None
    ) -> dict[str, dict[str, Any]]:
        """Method to input to heat map; the figure of the first record is written if a path is given."""
        answers = self.explainer.explain(inputs, target_class)
        if save_path is not None:
            heats = heats_by_method(answers[0], common=self.style.common)
            drawing = self._drawing(self.explainer.named(inputs), 0, answers[0], heats, "comparison")
            write_picture(drawing.figure(self.style.methods), Path(save_path).expanduser())
        return self._each_heats(answers)

    def _answers(
        self, inputs: Any, target_class: Any, save_dir: Destination | None, sample_id: str
    ) -> Sequence[Answers]:
        answers = self.explainer.explain(inputs, target_class)
        if save_dir is not None:
            tensors = self.explainer.named(inputs)
            for row, answer in enumerate(answers):
                name = sample_id if len(answers) == 1 else f"{sample_id}_{row}"
                heats = heats_by_method(answer, common=self.style.common)
                drawing = self._drawing(tensors, row, answer, heats, name)
                write_sample(Path(save_dir).expanduser(), drawing, heats, self.style)
        return answers

    def _drawing(self, tensors: Inputs, row: int, answer: Answers, heats: Mapping[str, Heats], name: str) -> Drawing:
        own = {key: tensor[row] for key, tensor in tensors.items()}
        return draw_sample(name, own, answer, heats, None, self.style)

    def _each_heats(self, answers: Sequence[Answers]) -> dict[str, dict[str, Any]]:
        return {method: heat_maps(found, common=self.style.common) for method, found in by_method(answers).items()}

    def _heats_of(self, answers: Sequence[Answers]) -> dict[str, Any]:
        each = self._each_heats(answers)
        return each[self._names[0]] if len(each) == 1 else each

    def _heats_by_key(self, heats: dict[str, Any]) -> Analysis:
        return {"heatmaps": heats}

    def _facts(self, answers: Sequence[Answers]) -> Analysis:
        each = {method: shares(found) for method, found in by_method(answers).items()}
        told: Analysis = {"shares": each}
        if len(each) == 1:
            told = {"shares": each[self._names[0]], "method": self._names[0]}
        if any(method.noisy for method in self.style.methods):
            told |= {"n_samples": self.explainer.n_samples, "noise_level": self.explainer.noise_level}
        return told

    @property
    def _names(self) -> list[str]:
        return [method.name for method in self.style.methods]
