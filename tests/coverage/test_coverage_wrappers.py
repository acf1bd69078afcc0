"""Wrapped, compiled and home-made models are explained without configuration, as the plain ones are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from any_model import complaints
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from toys import ConvNet, Vit


class EncoderClassifier(nn.Module):
    """Patches, a class token and ``nn.TransformerEncoder``, as many write their own."""

    def __init__(self, *, norm_first: bool) -> None:
        super().__init__()
        self.patch = nn.Conv2d(2, 16, 4, stride=4)
        self.extra, self.position = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 17, 16) * 0.2)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, image: Tensor) -> Tensor:
        patches = self.patch(image).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.extra.expand(len(image), -1, -1), patches], dim=1) + self.position
        return self.head(self.encoder(tokens)[:, 0])


@pytest.mark.parametrize("norm_first", [True, False])
def test_torchs_own_encoder_is_explained(norm_first: bool) -> None:
    assert complaints(EncoderClassifier(norm_first=norm_first).eval(), torch.randn(2, 2, 16, 16)) == []


def lightning_module(model: nn.Module) -> nn.Module:
    lightning = pytest.importorskip("lightning.pytorch")

    class Classifier(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = model

        def forward(self, image: Tensor) -> Tensor:
            return self.net(image)

    return Classifier()


def compiled_part(model: nn.Module) -> nn.Module:
    name = "body" if isinstance(model, ConvNet) else "blocks"
    setattr(model, name, torch.compile(getattr(model, name), backend="eager"))
    return model


WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "data parallel": nn.DataParallel,
    "compiled": lambda model: torch.compile(model, backend="eager"),
    "compiled part": compiled_part,
    "compiled inside data parallel": lambda model: nn.DataParallel(torch.compile(model, backend="eager")),
    "lightning": lightning_module,
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("build", [ConvNet, Vit])
def test_a_wrapped_model_gives_the_map_of_the_plain_one(build: Callable[[], nn.Module], wrapper: str) -> None:
    model, inputs = build().eval(), {"image": torch.randn(3, 2, 16, 16)}

    def explained(model: nn.Module) -> Tensor:
        return Asked("gradcam")(Probe(Adapter(model, inputs), [Logit()]), inputs).maps["image"]

    plain = explained(model)
    assert torch.equal(explained(WRAPPERS[wrapper](model)), plain)
    assert plain.any()
