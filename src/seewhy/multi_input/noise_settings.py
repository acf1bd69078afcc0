"""The arguments that all classes of methods with noise take, whatever else they do."""

from __future__ import annotations

from typing import Any

from torch import nn

from seewhy.multi_input.methods import DEFAULT_NOISE_LEVEL, DEFAULT_SAMPLES


class NoiseSettings:
    """Put before a class whose methods average over ``n_samples`` noisy copies of all inputs at once.

    ``noise_level`` is the noise's standard deviation as a share of each input's range; ``others`` go to that class.
    """

    def __init__(
        self,
        model: nn.Module,
        use_cuda: bool = True,
        n_samples: int = DEFAULT_SAMPLES,
        noise_level: float = DEFAULT_NOISE_LEVEL,
        **others: Any,
    ) -> None:
        given = {"use_cuda": use_cuda, "n_samples": n_samples, "noise_level": noise_level, **others}
        super().__init__(model, **given)  # type: ignore[call-arg]
