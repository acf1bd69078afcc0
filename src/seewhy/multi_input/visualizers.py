"""The visualizers of System C by name: one method, two side by side, all four."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from torch import nn

from seewhy.multi_input.analysis import Analysis, Heats
from seewhy.multi_input.methods import methods_called
from seewhy.multi_input.noise_settings import NoiseSettings
from seewhy.multi_input.single import Destination
from seewhy.multi_input.visualizer import InputsVisualizer

CAMS: Final = ("gradcam", "gradcam++")


def visualizer_for(method: str, model: nn.Module, use_cuda: bool = True, **others: Any) -> InputsVisualizer:
    """The visualizer of ``gradcam``, ``gradcam++``, ``smoothgrad``, ``vargrad``, ``both`` or ``all``.

    Raises:
        ConfigError: ``SW-F121``, another method.
    """
    del use_cuda
    return InputsVisualizer(model, methods_called(method), **others)


class GradCAMVisualizer(InputsVisualizer):
    """Grad-CAM or Grad-CAM++ of any number of inputs.

    Args:
        model: as in :class:`InputsVisualizer`, and so ``others``.
        use_cuda: accepted for compatibility: the model is asked on the device where it is, and inputs follow it.
        method: ``gradcam`` or ``gradcam++``.

    Raises:
        ConfigError: ``SW-F121``, another method.

    Example:
        >>> import torch
        >>> from seewhy.models.multi_branch import MultiBranch
        >>> visualizer = GradCAMVisualizer(MultiBranch(["mnv", "fluid"], "test_efficientnet", 4), use_cuda=True)
        >>> maps = visualizer.analyze_sample(inputs=[torch.rand(1, 1, 64, 64)] * 2, target_class=2)
        >>> maps["fluid"].shape
        (64, 64)
    """

    def __init__(self, model: nn.Module, use_cuda: bool = True, method: str = "gradcam", **others: Any) -> None:
        del use_cuda
        super().__init__(model, methods_called(method, CAMS), **others)


class _NamedVisualizer(InputsVisualizer):
    """The methods that a name of :func:`seewhy.multi_input.methods.methods_called` stands for."""

    called: ClassVar[str]

    def __init__(self, model: nn.Module, use_cuda: bool = True, **others: Any) -> None:
        del use_cuda
        super().__init__(model, methods_called(self.called), **others)


class SmoothGradVisualizer(NoiseSettings, _NamedVisualizer):
    """SmoothGrad of any number of inputs; arguments as in :class:`GradCAMVisualizer`."""

    called = "smoothgrad"


class VarGradVisualizer(NoiseSettings, _NamedVisualizer):
    """VarGrad of any number of inputs; arguments as in :class:`GradCAMVisualizer`."""

    called = "vargrad"


class ComparisonVisualizer(_NamedVisualizer):
    """Grad-CAM and Grad-CAM++ from one pass, side by side."""

    called = "both"

    def compare_methods(
        self, inputs: Any, target_class: Any = None, save_path: Destination | None = None
    ) -> tuple[Heats, Heats]:
        """The heat maps of Grad-CAM and those of Grad-CAM++; the figure is written if a path is given."""
        found = self.compared(inputs, target_class, save_path)
        return found["gradcam"], found["gradcam++"]

    def analyze_sample_comparison(
        self, inputs: Any, target_class: Any = None, save_dir: Destination | None = None, sample_id: str = "sample"
    ) -> Analysis:
        """As :meth:`InputsVisualizer.analyze`: ``grad_cam_heatmaps``, ``grad_cam_pp_heatmaps`` and the prediction."""
        return self.analyze(inputs, target_class, save_dir, sample_id)

    def _heats_by_key(self, heats: dict[str, Any]) -> Analysis:
        return {"grad_cam_heatmaps": heats["gradcam"], "grad_cam_pp_heatmaps": heats["gradcam++"]}


class AllMethodsComparison(NoiseSettings, _NamedVisualizer):
    """Grad-CAM, Grad-CAM++, SmoothGrad and VarGrad about one class, side by side."""

    called = "all"

    def compare_all_methods(
        self, inputs: Any, target_class: Any = None, save_path: Destination | None = None
    ) -> dict[str, dict[str, Any]]:
        """Method to input to heat map; the figure is written if a path is given."""
        return self.compared(inputs, target_class, save_path)

    def analyze_sample_all_methods(
        self, inputs: Any, target_class: Any = None, save_dir: Destination | None = None, sample_id: str = "sample"
    ) -> Analysis:
        """As :meth:`InputsVisualizer.analyze`: ``all_methods`` and the prediction."""
        return self.analyze(inputs, target_class, save_dir, sample_id)

    def _heats_by_key(self, heats: dict[str, Any]) -> Analysis:
        return {"all_methods": heats}
