"""Out of memory: a method goes on in smaller chunks with the same numbers, or says that it cannot; never a zero map."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit
from seewhy.values import ModelError
from toys import ConvNet

X = {"image": torch.randn(2, 2, 12, 12, generator=torch.Generator().manual_seed(0))}


class Small(nn.Module):
    """A model that has no memory for more than ``most`` records."""

    def __init__(self, most: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net, self.most, self.error = ConvNet(2).eval(), most, error
        self.largest = 0

    def forward(self, image: Tensor) -> Tensor:
        if len(image) > self.most:
            raise self.error("DefaultCPUAllocator: can't allocate memory")
        self.largest = max(self.largest, len(image))
        return self.net(image)


ASKED = {
    "occlusion": {"window": 4},
    "integrated_gradients": {"steps": 24, "baseline": "mean"},
    "smoothgrad": {"num_samples": 20},
    "rise": {"num_masks": 40},
    "scorecam": {"chunk_size": 6},
}


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
@pytest.mark.parametrize("name", ASKED)
def test_smaller_chunks_give_the_same_map(name: str, error: type[Exception]) -> None:
    roomy, small = Small(1000), Small(5, error)
    asked = Asked(name, settings=ASKED[name])
    expected = asked(Probe(Adapter(roomy, X), [Logit(1)]), X)
    found = asked(Probe(Adapter(small, X), [Logit(1)]), X)
    assert roomy.largest > small.most >= small.largest
    torch.testing.assert_close(found.maps["image"], expected.maps["image"], rtol=1e-4, atol=1e-6)
    assert found.facts["chunk_size"] <= 5
    assert "chunk_size" not in expected.facts


def test_what_does_not_fit_one_at_a_time_is_an_error() -> None:
    model = Small(2)
    probe = Probe(Adapter(model, X), [Logit(1)])
    model.most = 1
    one = {"image": X["image"][:1]}
    settled = Asked("occlusion", settings={"window": 4})(probe, one)
    assert settled.facts["chunk_size"] == 1
    model.most = 0
    with pytest.raises(ModelError, match="SW-M24"):
        Asked("occlusion", settings={"window": 4})(probe, one)


def test_another_error_is_not_taken_for_it() -> None:
    class Broken(Small):
        def forward(self, image: Tensor) -> Tensor:
            if len(image) > 2:
                raise RuntimeError("shapes do not fit")
            return self.net(image)

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        Asked("occlusion", settings={"window": 4})(Probe(Adapter(Broken(9), X), [Logit(1)]), X)
