"""Law 9 for segmentation and similarity: broken regions, mask inference, cosines and layer choices are noticed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from seewhy.capture.probe import Probe
from seewhy.methods.ask import Asked
from seewhy.models.region_target import Region
from seewhy.models.segmentation_adapter import segmentation_adapter
from seewhy.models.segmenters import semantic_logits
from seewhy.targets import Similarity
from segmentation_models import PerPlace

NOTICED = 1e-3
RANDOM = torch.Generator().manual_seed(5)
CLEAN, MOVED = (torch.randn(3, 4, 5, 6, dtype=torch.float64, generator=RANDOM) for _ in range(2))
BACKGROUND = 1
CLEAN[:, BACKGROUND] += 0.7  # the most frequent class, were it not left out


class Broken(Region):
    """A region target with one step of its score replaced."""

    score: Callable[[Region, Tensor], Tensor]

    def bind(self, outputs: Tensor) -> Region:
        bound = super().bind(outputs)
        other = type(self)(bound.class_index, bound.background, bound.region)
        object.__setattr__(other, "score", self.score)
        return other

    def __call__(self, outputs: Tensor) -> Tensor:
        return self.score(self, outputs)


def broken(score: Callable[[Region, Tensor], Tensor]) -> Region:
    made = Broken(background=BACKGROUND)
    object.__setattr__(made, "score", score)
    return made


def logits_in(target: Region, outputs: Tensor) -> list[Tensor]:
    """Of each record, the logits of its class inside its region."""
    return [one[c][inside] for one, c, inside in zip(outputs, target.class_index, target.region, strict=True)]


def region_from_definition(target: Region) -> float:
    """The largest difference to the mean logit written out, on the clean outputs and on others."""
    bound = target.bind(CLEAN)
    worst = 0.0
    for outputs in (CLEAN, MOVED):
        found = bound(outputs)
        for record in range(3):
            labels = CLEAN[record].argmax(dim=0)
            counts = [(labels == one).sum() if one != BACKGROUND else torch.tensor(-1) for one in range(4)]
            frequent = int(torch.stack(counts).argmax())
            places = [(y, x) for y in range(5) for x in range(6) if int(labels[y, x]) == frequent]
            expected = sum(float(outputs[record, frequent, y, x]) for y, x in places) / len(places)
            worst = max(worst, abs(float(found[record]) - expected))
    return worst


def test_the_region_is_right() -> None:
    assert region_from_definition(Region(background=BACKGROUND)) < 1e-12
    assert region_from_definition(broken(lambda t, z: torch.stack([x.mean() for x in logits_in(t, z)]))) < 1e-12


BROKEN_REGIONS: dict[str, Region] = {
    "the sum over the region": broken(lambda t, z: torch.stack([x.sum() for x in logits_in(t, z)])),
    "the largest logit": broken(lambda t, z: torch.stack([x.max() for x in logits_in(t, z)])),
    "every place": broken(lambda t, z: torch.stack([z[r, c].mean() for r, c in enumerate(t.class_index)])),
    "probabilities": broken(lambda t, z: torch.stack([x.mean() for x in logits_in(t, z.softmax(1))])),
    "the region drawn anew": broken(lambda t, z: Region(t.class_index).bind(z)(z)),
    "the class chosen anew": broken(lambda t, z: Region(background=BACKGROUND).bind(z)(z)),
    "the sign swapped": broken(lambda t, z: -torch.stack([x.mean() for x in logits_in(t, z)])),
    "records mixed": broken(lambda t, z: torch.stack([x.mean() for x in logits_in(t, z)]).roll(1)),
    "the background forgotten": Region(),
    "always class 0": Region(0),
}


@pytest.mark.parametrize("name", BROKEN_REGIONS)
def test_a_broken_region_is_noticed(name: str) -> None:
    assert region_from_definition(BROKEN_REGIONS[name]) > NOTICED


def similarity_from_definition(similarity: Callable[[Tensor, Tensor], Tensor]) -> float:
    """The largest difference of score and gradient to those of ``cos``, by its closed form."""
    embedding, reference = CLEAN[:, 0, 0].clone().requires_grad_(), MOVED[:, 0, 0]
    found = similarity(reference, embedding)
    (gradient,) = torch.autograd.grad(found.sum(), embedding)
    length = embedding.detach().norm(dim=1, keepdim=True)
    own, other = embedding.detach() / length, reference / reference.norm(dim=1, keepdim=True)
    cosine = (own * other).sum(dim=1, keepdim=True)
    differences = (found.detach() - cosine[:, 0], gradient - (other - cosine * own) / length)
    return max(float(one.abs().max()) for one in differences)


def test_the_similarity_is_right() -> None:
    assert similarity_from_definition(lambda r, e: Similarity(r).bind(e)(e)) < 1e-12


BROKEN_SIMILARITIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "the product": lambda r, e: (r * e).sum(1),
    "not divided by its own length": lambda r, e: (r * e).sum(1) / r.norm(dim=1),
    "not divided by the other's length": lambda r, e: (r * e).sum(1) / e.norm(dim=1),
    "its own length held fixed": lambda r, e: (r * e).sum(1) / (r.norm(dim=1) * e.detach().norm(dim=1)),
    "the distance": lambda r, e: (r - e).norm(dim=1),
    "one minus": lambda r, e: 1 - Similarity(r)(e),
    "references mixed": lambda r, e: Similarity(r.roll(1, dims=0))(e),
    "centred": lambda r, e: Similarity(r - r.mean(1, keepdim=True))(e - e.mean(1, keepdim=True)),
}


@pytest.mark.parametrize("name", BROKEN_SIMILARITIES)
def test_a_broken_similarity_is_noticed(name: str) -> None:
    assert similarity_from_definition(BROKEN_SIMILARITIES[name]) > NOTICED


Inference = Callable[[Tensor, Tensor], Tensor]


def inference_from_definition(infer: Inference) -> float:
    """The largest difference to the sum over queries of class probability times mask probability, written out."""
    classes, masks = CLEAN[:, :, :, 0], 2 * MOVED
    p, m = classes.softmax(dim=-1), masks.sigmoid()
    found = infer(classes, masks).exp()
    expected = sum(p[:, q, :-1, None, None] * m[:, q, None] for q in range(4))
    return float((found - expected).abs().max()) if found.shape == expected.shape else float("inf")


def test_semantic_inference_is_right() -> None:
    assert inference_from_definition(semantic_logits) < 1e-12


BROKEN_INFERENCES: dict[str, Inference] = {
    "no object kept": lambda c, m: torch.einsum("bqc,bq...->bc...", c.softmax(-1), m.sigmoid()).log(),
    "the first class dropped": lambda c, m: torch.einsum("bqc,bq...->bc...", c.softmax(-1)[..., 1:], m.sigmoid()).log(),
    "classes normalised without no object": lambda c, m: torch.einsum(
        "bqc,bq...->bc...", c[..., :-1].softmax(-1), m.sigmoid()
    ).log(),
    "masks share each place": lambda c, m: torch.einsum(
        "bqc,bq...->bc...", c.softmax(-1)[..., :-1], m.softmax(1)
    ).log(),
    "the best query alone": lambda c, m: (c.softmax(-1)[..., :-1, None, None] * m.sigmoid()[:, :, None]).amax(1).log(),
    "the largest mask forgotten": lambda c, m: semantic_logits(c, m) - m.detach().amax(1, keepdim=True),
}


@pytest.mark.parametrize("name", BROKEN_INFERENCES)
def test_broken_semantic_inference_is_noticed(name: str) -> None:
    assert inference_from_definition(BROKEN_INFERENCES[name]) > NOTICED


def test_a_map_made_at_the_logits_themselves_is_noticed() -> None:
    """There Grad-CAM is the class's logit map, which the head applied without its bias is not."""
    torch.manual_seed(0)
    model = PerPlace().double()
    image = {"image": MOVED[:1, :2]}
    probe = Probe(segmentation_adapter(model, image), [Region()])
    found, at_logits = (Asked("gradcam", layer)(probe, image).target().map[0] for layer in (None, "head"))
    with torch.no_grad():
        logits = model(image["image"])[0]
    target = Region().bind(logits[None]).class_index[0]
    bias = float(model.head.bias.detach()[target])
    assert float((at_logits * 30 - logits[target]).abs().max()) < 1e-12
    assert float((found * 30 - (logits[target] - bias)).abs().max()) < 1e-12
    assert abs(bias) > NOTICED
