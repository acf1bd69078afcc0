"""A record that fails costs itself: the others are explained, the failure is told, and it can be asked again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pipeline_samples import Log, Pictures, conv_net, ids, image_of, pictures, rows, snapshot
from torch import Tensor, nn

import seewhy
from seewhy.data.custom import CustomDataset
from seewhy.values import SeewhyError
from toys import GapLinear

ONLY_GRADCAM = {"generate_embeddings": False, "generate_attention": False, "target_classes": [0]}
BROKEN = ids(6)[3]


class Touchy(nn.Module):
    """GAP-linear that, on the image it does not like, raises or returns what ``poison`` is."""

    def __init__(self, dislikes: str = BROKEN, poison: float | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = GapLinear()
        self.dislikes, self.poison = dislikes, poison

    def forward(self, image: Tensor) -> Tensor:
        outputs = self.inner(image)
        disliked = torch.tensor([torch.equal(x.detach(), image_of(self.dislikes)) for x in image])
        if bool(disliked.any()) and self.poison is None:
            raise ValueError("this picture is not to my taste")
        return outputs if self.poison is None else outputs.masked_fill(disliked[:, None], self.poison)


def failures(root: Path) -> Any:
    return json.loads((root / "failures.json").read_text("utf-8"))


def require_only(root: Path, summary: seewhy.Summary, failed: str, stage: str, error: str) -> None:
    """One record failed with this error, the others are as in a run that never saw it."""
    assert summary.exit_code == 1
    assert failures(root) == [{"record_id": failed, "split": "test", "stage": stage, "error": error}]
    assert [failure.record_id for failure in summary.failures] == [failed]
    found = rows(root)
    assert {name: row.status for name, row in found.items()} == {
        name: "failed" if name == failed else "ok" for name in ids(6)
    }
    assert found[failed].answers == {}
    assert pictures(root) == {f"gradcam/{name}/class_0.png" for name in ids(6) if name != failed}
    assert seewhy.verify(root) == []


def test_a_record_that_cannot_be_read_fails_alone(tmp_path: Path) -> None:
    data = Pictures(ids(6), faults={BROKEN: OSError("cable unplugged")})
    log = Log()
    summary = seewhy.run(conv_net(), data, tmp_path / "run", batch_size=4, observer=log, **ONLY_GRADCAM)
    require_only(tmp_path / "run", summary, BROKEN, "read", "OSError: cable unplugged")
    assert sum(failed for _, failed in log.advances) == 1


@pytest.mark.parametrize("dislikes", [BROKEN, ids(6)[0]])
def test_a_record_that_makes_the_model_raise_fails_alone(tmp_path: Path, dislikes: str) -> None:
    summary = seewhy.run(Touchy(dislikes), Pictures(ids(6)), tmp_path / "run", batch_size=4, **ONLY_GRADCAM)
    require_only(tmp_path / "run", summary, dislikes, "model", "ValueError: this picture is not to my taste")


@pytest.mark.parametrize("dislikes", [BROKEN, ids(6)[0]])
@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_record_with_outputs_that_are_not_finite_fails_alone(tmp_path: Path, dislikes: str, poison: float) -> None:
    summary = seewhy.run(Touchy(dislikes, poison), Pictures(ids(6)), tmp_path / "run", batch_size=4, **ONLY_GRADCAM)
    error = "the model's outputs are not finite for this record"
    require_only(tmp_path / "run", summary, dislikes, "model", error)


def test_the_others_are_bit_for_bit_as_if_the_bad_record_were_not_there(tmp_path: Path) -> None:
    names = ids(6)
    seewhy.run(Touchy(), Pictures(names), tmp_path / "bad", batch_size=1, **ONLY_GRADCAM)
    seewhy.run(Touchy("nobody"), Pictures(names), tmp_path / "good", batch_size=1, **ONLY_GRADCAM)
    bad, good = snapshot(tmp_path / "bad"), snapshot(tmp_path / "good")
    for name in names:
        if name != BROKEN:
            assert bad[f"gradcam/{name}/class_0.png"] == good[f"gradcam/{name}/class_0.png"]


class Unshowable(CustomDataset):
    """A data set one of whose records cannot be turned into a picture."""

    def picture(self, inputs: Any) -> Any:
        if torch.equal(inputs["image"], image_of(BROKEN)):
            raise ValueError("no colours")
        return super().picture(inputs)


def test_a_record_that_cannot_be_drawn_fails_alone(tmp_path: Path) -> None:
    summary = seewhy.run(conv_net(), Unshowable(Pictures(ids(6))), tmp_path / "run", **ONLY_GRADCAM)
    require_only(tmp_path / "run", summary, BROKEN, "picture", "ValueError: no colours")


class Explosive(nn.Module):
    """Finite outputs that have no gradient for one record: the root of exactly zero."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1, bias=False)
        nn.init.eye_(self.conv.weight.data.view(2, 2))

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(image).square().sum(dim=(2, 3)).sqrt()


