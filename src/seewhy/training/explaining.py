"""What makes a LightningModule explain its own predictions: a mixin, which needs nothing of Lightning itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from numbers import Integral
from typing import Any, Final, cast

from torch import Tensor, nn

from seewhy.explain.study import Study
from seewhy.multi_input.analysis import Analysis
from seewhy.multi_input.asking import InputsExplainer
from seewhy.multi_input.methods import DEFAULT_NOISE_LEVEL, DEFAULT_SAMPLES, methods_called
from seewhy.multi_input.named_inputs import FEWEST_AXES
from seewhy.multi_input.single import Destination
from seewhy.multi_input.visualizer import InputsVisualizer
from seewhy.multi_input.visualizers import AllMethodsComparison, ComparisonVisualizer, visualizer_for
from seewhy.values import ConfigError

AFTER_INPUTS = ("target_class", "save_dir", "sample_id")
MEMORY: Final = "_explained_before"


class ExplainsInputs:
    """Put before ``LightningModule`` or ``nn.Module`` among the bases of a model with any number of image inputs.

    Inputs ``(B, C, *S)`` are passed in the model's order or by name, on any device; the model is asked in evaluation
    mode and left as it was, also inside ``trainer.validate``. ``input_names`` and ``class_names`` are used where the
    model has them; else the names are those of ``forward``'s parameters. Each answer tells:

    - ``predicted_class``, ``confidence``: of the model's softmax; lists where there are several records;
    - ``probabilities``: ``(B, classes)``;
    - ``target_class``: the class that was explained, the predicted one unless another was asked for;
    - ``heatmaps``: input to ``(H, W)`` in [0, 1], on one scale for all inputs; ``(B, H, W)`` of several records;
    - ``shares``: input to its part of all evidence;
    - ``notes``: what a reader of the maps should know;
    - ``sample_id``, ``method``, and of methods that draw noise ``n_samples`` and ``noise_level``.

    With ``save_dir`` the figure and the heat maps are written there.

    Raises:
        DataError: ``SW-D95`` other inputs than the model has, ``SW-D96`` what is no batch of inputs.
        TargetError: a class that the model does not have.
        ConfigError: ``SW-F129``, what follows the inputs in position is not a class, a folder and an id.

    Example:
        >>> import torch
        >>> class Two(ExplainsInputs, nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.a, self.b, self.head = nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3), nn.Linear(8, 3)
        ...     def forward(self, left, right):
        ...         return self.head(torch.cat([self.a(left).mean((2, 3)), self.b(right).mean((2, 3))], 1))
        >>> found = Two().analyze_prediction_with_gradcam(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16))
        >>> found["probabilities"].shape, found["heatmaps"]["right"].shape
        ((1, 3), (16, 16))
    """

    def create_grad_cam_visualizer(
        self,
        use_cuda: bool = True,
        method: str = "gradcam",
        n_samples: int = DEFAULT_SAMPLES,
        noise_level: float = DEFAULT_NOISE_LEVEL,
    ) -> InputsVisualizer:
        """A visualizer of this model for ``gradcam``, ``gradcam++``, ``smoothgrad`` or ``vargrad``.

        Raises:
            ConfigError: ``SW-F121``, another method.
        """
        noise = {"n_samples": n_samples, "noise_level": noise_level}
        return visualizer_for(method, self._module, use_cuda, study=self._study, **noise)

    def create_comparison_visualizer(self, use_cuda: bool = True) -> ComparisonVisualizer:
        """A visualizer that puts Grad-CAM and Grad-CAM++ side by side."""
        return ComparisonVisualizer(self._module, use_cuda, study=self._study)

    def analyze_prediction_with_gradcam(
        self,
        *inputs: Any,
        target_class: int | str | None = None,
        save_dir: Destination | None = None,
        sample_id: str = "sample",
        **by_name: Tensor,
    ) -> Analysis:
        """Where in each input the evidence for a class is, by Grad-CAM (Selvaraju et al. 2017, eq. 1 and 2)."""
        asked = _asked(inputs, by_name, target_class, save_dir, sample_id)
        return self.create_grad_cam_visualizer().analyze(**asked)

    def analyze_prediction_with_gradcam_plus_plus(
        self,
        *inputs: Any,
        target_class: int | str | None = None,
        save_dir: Destination | None = None,
        sample_id: str = "sample",
        **by_name: Tensor,
    ) -> Analysis:
        """The same by Grad-CAM++ (Chattopadhay et al. 2018)."""
        asked = _asked(inputs, by_name, target_class, save_dir, sample_id)
        return self.create_grad_cam_visualizer(method="gradcam++").analyze(**asked)

    def analyze_prediction_with_smoothgrad(
        self,
        *inputs: Any,
        target_class: int | str | None = None,
        save_dir: Destination | None = None,
        sample_id: str = "sample",
        n_samples: int = DEFAULT_SAMPLES,
        noise_level: float = DEFAULT_NOISE_LEVEL,
        **by_name: Tensor,
    ) -> Analysis:
        """Which pixels the class's logit is sensitive to: the mean gradient over noisy inputs (Smilkov et al. 2017)."""
        asked = _asked(inputs, by_name, target_class, save_dir, sample_id)
        return self.create_grad_cam_visualizer(True, "smoothgrad", n_samples, noise_level).analyze(**asked)

    def analyze_prediction_with_vargrad(
        self,
        *inputs: Any,
        target_class: int | str | None = None,
        save_dir: Destination | None = None,
        sample_id: str = "sample",
        n_samples: int = DEFAULT_SAMPLES,
        noise_level: float = DEFAULT_NOISE_LEVEL,
        **by_name: Tensor,
    ) -> Analysis:
        """The variance of that gradient over noisy inputs (Adebayo et al. 2018)."""
        asked = _asked(inputs, by_name, target_class, save_dir, sample_id)
        return self.create_grad_cam_visualizer(True, "vargrad", n_samples, noise_level).analyze(**asked)

    def compare_gradcam_methods(
        self,
        *inputs: Any,
        target_class: int | str | None = None,
        save_dir: Destination | None = None,
        sample_id: str = "sample",
        **by_name: Tensor,
    ) -> Analysis:
        """Grad-CAM and Grad-CAM++ from one pass: ``grad_cam_heatmaps``, ``grad_cam_pp_heatmaps``, shares by method."""
        asked = _asked(inputs, by_name, target_class, save_dir, sample_id)
        return self.create_comparison_visualizer().analyze(**asked)

    def compare_all_gradient_methods(
        self,
        *inputs: Any,
        target_class: int | str | None = None,
        save_dir: Destination | None = None,
        sample_id: str = "sample",
        n_samples: int = DEFAULT_SAMPLES,
        noise_level: float = DEFAULT_NOISE_LEVEL,
        **by_name: Tensor,
    ) -> Analysis:
        """All four methods about one class: ``all_methods`` is method to input to heat map, shares by method."""
        asked = _asked(inputs, by_name, target_class, save_dir, sample_id)
        made = AllMethodsComparison(self._module, n_samples=n_samples, noise_level=noise_level, study=self._study)
        return made.analyze(**asked)

    @property
    def _module(self) -> nn.Module:
        return cast(nn.Module, self)

    def __getstate__(self) -> Any:
        """The module as if it had never been asked: copies and files of it hold nothing of seewhy's."""
        state = super().__getstate__()
        return {key: value for key, value in state.items() if key != MEMORY} if isinstance(state, dict) else state

    @property
    def _study(self) -> Study:
        """What is known of this module's layers, so that a second question needs no second trace.

        It lives in the module: it refers to the module, so that a table elsewhere, weak or not, would never let go.
        """
        memory = self.__dict__.setdefault(MEMORY, _Memory())
        if memory.study is None or memory.study.model is not self:  # a replica shares its original's memory
            memory.study = InputsExplainer(self._module, methods_called("gradcam")).study
        return memory.study  # type: ignore[no-any-return]


