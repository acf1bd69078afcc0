"""Attention methods beside released ones."""

from __future__ import annotations

import warnings

import pytest
import torch
from torchvision.models import VisionTransformer

from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.methods.ask import Asked
from seewhy.methods.attention import rollout
from seewhy.models.adapter import Adapter
from seewhy.targets import Logit


def torchvision_vit() -> VisionTransformer:
    torch.manual_seed(0)
    model = VisionTransformer(
        image_size=32, patch_size=8, num_layers=3, num_heads=2, hidden_dim=16, mlp_dim=24, num_classes=4
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2)
    return model.eval()


def test_legrad_equals_torchcams() -> None:
    """torchcam gives each layer's map of one record; the mean over layers is the method's."""
    methods = pytest.importorskip("torchcam.methods")
    model, image = torchvision_vit(), torch.randn(3, 3, 32, 32)
    found = Asked("legrad")(Probe(Adapter(model, {"image": image}), [Logit(2)]), {"image": image}).maps["image"][0]
    with methods.LeGrad(model, list(model.encoder.layers)) as extractor:
        scores = model(image)
        per_layer = extractor._get_weights([2, 2, 2], scores)
    theirs = torch.stack(per_layer).mean(dim=0).reshape(3, 4, 4).detach()
    torch.testing.assert_close(found, theirs, rtol=0, atol=1e-5 * theirs.abs().max().item())


def test_captured_attention_equals_what_transformers_returns() -> None:
    """Asked of the model with fused kernels, against the weights that the library gives out when they are off."""
    transformers = pytest.importorskip("transformers")
    size = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 32}
    size |= {"image_size": 32, "patch_size": 8, "num_labels": 3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of what it will rename
        eager, fused = (
            transformers.ViTForImageClassification(transformers.ViTConfig(**size, attn_implementation=kernel)).eval()
            for kernel in ("eager", "sdpa")
        )
        fused.load_state_dict(eager.state_dict())
        image = torch.randn(2, 3, 32, 32)
        with torch.no_grad():
            theirs = eager(image, output_attentions=True).attentions
        probe = Probe(Adapter(fused, {"image": image}), [], tokens=17)
        found = probe.capture({"image": image}, Wants(attention=True, heads_of=(0, 1, 2))).attention
    assert len(found) == len(theirs) == 3
    for ours, other in zip(found, theirs, strict=True):
        torch.testing.assert_close(ours, other, rtol=0, atol=1e-6)


def test_vit_explain_divides_columns_by_row_sums_so_that_its_rows_do_not_sum_to_one() -> None:
    """Its rollout normalises by ``a / a.sum(dim=-1)``, without ``keepdim``, after pruning rows to unequal sums."""
    attention = torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(0)).mul(2).softmax(dim=-1).amax(dim=1)
    mixed = (attention[0] + torch.eye(6)) / 2
    theirs = mixed / mixed.sum(dim=-1)
    assert (theirs.sum(dim=-1) - 1).abs().max() > 0.02
    ours = rollout([attention[:, None]])
    torch.testing.assert_close(ours[0], (mixed / mixed.sum(dim=-1, keepdim=True))[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.sum(), torch.tensor(1.0), rtol=0, atol=1e-6)