class OneBlack(Pictures):
    """Pictures, the broken one black."""

    def __getitem__(self, i: int) -> tuple[Tensor, int, str]:
        image, label, name = super().__getitem__(i)
        return (torch.zeros_like(image) if name == BROKEN else image.abs()), label, name


def test_a_map_that_is_not_finite_is_a_failure_and_not_a_picture(tmp_path: Path) -> None:
    summary = seewhy.run(Explosive(), OneBlack(ids(6)), tmp_path / "run", target_layer="conv", **ONLY_GRADCAM)
    require_only(tmp_path / "run", summary, BROKEN, "model", "the answer gradcam@conv is not finite for this record")


def test_a_failed_record_is_left_alone_until_it_is_asked_to_be_tried_again(tmp_path: Path) -> None:
    names = ids(6)
    seewhy.run(Touchy(), Pictures(names), tmp_path / "run", **ONLY_GRADCAM)
    again = seewhy.run(Touchy(), Pictures(names), tmp_path / "run", **ONLY_GRADCAM)
    assert (again.computed, again.reused, again.exit_code) == (0, 6, 1)
    still_bad = seewhy.run(Touchy(), Pictures(names), tmp_path / "run", retry_failed=True, **ONLY_GRADCAM)
    assert (still_bad.computed, still_bad.exit_code) == (1, 1)
    good = seewhy.run(Touchy("nobody"), Pictures(names), tmp_path / "run", retry_failed=True, **ONLY_GRADCAM)
    assert (good.computed, good.reused, good.exit_code) == (1, 5, 0)
    assert failures(tmp_path / "run") == []
    assert rows(tmp_path / "run")[BROKEN].status == "ok"
    assert seewhy.verify(tmp_path / "run") == []


def test_trying_again_computes_only_the_answers_that_are_missing(tmp_path: Path) -> None:
    names, off = ids(6), {"generate_gradcam": False, "generate_attention": False}
    seewhy.run(Touchy("nobody"), Pictures(names), tmp_path / "run", **off)
    failed = seewhy.run(Touchy(), Pictures(names), tmp_path / "run", generate_attention=False)
    assert failed.exit_code == 1
    mended = seewhy.run(
        Touchy("nobody"), Pictures(names), tmp_path / "run", generate_attention=False, retry_failed=True
    )
    assert (mended.computed, mended.exit_code) == (1, 0)
    assert set(rows(tmp_path / "run")[BROKEN].answers) == {"embeddings@inner.fc.input", "gradcam@inner.conv"}
    assert seewhy.verify(tmp_path / "run") == []


