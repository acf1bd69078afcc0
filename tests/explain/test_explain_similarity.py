"""Why two pictures are alike to a model, and what raises and lowers a value: closed forms and what a person gets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from seewhy.capture.probe import Probe
from seewhy.explain.lent import changes, state_of
from seewhy.explain.regression import explain_regression
from seewhy.explain.similarity import AT_THE_TOP, explain_similarity
from seewhy.methods.ask import Asked
from seewhy.models.adapter import Adapter
from seewhy.models.embedding_reader import EmbeddingReader
from seewhy.targets import Similarity
from seewhy.values import SeewhyError


class Encoder(nn.Module):
    """conv → mean over space, which is the embedding → linear head."""

    def __init__(self, outputs: int = 2, *, headless: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.fc = nn.Identity() if headless else nn.Linear(6, outputs)
        self.num_classes = 0 if headless else outputs

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(self.conv(image).mean(dim=(2, 3)))


def cosine_gradient(embedding: Tensor, reference: Tensor) -> Tensor:
    """Of the cosine at the embedding: what is left of the reference's direction beside the embedding's own."""
    length = embedding.norm(dim=1, keepdim=True)
    own, other = embedding / length, reference / reference.norm(dim=1, keepdim=True)
    return (other - (own * other).sum(dim=1, keepdim=True) * own) / length


def test_cosine_and_its_gradient_have_their_closed_form() -> None:
    embedding = torch.randn(4, 7, dtype=torch.float64, requires_grad=True)
    reference = torch.randn(4, 7, dtype=torch.float64)
    bound = Similarity(reference).bind(embedding)
    (gradient,) = torch.autograd.grad(bound(embedding).sum(), embedding)
    assert torch.allclose(bound(embedding), torch.cosine_similarity(embedding, reference), atol=1e-12)
    assert torch.allclose(gradient, cosine_gradient(embedding.detach(), reference), atol=1e-12)


def test_the_product_is_linear_and_records_keep_their_own_reference() -> None:
    outputs, reference = torch.randn(3, 5, dtype=torch.float64), torch.randn(3, 5, dtype=torch.float64)
    product = Similarity(reference, "dot").bind(outputs)
    assert torch.allclose(product(outputs), torch.einsum("bd,bd->b", outputs, reference))
    rows = [2, 0, 2]
    assert torch.equal(product.take(rows)(outputs[rows]), product(outputs)[rows])
    assert torch.equal(Similarity(reference[0]).bind(outputs).take(rows).reference, reference[[0, 0, 0]])


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (Similarity(torch.ones(4)), "SW-T55"),
        (Similarity(torch.ones(2, 3)), "SW-T55"),
        (Similarity(torch.zeros(3)), "SW-T56"),
        (Similarity(torch.ones(3), "euclid"), "SW-T57"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_compared_is_refused(target: Similarity, code: str) -> None:
    with pytest.raises(SeewhyError) as caught:
        target.bind(torch.ones(3, 3))
    assert caught.value.code == code


@pytest.mark.parametrize(("headless", "layer"), [(False, "fc.input"), (True, "outputs")])
def test_grad_cam_of_a_similarity_weighs_channels_by_the_cosine_s_gradient(headless: bool, layer: str) -> None:
    model = Encoder(headless=headless).double()
    image, reference = torch.randn(2, 3, 6, 5, dtype=torch.float64), torch.randn(2, 6, dtype=torch.float64)
    adapter = Adapter(model, {"image": image}, reader=EmbeddingReader(layer))
    found = Asked("gradcam")(Probe(adapter, [Similarity(reference)]), {"image": image}).target()
    with torch.no_grad():
        activations = model.conv(image)
    weights = cosine_gradient(activations.mean(dim=(2, 3)), reference) / 30
    assert float((found.map - torch.einsum("bk,bkyx->byx", weights, activations)).abs().max()) < 1e-12


def test_two_pictures_are_explained_each_with_the_other_held_fixed() -> None:
    torch.manual_seed(0)
    model, one, other = Encoder(), torch.randn(3, 8, 8), torch.randn(3, 6, 12)
    before = state_of(model)
    result = explain_similarity(model, one, other)
    assert changes(before, state_of(model)) == []
    with torch.no_grad():
        maps = [model.conv(picture[None]) for picture in (one, other)]
    embeddings = [found.mean(dim=(2, 3)) for found in maps]
    assert result["embedding_layer"] == "fc.input"
    assert result["similarity"] == pytest.approx(float(torch.cosine_similarity(*embeddings)), abs=1e-6)
    for number in (0, 1):
        weights = cosine_gradient(embeddings[number], embeddings[1 - number])
        expected = torch.einsum("bk,bkyx->byx", weights, maps[number])[0].clamp_min(0)
        assert np.abs(result["heatmaps"][number] - (expected / expected.max()).numpy()).max() < 1e-4
    swapped = explain_similarity(model, other, one)
    assert all(np.array_equal(*pair) for pair in zip(swapped["heatmaps"], reversed(result["heatmaps"]), strict=True))


def test_a_picture_and_itself_are_alike_and_no_map_is_made_of_rounding() -> None:
    picture = torch.randn(3, 8, 8)
    result = explain_similarity(Encoder(), picture, picture)
    assert result["similarity"] == pytest.approx(1.0, abs=1e-6)
    assert AT_THE_TOP in result["notes"]
    assert all((heat == 0).all() for heat in result["heatmaps"])
    exact = Encoder().double()
    adapter = Adapter(exact, {"image": picture[None].double()}, reader=EmbeddingReader("fc.input"))
    with torch.no_grad():
        own = exact.conv(picture[None].double()).mean(dim=(2, 3))
    found = Asked("gradcam")(Probe(adapter, [Similarity(own)]), {"image": picture[None].double()}).target()
    assert float(found.map.abs().max()) < 1e-15


def test_an_encoder_is_compared_by_its_outputs() -> None:
    result = explain_similarity(Encoder(headless=True), torch.randn(3, 8, 8), torch.randn(3, 8, 8))
    assert result["embedding_layer"] == "outputs"
    assert [one.shape for one in result["embeddings"]] == [(6,), (6,)]


def convolutions(channels: int, size: int, *first: nn.Module) -> nn.Sequential:
    """Ends in a pooled convolution, as encoders do and as SqueezeNet's head does."""
    return nn.Sequential(*first, nn.Conv2d(channels, 8, size), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize(
    ("model", "layer"),
    [
        (convolutions(3, 3), "outputs"),
        (convolutions(5, 3, nn.Conv2d(3, 5, 3), nn.ReLU()), "outputs"),
        (convolutions(5, 1, nn.Conv2d(3, 5, 3), nn.ReLU()), "2.input"),
    ],
)
def test_a_pooled_convolution_is_a_head_where_it_sees_one_place_at_a_time(model: nn.Module, layer: str) -> None:
    pair = torch.randn(2, 3, 12, 12)
    result = explain_similarity(model, *pair)
    place = model if layer == "outputs" else model[:2]
    with torch.no_grad():
        embeddings = place(pair).reshape(2, 8 if layer == "outputs" else 5, -1).mean(dim=2)
    assert result["embedding_layer"] == layer
    assert result["similarity"] == pytest.approx(float(torch.cosine_similarity(*embeddings, dim=0)), abs=1e-5)


def test_both_pictures_are_drawn_and_written(tmp_path: Path) -> None:
    result = explain_similarity(Encoder(), torch.randn(3, 8, 8), torch.rand(3, 8, 8), save_path=tmp_path / "pair.png")
    with Image.open(result["save_path"]) as written:
        assert written.width > 3 * written.height
    assert result.to_json()["similarity"] == result["similarity"]


def test_what_raises_and_lowers_a_value_are_the_two_signs_of_one_map() -> None:
    torch.manual_seed(0)
    model, picture = Encoder(outputs=3), torch.randn(3, 8, 8)
    result = explain_regression(model, picture, "height", output_names=["width", "height", "depth"])
    with torch.no_grad():
        evidence = torch.einsum("k,kyx->yx", model.fc.weight[1], model.conv(picture[None])[0])
        value = float(model(picture[None])[0, 1])
    signed = (evidence / evidence.abs().max()).numpy()
    assert result["value"] == pytest.approx(value, abs=1e-6)
    assert np.abs(result["raises"] - signed.clip(0)).max() < 1e-5
    assert np.abs(result["lowers"] - (-signed).clip(0)).max() < 1e-5
    assert result["share_raising"] == pytest.approx(float(signed.clip(0).sum() / np.abs(signed).sum()), abs=1e-5)


def test_the_other_sign_of_the_output_swaps_raising_and_lowering() -> None:
    model, picture = Encoder(outputs=1), torch.randn(3, 8, 8)
    result = explain_regression(model, picture)
    with torch.no_grad():
        model.fc.weight.neg_()
    swapped = explain_regression(model, picture)
    assert np.allclose(result["raises"], swapped["lowers"], atol=1e-6)
    assert np.allclose(result["lowers"], swapped["raises"], atol=1e-6)


def test_a_method_without_a_sign_tells_no_raising_from_lowering() -> None:
    with pytest.raises(SeewhyError, match="SW-F116"):
        explain_regression(Encoder(outputs=1), torch.randn(3, 8, 8), method="saliency")


def test_a_value_s_picture_is_written(tmp_path: Path) -> None:
    result = explain_regression(Encoder(outputs=1), torch.randn(3, 8, 8), save_path=tmp_path / "value.png")
    with Image.open(result["save_path"]) as written:
        assert written.width > 2 * written.height
