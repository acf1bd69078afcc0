"""Several inputs: each branch has its layer, its gradient is that of the full graph, and no branch records another."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.capture.tokens import attentions_of
from seewhy.core import Wants
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from seewhy.values import SeewhyError
from toys import Branches, ConvNet, FramesNet, Vit

SIZES = {"image": (2, 12, 10), "second": (3, 9, 7)}


def inputs(records: int = 3) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(records, *size, generator=generator).double() for name, size in SIZES.items()}


def branches() -> nn.Module:
    torch.manual_seed(0)
    return Branches(ConvNet(2), ConvNet(2, channels=3)).double().eval()


def gradients_of_the_full_graph(
    model: nn.Module, given: dict[str, Tensor], layers: dict[str, str]
) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}
    handles = [
        model.get_submodule(layer).register_forward_hook(lambda _, __, output, name=name: seen.update({name: output}))
        for name, layer in layers.items()
    ]
    score = model(**given)[:, 1].sum()
    for handle in handles:
        handle.remove()
    return dict(zip(seen, torch.autograd.grad(score, list(seen.values())), strict=True))


def test_partial_gradients_of_branches_are_those_of_the_full_graph() -> None:
    model, given = branches(), inputs()
    layers = {"image": "of_image.body", "second": "of_second.body"}
    probe = Probe(Adapter(model, given), [Logit(1)])
    capture = probe.capture(given, Wants(gradients=tuple(layers.values())))
    for name, gradient in gradients_of_the_full_graph(model, given, layers).items():
        assert torch.equal(capture.gradients[layers[name]][0], gradient)


@pytest.mark.parametrize("asked", [("of_image.body", "of_second.body"), ("of_second.body",), ("of_image.body",)])
def test_nothing_before_the_layers_and_no_other_branch_is_recorded(asked: tuple[str, ...]) -> None:
    """What autograd saves is seen; both bodies and stems have grids of their own, none of which may be among it."""
    model, given = branches(), inputs()
    probe = Probe(Adapter(model, given), [Logit(1)])
    saved: list[tuple[int, ...]] = []

    def note(tensor: Tensor) -> Tensor:
        saved.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        probe.capture(given, Wants(gradients=asked))
    assert saved
    assert not [shape for shape in saved if len(shape) == 4]


def test_each_input_is_explained_through_its_own_branch() -> None:
    adapter = Adapter(branches(), inputs())
    assert adapter.layers_for() == {"image": "of_image.body", "second": "of_second.body"}
    assert adapter.layers_for("of_second") == {"second": "of_second.body"}
    assert adapter.layers_for("of_image.stem") == {"image": "of_image.stem"}


def test_a_map_of_one_branch_is_that_of_the_branch_alone() -> None:
    """With the head's share of a branch read out, Grad-CAM of the branch alone gives the same map."""
    model, given = branches(), inputs()
    together = Asked("gradcam")(Probe(Adapter(model, given), [Logit(2)]), given)

    class Alone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch = model.of_second

        def forward(self, second: Tensor) -> Tensor:
            return self.branch(second) @ model.head.weight[:, 3:].T

    only = {"second": given["second"]}
    alone = Asked("gradcam")(Probe(Adapter(Alone(), only), [Logit(2)]), only)
    torch.testing.assert_close(together.maps["second"], alone.maps["second"], rtol=1e-12, atol=1e-14)


def test_branches_of_one_trunk_are_told_apart_by_their_calls() -> None:
    trunk = ConvNet(2)
    given = {"image": torch.randn(2, 2, 8, 10), "second": torch.randn(2, 2, 8, 10)}
    adapter = Adapter(Branches(trunk, trunk), given)
    assert adapter.layers_for() == {"image": "of_image.body", "second": "of_image.body#1"}