def write_folder(root: Path) -> Path:
    root.mkdir()
    draw = np.random.default_rng(0)
    for name in ids(5):
        Image.fromarray(draw.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(root / f"{name}.png")
    return root


def three_channels() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


def test_a_damaged_picture_among_good_ones_fails_alone_and_is_read_again_once_repaired(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos")
    whole = (root / "r02.png").read_bytes()
    (root / "r02.png").write_bytes(whole[: len(whole) // 2])
    summary = seewhy.run(three_channels(), seewhy.ImageFolder(root, 16), tmp_path / "run")
    assert summary.exit_code == 1
    (failure,) = failures(tmp_path / "run")
    assert (failure["record_id"], failure["stage"]) == ("r02", "read")
    assert "SW-D07" in failure["error"]
    assert summary.splits["test"].ok == 4
    (root / "r02.png").write_bytes(whole)
    repaired = seewhy.run(three_channels(), seewhy.ImageFolder(root, 16), tmp_path / "run")
    assert (repaired.computed, repaired.reused, repaired.exit_code) == (1, 4, 0)
    assert seewhy.verify(tmp_path / "run") == []


def test_a_file_that_goes_away_fails_alone_run_after_run_until_it_is_back(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos")
    data = seewhy.ImageFolder(root, 16)
    (root / "r02.png").rename(tmp_path / "elsewhere.png")
    for computed in (5, 0):
        summary = seewhy.run(three_channels(), data, tmp_path / "run")
        assert (summary.computed, summary.exit_code) == (computed, 1)
        assert [failure["record_id"] for failure in failures(tmp_path / "run")] == ["r02"]
    (tmp_path / "elsewhere.png").rename(root / "r02.png")
    summary = seewhy.run(three_channels(), data, tmp_path / "run")
    assert (summary.computed, summary.exit_code) == (1, 0)


def test_data_of_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    data = Pictures(ids(3), faults={name: OSError(f"{name} is gone") for name in ids(3)})
    with pytest.raises(SeewhyError, match="r00 is gone") as refused:
        seewhy.run(conv_net(), data, tmp_path / "run")
    assert refused.value.code == "SW-D92"
    assert not (tmp_path / "run").exists()


def test_a_model_that_takes_no_record_is_refused_with_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(SeewhyError, match="expected input") as refused:
        seewhy.run(three_channels(), Pictures(ids(6)), tmp_path / "run")
    assert refused.value.code == "SW-M09"
    assert "(2, 2, 16, 16)" in refused.value.message
    assert isinstance(refused.value.__cause__, RuntimeError)
    assert not (tmp_path / "run").exists()


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = conv_net()
    model.head.bias.data.fill_(float("nan"))
    with pytest.raises(SeewhyError, match="not finite") as refused:
        seewhy.run(model, Pictures(ids(6)), tmp_path / "run")
    assert refused.value.code == "SW-M04"


class Forgetful(nn.Module):
    """GAP-linear that returns a mapping without logits for a batch that holds the image it does not like."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = GapLinear()

    def forward(self, image: Tensor) -> Tensor | dict[str, Tensor]:
        outputs = self.inner(image)
        forgets = any(torch.equal(x.detach(), image_of(BROKEN)) for x in image)
        return {"loss": outputs} if forgets else outputs


def test_an_error_of_ours_that_one_record_meets_is_that_records_too(tmp_path: Path) -> None:
    summary = seewhy.run(Forgetful(), Pictures(ids(6)), tmp_path / "run", **ONLY_GRADCAM)
    error = "ModelError: [SW-M01] the model returned dict with 'loss' (1, 3), and none is known to be its logits"
    require_only(tmp_path / "run", summary, BROKEN, "model", error)


def test_a_failure_in_another_split_does_not_fail_this_one(tmp_path: Path) -> None:
    data = {"train": Pictures([BROKEN]), "test": Pictures(ids(2))}
    train = seewhy.run(Touchy(), data, tmp_path / "run", splits=["train", "test"], **ONLY_GRADCAM)
    test = seewhy.run(Touchy(), data, tmp_path / "run", splits=["test"], **ONLY_GRADCAM)
    assert (train.exit_code, test.exit_code, test.failures) == (1, 0, ())
    assert [failure["record_id"] for failure in failures(tmp_path / "run")] == [BROKEN]
