"""A checkpoint's tensors find their places in a model, or the model is left alone and the reason said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from checkpoint_files import CompiledLike, TinyNet, lightning
from torch import Tensor, nn

from seewhy.models.checkpoint import read_state_dict
from seewhy.models.load import LoadReport, load_checkpoint
from seewhy.models.matching import Mismatch, match
from seewhy.values import CheckpointError

PREFIXES = ["", "module.", "model.", "net.", "network.", "_orig_mod.", "encoder.", "backbone.", "my_own.name."]
COMBINATIONS = ["model.module.", "module._orig_mod.", "model._orig_mod.encoder.", "model.net.backbone."]


class Wrapped(nn.Module):
    """The usual LightningModule: the network is one attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.network = TinyNet()


def renamed(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in weights.items()}


def saved(path: Path, weights: dict[str, Tensor]) -> Path:
    torch.save(weights, path)
    return path


def trained() -> nn.Module:
    torch.manual_seed(7)
    model = TinyNet()
    model.norm.running_mean.fill_(3.0)
    return model


def assert_same_weights(model: nn.Module, other: nn.Module) -> None:
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


def refusal(model: nn.Module, path: Path, **settings: object) -> CheckpointError:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(model, path, **settings)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    return caught.value


@pytest.mark.parametrize("prefix", PREFIXES + COMBINATIONS)
def test_a_prefix_of_the_checkpoint_is_stripped(prefix: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", renamed(trained().state_dict(), prefix))
    model = TinyNet()
    report = load_checkpoint(model, path)
    assert_same_weights(model, trained())
    assert report.coverage.fraction == 1.0
    assert report.coverage.stripped == prefix.replace("_orig_mod.", "")


def test_a_prefix_of_the_model_is_added(tmp_path: Path) -> None:
    model = Wrapped()
    report = load_checkpoint(model, saved(tmp_path / "a.pt", trained().state_dict()))
    assert_same_weights(model.network, trained())
    assert (report.coverage.stripped, report.coverage.added) == ("", "network.")


def test_one_prefix_is_exchanged_for_another(tmp_path: Path) -> None:
    model = Wrapped()
    report = load_checkpoint(model, saved(tmp_path / "a.pt", renamed(trained().state_dict(), "module.net.")))
    assert_same_weights(model.network, trained())
    assert (report.coverage.stripped, report.coverage.added) == ("module.net.", "network.")


def test_a_compiled_model_takes_plain_weights(tmp_path: Path) -> None:
    compiled = CompiledLike(TinyNet())
    load_checkpoint(compiled, saved(tmp_path / "a.pt", trained().state_dict()))
    assert_same_weights(compiled._orig_mod, trained())


def test_a_head_beside_the_prefixed_backbone_is_found_too(tmp_path: Path) -> None:
    weights = trained().state_dict()
    split = {name if name.startswith("fc.") else f"backbone.{name}": tensor for name, tensor in weights.items()}
    model = TinyNet()
    report = load_checkpoint(model, saved(tmp_path / "a.pt", split))
    assert_same_weights(model, trained())
    assert report.coverage.stripped == "backbone."


def test_a_lightning_checkpoint_with_a_loss_weight_loads_and_reports_what_was_left_over(tmp_path: Path) -> None:
    weights = {**renamed(trained().state_dict(), "net."), "criterion.weight": torch.ones(3)}
    torch.save(lightning(weights, {"lr": 1e-3}), tmp_path / "last.ckpt")
    model = TinyNet()
    report = load_checkpoint(model, tmp_path / "last.ckpt")
    assert_same_weights(model, trained())
    assert report.coverage.unexpected == ("criterion.weight",)
    assert report.sha256 == read_state_dict(tmp_path / "last.ckpt").sha256


def test_of_two_networks_that_fit_the_trained_one_is_taken_and_the_other_named(tmp_path: Path) -> None:
    averaged = {name: torch.zeros_like(tensor) for name, tensor in trained().state_dict().items()}
    weights = renamed(averaged, "ema.") | renamed(trained().state_dict(), "student.")
    model = TinyNet()
    report = load_checkpoint(model, saved(tmp_path / "a.pt", weights))
    assert_same_weights(model, trained())
    assert report.coverage.alternatives == ("ema.",)
    assert "'student.' was chosen; 'ema.' would have matched as many" in " ".join(report.notes)


def test_the_fraction_counts_parameters_and_buffers_but_no_batch_counters() -> None:
    weights = trained().state_dict()
    for name in ("fc.bias", "norm.num_batches_tracked"):
        del weights[name]
    coverage = match(weights, TinyNet())
    assert coverage.fraction == 7 / 8
    assert coverage.missing == ("fc.bias",)


def test_below_the_threshold_nothing_is_loaded_and_the_counts_are_said(tmp_path: Path) -> None:
    weights = trained().state_dict()
    del weights["fc.bias"]
    path = saved(tmp_path / "a.pt", {**weights, "projector.weight": torch.ones(1)})
    error = refusal(TinyNet(), path)
    assert error.code == "SW-C20"
    assert "only 7 of 8 tensors match (88%, at least 90% are needed)" in error.message
    assert "missing: fc.bias; only in the file: projector.weight (of 9)" in error.message


def test_a_lower_threshold_loads_and_names_what_kept_its_initial_values(tmp_path: Path) -> None:
    weights = trained().state_dict()
    del weights["fc.bias"]
    model = TinyNet()
    initial = model.fc.bias.clone()
    report = load_checkpoint(model, saved(tmp_path / "a.pt", weights), min_coverage=0.8)
    assert torch.equal(model.fc.bias, initial)
    assert torch.equal(model.fc.weight, weights["fc.weight"])
    assert "left at their initial values: fc.bias" in report.summary()


def test_a_required_tensor_may_not_be_missing_even_above_the_threshold(tmp_path: Path) -> None:
    weights = trained().state_dict()
    del weights["fc.bias"]
    error = refusal(TinyNet(), saved(tmp_path / "a.pt", weights), min_coverage=0.5, require=("fc.*",))
    assert error.code == "SW-C22"
    assert "lacks fc.bias" in error.message


def test_a_checkpoint_that_shares_no_name_is_refused_even_at_threshold_zero(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", {"something.else": torch.ones(1)})
    assert refusal(TinyNet(), path, min_coverage=0.0).code == "SW-C20"


def test_another_number_of_classes_is_an_error_with_the_number_to_set(tmp_path: Path) -> None:
    error = refusal(TinyNet(classes=3), saved(tmp_path / "a.pt", TinyNet(classes=5).state_dict()), min_coverage=0.1)
    assert error.code == "SW-C21"
    assert "fc.weight: (5, 4) in the file, (3, 4) in the model" in error.message
    assert error.fix == "the file was trained with 5 classes: set model.num_classes=5"


@pytest.mark.parametrize(
    ("name", "theirs", "ours", "advice"),
    [
        ("pos_embed", (1, 197, 8), (1, 65, 8), "197 positions, the model has 65"),
        ("stem.weight", (4, 1, 3, 3), (4, 3, 3, 3), "trained on 1 input channels: set in_chans=1"),
        ("stem.weight", (4, 3, 7, 7), (4, 3, 3, 3), "build the model with the settings it was trained with"),
    ],
)
def test_a_shape_that_differs_comes_with_the_likely_setting(
    name: str, theirs: tuple[int, ...], ours: tuple[int, ...], advice: str, tmp_path: Path
) -> None:
    class Net(nn.Module):
        def __init__(self, shape: tuple[int, ...]) -> None:
            super().__init__()
            self.body, self.stem = nn.Linear(2, 2), nn.Module()
            owner, _, attribute = name.rpartition(".")
            setattr(self.get_submodule(owner), attribute, nn.Parameter(torch.zeros(shape)))

    error = refusal(Net(ours), saved(tmp_path / "a.pt", Net(theirs).state_dict()))
    assert error.code == "SW-C21"
    assert advice in error.fix


def test_another_architecture_with_the_same_names_is_called_so(tmp_path: Path) -> None:
    wide = {name: torch.zeros(*tensor.shape, 2) for name, tensor in TinyNet().state_dict().items()}
    error = refusal(TinyNet(), saved(tmp_path / "a.pt", wide))
    assert error.code == "SW-C21"
    assert "another architecture" in error.fix


def test_dropped_tensors_may_differ_and_keep_their_initial_values(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", {**TinyNet(classes=5).state_dict(), "decoder_embed.weight": torch.ones(1)})
    model = TinyNet(classes=3)
    initial = model.fc.weight.clone()
    report = load_checkpoint(model, path, drop=("fc.*", "decoder_*"))
    assert torch.equal(model.fc.weight, initial)
    assert report.coverage.fraction == 1.0
    assert report.coverage.unexpected == ()
    assert "dropped: decoder_embed.weight, fc.bias, fc.weight" in report.summary()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_named(value: float, tmp_path: Path) -> None:
    weights = trained().state_dict()
    weights["conv.weight"][0, 0, 0, 0] = value
    error = refusal(TinyNet(), saved(tmp_path / "a.pt", weights))
    assert error.code == "SW-C12"
    assert "1 tensors hold NaN or infinite values: conv.weight" in error.message


def test_minus_infinity_is_fine_in_a_buffer_and_nan_is_not(tmp_path: Path) -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(2, 2)
            self.register_buffer("mask", torch.zeros(2))

    weights = Masked().state_dict()
    masked = Masked()
    load_checkpoint(masked, saved(tmp_path / "a.pt", {**weights, "mask": torch.tensor([0.0, float("-inf")])}))
    assert masked.mask.tolist() == [0.0, float("-inf")]
    nan = saved(tmp_path / "b.pt", {**weights, "mask": torch.tensor([0.0, float("nan")])})
    assert refusal(Masked(), nan).code == "SW-C12"


def test_half_precision_weights_arrive_in_the_models_precision(tmp_path: Path) -> None:
    halves = {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in trained().state_dict().items()
    }
    model = TinyNet()
    load_checkpoint(model, saved(tmp_path / "a.pt", halves))
    assert model.conv.weight.dtype == torch.float32
    assert torch.equal(model.conv.weight, halves["conv.weight"].float())


def test_a_lazy_module_takes_its_shape_from_the_checkpoint(tmp_path: Path) -> None:
    model = nn.Sequential(nn.LazyLinear(2))
    load_checkpoint(model, saved(tmp_path / "a.pt", {"0.weight": torch.ones(2, 5), "0.bias": torch.zeros(2)}))
    assert model[0].weight.tolist() == [[1.0] * 5] * 2


def test_the_report_is_one_json_object_without_the_path(tmp_path: Path) -> None:
    report = load_checkpoint(TinyNet(), saved(tmp_path / "a.pt", renamed(trained().state_dict(), "model.")))
    facts = report.to_json()
    assert isinstance(report, LoadReport)
    assert facts["coverage"]["matched"] == facts["coverage"]["counted"] == 8
    assert facts["coverage"]["stripped"] == "model."
    assert str(tmp_path) not in str(facts)
    assert report.summary().startswith(
        f"{tmp_path / 'a.pt'}: 8 of 8 tensors matched (100.0%); prefix 'model.' read as ''"
    )


def test_mismatches_name_both_shapes() -> None:
    coverage = match(TinyNet(classes=5).state_dict(), TinyNet(classes=3))
    assert coverage.mismatched == (Mismatch("fc.weight", (5, 4), (3, 4)), Mismatch("fc.bias", (5,), (3,)))