def test_inputs_that_are_mixed_at_once_share_their_layer() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = ConvNet(2, channels=4)

        def forward(self, image: Tensor, second: Tensor) -> Tensor:
            return self.net(torch.cat([image, second], dim=1))

    given = {"image": torch.randn(2, 2, 8, 10), "second": torch.randn(2, 2, 8, 10)}
    adapter = Adapter(Early(), given)
    assert adapter.layers_for() == {"image": "net.body", "second": "net.body"}
    maps = Asked("gradcam")(Probe(adapter, [Logit(0)]), given).maps
    assert torch.equal(maps["image"], maps["second"])


@pytest.mark.parametrize("passing", ["keyword", "positional", "list", "dict"])
def test_inputs_are_passed_as_the_signature_asks(passing: str) -> None:
    net = branches()
    names = ("image", "second")

    class ByList(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, given: list[Tensor]) -> Tensor:
            return self.net(*given)

    class ByDict(ByList):
        def forward(self, given: dict[str, Tensor]) -> Tensor:
            return self.net(**given)

    class ByPosition(ByList):
        def forward(self, *given: Tensor) -> Tensor:
            return self.net(*given)

    model = {"keyword": net, "list": ByList(), "dict": ByDict(), "positional": ByPosition()}[passing]
    given = inputs()
    adapter = Adapter(model, given)
    assert adapter.passing == passing
    torch.testing.assert_close(adapter.outputs(adapter.call(given)), net(*(given[name] for name in names)))


def test_a_signature_without_a_word_is_tried_as_list_and_as_dict() -> None:
    class Silent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = branches()

        def forward(self, given):
            return self.net(given["image"], given["second"])

    assert Adapter(Silent(), inputs()).passing == "dict"


@pytest.mark.parametrize(
    ("given", "passing", "code"),
    [
        ({"image": (2, 12, 10), "seconds": (3, 9, 7)}, None, "SW-M22"),
        ({"a": (2, 12, 10), "b": (3, 9, 7), "c": (1, 4, 4)}, None, "SW-M23"),
        (SIZES, "by name", "SW-F120"),
    ],
)
def test_inputs_that_a_model_cannot_take_are_refused(given: dict, passing: str | None, code: str) -> None:
    tensors = {name: torch.zeros(2, *size).double() for name, size in given.items()}
    with pytest.raises(SeewhyError, match=code):
        Adapter(branches(), tensors, passing=passing)


def test_attention_of_two_branches_is_kept_apart() -> None:
    torch.manual_seed(0)
    of_image, of_second = Vit((8, 12)), Vit((16, 8), depth=2)
    given = {"image": torch.randn(2, 2, 8, 12), "second": torch.randn(2, 2, 16, 8)}
    probe = Probe(Adapter(Branches(of_image, of_second), given), [Logit(0)])
    found = attentions_of(probe.adapter)
    assert {name: (one.calls, one.tokens) for name, one in found.items()} == {"image": (3, 7), "second": (2, 9)}
    together = Asked("rollout")(probe, given).maps
    for name, branch in (("image", of_image), ("second", of_second)):
        only = {name: given[name]}
        alone = Asked("rollout")(Probe(Adapter(branch, only), [Logit(0)]), only).maps[name]
        torch.testing.assert_close(together[name], alone)


def test_maps_of_the_frames_of_a_clip_are_those_of_each_frame() -> None:
    """The answer is the mean over frames, so the gradient at a frame is that of the picture, over their number."""
    torch.manual_seed(0)
    net, clip = ConvNet(2).double(), torch.randn(2, 2, 5, 9, 8).double()
    video = {"video": clip}
    probe = Probe(Adapter(FramesNet(net), video, frames_first=("video",)), [Logit(1)])
    maps = Asked("hirescam")(probe, video).maps["video"][0]
    for frame in range(5):
        one = {"image": clip[:, :, frame]}
        alone = Asked("hirescam")(Probe(Adapter(net, one), [Logit(1)]), one).maps["image"][0]
        torch.testing.assert_close(maps[:, frame], alone / 5, rtol=1e-10, atol=1e-12)
