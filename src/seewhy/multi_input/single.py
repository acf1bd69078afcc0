"""One method about several inputs, as arrays: the names by which System C's users know them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import nn

from seewhy.multi_input.analysis import Heats, heat_maps
from seewhy.multi_input.asking import InputsExplainer, Layers
from seewhy.multi_input.methods import METHODS
from seewhy.multi_input.noise_settings import NoiseSettings
from seewhy.multi_input.pictures import Drawing, drawing_of, write_heat_maps, write_picture
from seewhy.render.layout import stack
from seewhy.values import ConfigError

Scaling = Literal["common", "each"]
Destination: TypeAlias = "str | os.PathLike[str]"


class InputsMethodExplainer:
    """What all the classes below do; ``method`` is the method's name in the registry.

    Args:
        model: a classifier of any number of inputs; it is asked in evaluation mode where it is, and left untouched.
        target_layers: one per input, by unique suffix (``backbone1`` for ``out.backbone1``, which stands for its last
            layer with a grid) or module; each input's own default if None.
        use_cuda: accepted for compatibility: the model is asked on the device where it is, and inputs follow it.
        scaling: ``common`` draws all inputs of a record on one scale, ``each`` every input on its own.
        others: as in :class:`seewhy.multi_input.asking.InputsExplainer`: ``input_names``, ``class_names``,
            ``normalisation``, ``passing``, ``frames_first``.

    Raises:
        LayerError: a layer that is not there, with the nearest names.
        ConfigError: ``SW-F124``, another scaling; ``SW-F123``, input names.
    """

    method: ClassVar[str]

    def __init__(
        self,
        model: nn.Module,
        target_layers: Layers | None = None,
        use_cuda: bool = True,
        *,
        scaling: Scaling = "common",
        **others: Any,
    ) -> None:
        del use_cuda
        self.common = is_common(scaling)
        self.explainer = InputsExplainer(model, [METHODS[self.method]], target_layers=target_layers, **others)

    def generate(self, inputs: Any, target_class: Any = None) -> dict[str, NDArray[np.float32]]:
        """Heat maps in [0, 1] by input: ``(H, W)`` for one record, ``(B, H, W)`` for several.

        Args:
            inputs: tensors ``(B, C, H, W)`` in a list, or by name; sizes and channels may differ.
            target_class: one class for all records or one for each; the predicted ones if None.

        Raises:
            DataError: ``SW-D95`` to ``SW-D97``, inputs that are not the model's.
            TargetError: a class that the model does not have.
        """
        found = [answers[self.method] for answers in self.explainer.explain(inputs, target_class)]
        return heat_maps(found, common=self.common)

    def visualize(
        self, inputs: Any, heatmaps: Heats, save_path: Destination | None = None, target_class: Any = None
    ) -> UInt8[np.ndarray, "height width 3"]:
        """The inputs on top, their overlays below, a figure for each record; written as PNG if a path is given.

        Nothing is shown and no plotting library is used; a notebook shows the array with ``PIL.Image.fromarray``.
        """
        tensors = self.explainer.named(inputs)
        records = len(next(iter(tensors.values())))
        caption = "" if target_class is None else f"class asked about: {target_class}"
        drawings: list[Drawing] = []
        for row in range(records):
            heats = {name: heat if records == 1 else heat[row] for name, heat in heatmaps.items()}
            each = {name: tensor[row] for name, tensor in tensors.items()}
            title = METHODS[self.method].title + (f", record {row + 1}" if records > 1 else "")
            normalisation = self.explainer.normalisation
            drawings.append(
                drawing_of(title, caption, each, {self.method: heats}, {}, normalisation, common=self.common)
            )
        page = stack([drawing.figure([METHODS[self.method]]) for drawing in drawings])
        if save_path is not None:
            write_picture(page, Path(save_path).expanduser())
        return page

    def save_heatmaps(self, heatmaps: Heats, save_dir: Destination, filename_prefix: str = "heatmap") -> list[Path]:
        """Write ``{filename_prefix}_{input}.png`` for each input into a folder, made if needed; the paths.

        Maps of several records, ``(B, H, W)``, are multi-page TIFF files.
        """
        return write_heat_maps(heatmaps, Path(save_dir).expanduser(), filename_prefix, METHODS[self.method].colormap)

    def remove_hooks(self) -> None:
        """Nothing to do: hooks exist only while a question is answered. Kept for code that calls it."""


class MultiInputGradCAM(InputsMethodExplainer):
    """Grad-CAM of every input from one forward and one backward (Selvaraju et al. 2017, eq. 1 and 2).

    Example:
        >>> import torch
        >>> from seewhy.models.multi_branch import MultiBranch
        >>> model = MultiBranch(["mnv", "fluid"], "test_efficientnet", 4)
        >>> cam = MultiInputGradCAM(model, ["backbone1", "backbone2"])
        >>> maps = cam.generate_cam([torch.rand(1, 1, 64, 64), torch.rand(1, 1, 48, 48)], target_class=2)
        >>> {name: heat.shape for name, heat in maps.items()}
        {'mnv': (64, 64), 'fluid': (48, 48)}
    """

    method = "gradcam"
    generate_cam = InputsMethodExplainer.generate
    visualize_cam = InputsMethodExplainer.visualize


class MultiInputGradCAMPlusPlus(MultiInputGradCAM):
    """The same by Grad-CAM++ (Chattopadhay et al. 2018, arXiv:1710.11063)."""

    method = "gradcam++"


class NoisyInputsExplainer(NoiseSettings, InputsMethodExplainer):
    """Methods that average over noise; arguments as in :class:`NoiseSettings` and :class:`InputsMethodExplainer`."""


class MultiInputSmoothGrad(NoisyInputsExplainer):
    """The mean gradient of every input (Smilkov et al. 2017, arXiv:1706.03825), drawn by its magnitude."""

    method = "smoothgrad"
    generate_smooth_grad = InputsMethodExplainer.generate
    visualize_smooth_grad = InputsMethodExplainer.visualize


class MultiInputVarGrad(NoisyInputsExplainer):
    """The variance of the gradient of every input (Adebayo et al. 2018, arXiv:1810.03292)."""

    method = "vargrad"
    generate_var_grad = InputsMethodExplainer.generate
    visualize_var_grad = InputsMethodExplainer.visualize


def is_common(scaling: object) -> bool:
    """Whether inputs share one scale. Raises ``ConfigError`` SW-F124 for a scaling that there is not."""
    if scaling not in ("common", "each"):
        raise ConfigError("SW-F124", f"scaling is 'common' or 'each', got {scaling!r}", fix="scaling='common'")
    return scaling == "common"