class _Memory:
    """Holds a study, which stays behind also where a class of its own decides what its copies and files hold."""

    def __init__(self) -> None:
        self.study: Study | None = None

    def __reduce__(self) -> tuple[type[_Memory], tuple[()]]:
        return _Memory, ()


def _asked(
    inputs: Sequence[Any],
    by_name: Mapping[str, Tensor],
    target_class: int | str | None,
    save_dir: Destination | None,
    sample_id: str,
) -> dict[str, Any]:
    """The arguments of ``analyze``; what follows the inputs in position is read in the order of the signature."""
    told: dict[str, Any] = {"target_class": target_class, "save_dir": save_dir, "sample_id": sample_id}
    tensors = list(takewhile(_is_input, inputs))
    rest = inputs[len(tensors) :]
    if len(rest) > len(AFTER_INPUTS) or any(map(_is_input, rest)):
        raise ConfigError(
            "SW-F129",
            f"after {len(tensors)} inputs came {', '.join(type(one).__name__ for one in rest)}; what may follow the "
            f"inputs in position is {', '.join(AFTER_INPUTS)}",
            fix="put every input first, and pass the others by name: target_class=2, save_dir='out'",
        )
    told.update(zip(AFTER_INPUTS, rest, strict=False))
    in_order: Any = tensors[0] if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else tensors
    return {"inputs": dict(by_name) if by_name and not tensors else in_order, "by_name": by_name, **told}


def _is_input(one: Any) -> bool:
    """Whether an argument in position is an input, or several, rather than what may follow them.

    A class may come as any whole number, also of NumPy or torch, or as one for each record.
    """
    if one is None or isinstance(one, Integral | str) or hasattr(one, "__fspath__"):
        return False
    if isinstance(one, list | tuple):
        return bool(one) and not isinstance(one[0], Integral | str)
    return int(getattr(one, "ndim", FEWEST_AXES)) >= FEWEST_AXES
