"""Bad inputs 24 to 31: precision, quantisation, scripts, devices (``test_bad_models.py`` has the table)."""

from __future__ import annotations

import copy

import pytest
import torch
from asked_of_models import AT_INPUTS, BODY, captured, pictures, refused
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from seewhy.values import LayerError, ModelError
from toys import ConvNet


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_24_inputs_follow_the_weights_to_their_type(dtype: torch.dtype) -> None:
    model, inputs = ConvNet().eval(), pictures()
    exact = captured(model, inputs)
    adapter = Adapter(copy.deepcopy(model).to(dtype), inputs)
    capture = Probe(adapter, [Logit(1)]).capture(inputs, BODY)
    assert capture.gradients["body"].dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    scale = exact.gradients["body"].abs().max().item()
    torch.testing.assert_close(capture.gradients["body"].float(), exact.gradients["body"], rtol=0, atol=0.02 * scale)
    assert adapter.notes == (f"inputs are converted to {str(dtype)[6:]}, the type of the weights",)


def test_24_an_operation_that_half_precision_lacks_is_named() -> None:
    class Unsupported(ConvNet):
        def forward(self, image: Tensor) -> Tensor:
            outputs = super().forward(image)
            if outputs.dtype == torch.float16:
                raise RuntimeError("\"cdist\" not implemented for 'Half'")
            return outputs

    with refused(ModelError, "SW-M14", "cdist", ".float()"):
        Adapter(Unsupported().half(), pictures())


def test_25_autocast_gives_gradients_in_float32() -> None:
    capture = captured(ConvNet(), pictures(), BODY, precision="bf16")
    assert (capture.gradients["body"].dtype, capture.outputs.dtype) == (torch.float32, torch.float32)


@pytest.fixture
def quantised() -> nn.Module:
    with pytest.warns((DeprecationWarning, UserWarning)):
        return torch.ao.quantization.quantize_dynamic(ConvNet().eval(), {nn.Linear}, dtype=torch.qint8)


@pytest.mark.filterwarnings("ignore:.*autograd kernel was not registered:UserWarning")
@pytest.mark.filterwarnings("ignore:.*quantize:UserWarning")
def test_26_a_quantised_model_is_asked_for_scores_and_refused_for_gradients(quantised: nn.Module) -> None:
    inputs = pictures()
    adapter = Adapter(quantised, inputs)
    with refused(LayerError, "SW-L15", "quantised", "occlusion, rise", "nearest: body"):
        adapter.target_layer  # noqa: B018
    probe = Probe(adapter, [Logit(1)])
    for wants in (BODY, AT_INPUTS):
        with refused(LayerError, "SW-L13", "quantised", "occlusion, rise and scorecam"):
            probe.capture(inputs, wants)
    with torch.no_grad():
        assert torch.equal(probe.score(inputs)[0], quantised(inputs["image"])[:, 1])
    maps = Asked("occlusion", settings={"window": 8, "stride": 8})(probe, inputs).maps["image"]
    assert maps.abs().sum() > 0


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", ["traced", "scripted"])
def test_28_a_traced_or_scripted_model_is_explained_at_its_inputs_only(kind: str) -> None:
    model, inputs = ConvNet().eval(), pictures()
    frozen = torch.jit.trace(model, inputs["image"]) if kind == "traced" else torch.jit.script(Scriptable().eval())
    plain = model if kind == "traced" else frozen
    adapter = Adapter(frozen, inputs)
    for ask in (
        lambda: adapter.target_layer,
        lambda: adapter.grid("body"),
        lambda: Probe(adapter, [Logit()]).capture(inputs, Wants(embedding="body")),
        lambda: Probe(adapter, [Logit()]).score(inputs, edit={"body": torch.zeros_like}),
    ):
        with refused(LayerError, "SW-L18", "traced, scripted or exported"):
            ask()
    found = Probe(adapter, [Logit(1)]).capture(inputs, AT_INPUTS).input_gradients["image"][0]
    leaf = inputs["image"].clone().requires_grad_()
    (expected,) = torch.autograd.grad(plain(leaf)[:, 1].sum(), leaf)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


class Scriptable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.fc = nn.Conv2d(2, 4, 3), nn.Linear(4, 3)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(self.body(image).relu().mean(dim=[2, 3]))


def test_29_sharded_parameters_are_refused() -> None:
    import torch.distributed as distributed
    from torch.distributed.fsdp import fully_shard

    distributed.init_process_group("gloo", rank=0, world_size=1, store=distributed.HashStore())
    try:
        model = ConvNet()
        fully_shard(model)
        with refused(ModelError, "SW-M19", "sharded", "DTensor"):
            Adapter(model, pictures())
    finally:
        distributed.destroy_process_group()


def test_30_weights_without_values_are_refused_before_the_model_runs() -> None:
    with torch.device("meta"):
        empty = ConvNet()
    with refused(ModelError, "SW-M06", "meta"):
        Adapter(empty, pictures())
    lazy = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    with refused(ModelError, "SW-M06", "lazy"):
        Adapter(lazy, pictures())
    assert lazy[1].has_uninitialized_params()


def test_31_weights_on_two_devices_are_refused_with_both() -> None:
    model = ConvNet()
    model.head = nn.Linear(6, 3, device="meta")
    with refused(ModelError, "SW-M03", "'cpu', 'meta'"):
        Adapter(model, pictures())
