"""Many images at once: the answers are those of one at a time, errors stay with their image, threads do not mix."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import seewhy
from borrowed import unchanged
from seewhy.explain.ahead import ahead
from seewhy.explain.batch_error import BatchError
from seewhy.explain.batch_processor import BatchProcessor
from seewhy.profiling import PerformanceProfiler
from seewhy.values import ConfigError, DataError, TargetError
from toys import ConvNet

HOW = {"size": 32, "mean": [0.5] * 3, "std": [0.25] * 3}
CLOSE = {"rtol": 0, "atol": 1e-5}


class Counting(nn.Module):
    """conv → mean → linear with evidence for every class; notes how many records each forward had."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=4, padding=1)
        self.fc = nn.Linear(4, 5)
        with torch.no_grad():
            self.conv.bias += 3
            self.fc.weight.abs_()
        self.rows: list[int] = []
        self.most = 1000

    def forward(self, image: Tensor) -> Tensor:
        self.rows.append(len(image))
        if len(image) > self.most:
            raise MemoryError("out of memory")
        return self.fc(self.conv(image).relu().mean(dim=(2, 3)))


@pytest.fixture
def model() -> Counting:
    return Counting().eval()


def processor(model: nn.Module, **settings: Any) -> BatchProcessor:
    return BatchProcessor(model, seewhy.GradCAM(model, preprocessing=HOW), **settings)


def arrays(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (40, 36 + 4 * (position % 3), 3), dtype=np.uint8) for position in range(count)]


def mixture(folder: Path) -> list[Any]:
    """A path, a PIL image, an array and a prepared tensor, of several sizes."""
    first, second, third, _ = arrays(4)
    Image.fromarray(first).save(folder / "first.png")
    return [folder / "first.png", Image.fromarray(second), third, torch.randn(3, 24, 24)]


BOTH = pytest.mark.parametrize("ask", [BatchProcessor.process_batch, BatchProcessor.process_batch_parallel])
Ask = Callable[..., list[Any]]


@BOTH
def test_maps_are_those_of_one_image_at_a_time_in_their_order(ask: Ask, model: Counting, tmp_path: Path) -> None:
    images = mixture(tmp_path) * 3
    ours = processor(model, batch_size=5)
    classes = [position % 5 for position in range(12)]
    found = ask(ours, images, classes)
    assert len(found) == 12
    for image, number, heat in zip(images, classes, found, strict=True):
        np.testing.assert_allclose(heat, ours.explainer.explain(image, number), **CLOSE)


@BOTH
def test_raw_maps_and_settings_are_handed_on(ask: Ask, model: Counting) -> None:
    images = arrays(3)
    ours = BatchProcessor(model, seewhy.IntegratedGradients(model, preprocessing=HOW))
    for image, raw in zip(images, ask(ours, images, normalize=False, steps=3), strict=True):
        np.testing.assert_allclose(raw, ours.explainer.explain(image, normalize=False, steps=3), **CLOSE)


@BOTH
def test_a_chunk_is_one_pass(ask: Ask, model: Counting) -> None:
    ours = processor(model, batch_size=8)
    batch = torch.randn(10, 3, 32, 32)
    ask(ours, batch)
    model.rows.clear()
    ask(ours, batch)
    assert model.rows == [4, 4, 2]


@BOTH
def test_the_model_comes_back_as_it_was_lent(ask: Ask) -> None:
    model = ConvNet(channels=3).train()
    ours = processor(model)
    with unchanged(model):
        ask(ours, arrays(3))


@BOTH
def test_a_bad_image_is_named_by_its_position_and_what_was_done_is_kept(
    ask: Ask, model: Counting, tmp_path: Path
) -> None:
    (tmp_path / "torn.png").write_bytes(b"no picture")
    images = [*arrays(5), tmp_path / "torn.png", *arrays(2)]
    ours = processor(model, batch_size=4)
    with pytest.raises(BatchError, match=r"SW-O05.*image 5 \(torn\)") as caught:
        ask(ours, images)
    assert caught.value.position == 5
    assert isinstance(caught.value.reason, DataError)
    assert len(caught.value.results) == 5
    np.testing.assert_allclose(caught.value.results[4], ours.explainer.explain(images[4]), **CLOSE)


@BOTH
def test_skipping_leaves_a_gap_and_says_so(ask: Ask, model: Counting) -> None:
    images: list[Any] = arrays(6)
    images[1], images[4] = np.zeros((2, 2, 2, 2, 2)), "nowhere.png"
    ours = processor(model, batch_size=4, on_error="skip")
    with pytest.warns(UserWarning, match=r"2 of 6 images are None, at \[1, 4\]; image 1"):
        found = ask(ours, images)
    assert [heat is None for heat in found] == [False, True, False, False, True, False]
    np.testing.assert_allclose(found[5], ours.explainer.explain(images[5]), **CLOSE)


def test_where_none_can_be_explained_the_first_reason_is_raised(model: Counting) -> None:
    with pytest.raises(BatchError, match=r"SW-O05.*image 0 \(nowhere\)"):
        processor(model, on_error="skip").process_batch(["nowhere.png", "neither.png"])


@pytest.fixture
def releases(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one whenever memory is given back, which takes long and helps against nothing else."""
    found: list[str] = []
    monkeypatch.setattr("seewhy.explain.batch_work.release", lambda: found.append("released"))
    return found


def test_a_class_that_one_image_cannot_have_is_found_among_the_others(model: Counting, releases: list[str]) -> None:
    with pytest.raises(BatchError, match=r"SW-O05.*image 6") as caught:
        processor(model).process_batch(arrays(9), [0, 1, 2, 3, 4, 0, 7, 1, 2])
    assert isinstance(caught.value.reason, TargetError)
    assert len(caught.value.results) == 6
    assert releases == []


def test_out_of_memory_halves_the_chunk_and_changes_no_map(model: Counting, releases: list[str]) -> None:
    images = arrays(7)
    ours = processor(model, batch_size=7)
    expected = ours.process_batch(images)
    model.most = 2
    model.rows.clear()
    for heat, wanted in zip(ours.process_batch(images), expected, strict=True):
        np.testing.assert_allclose(heat, wanted, **CLOSE)
    assert model.rows == [4, 4, 2, 2, 3, 2, 1]
    assert releases == ["released"] * 3


def test_an_image_that_does_not_fit_alone_is_an_error_of_its_own(model: Counting) -> None:
    ours = processor(model)
    ours.process_batch(arrays(3))
    model.most = 0
    with pytest.raises(BatchError, match=r"image 0 could not be explained: it does not fit into memory alone.*SW-O04"):
        ours.process_batch(arrays(3))


def test_what_the_model_itself_raises_is_told_with_its_image_and_not_hidden(model: Counting) -> None:
    ours = processor(model)
    ours.process_batch(arrays(2))
    model.fc = nn.Linear(9, 5)
    with pytest.raises(BatchError, match=r"SW-O05.*image 0.*(shapes|multiplied)"):
        ours.process_batch(arrays(2))


def test_maps_without_evidence_are_told_once_with_their_places(model: Counting) -> None:
    with torch.no_grad():
        model.fc.weight.neg_()
    with pytest.warns(UserWarning, match=r"3 of 3 maps are zero, at \[0, 1, 2\]; image 0: no positive") as told:
        processor(model, batch_size=2).process_batch(arrays(3))
    assert len(told) == 1


class Picky(Counting):
    """Raises an error of its own for pictures that are white."""

    def forward(self, image: Tensor) -> Tensor:
        if bool((image.amin(dim=(1, 2, 3)) > 1.9).any()):
            raise RuntimeError("odd image")
        return super().forward(image)


class Unreadable:
    """A path whose own code raises."""

    def __fspath__(self) -> str:
        raise RuntimeError("no longer mounted")


@BOTH
def test_one_image_at_which_foreign_code_raises_stays_with_its_place(ask: Ask) -> None:
    model = Picky().eval()
    images: list[Any] = arrays(5)
    images[1], images[3] = np.full((40, 40, 3), 255, np.uint8), Unreadable()
    with pytest.warns(UserWarning, match=r"2 of 5 images are None, at \[1, 3\]; image 1.*odd image"):
        found = ask(processor(model, on_error="skip"), images)
    assert [heat is None for heat in found] == [False, True, False, True, False]
    with pytest.raises(BatchError, match=r"image 1 .*RuntimeError: odd image.*SW-O07") as caught:
        ask(processor(model), images)
    assert len(caught.value.results) == 1
    images[1] = images[0]
    with pytest.raises(BatchError, match=r"image 3 .*no longer mounted.*SW-O07"):
        ask(processor(model), images)


def test_several_threads_get_their_own_answers(model: Counting) -> None:
    ours = processor(model, batch_size=3)
    images = arrays(6)
    expected = {number: ours.process_batch(images, number) for number in range(4)}
    found: dict[int, list[Any]] = {}

    def ask(number: int) -> None:
        found[number] = ours.process_batch_parallel(images, number, num_workers=2)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, maps in expected.items():
        for heat, wanted in zip(found[number], maps, strict=True):
            np.testing.assert_allclose(heat, wanted, **CLOSE)


def test_no_more_is_prepared_ahead_than_stated_and_nothing_after_the_end() -> None:
    begun: list[int] = []
    steps = ahead(lambda position: begun.append(position) or position, count=100, workers=2, at_most=5)
    assert [next(steps), next(steps)] == [0, 1]
    steps.close()
    assert len(begun) <= 6


def test_a_preprocessing_that_is_assumed_is_told_once_and_by_the_caller(model: Counting) -> None:
    ours = BatchProcessor(model, seewhy.GradCAM(model))
    with pytest.warns(UserWarning, match="ImageNet's normalisation") as told:
        ours.process_batch_parallel(arrays(3))
    assert [Path(warning.filename).name for warning in told] == [Path(__file__).name]


def test_a_preprocessing_given_as_a_function_is_never_called_twice_at_once(model: Counting) -> None:
    inside, most, lock = [0], [0], threading.Lock()

    def transform(picture: Image.Image) -> Tensor:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        threading.Event().wait(0.02)  # long enough for another thread to come in
        values = torch.from_numpy(np.array(picture.resize((32, 32)))).permute(2, 0, 1) / 255
        with lock:
            inside[0] -= 1
        return values

    ours = BatchProcessor(model, seewhy.GradCAM(model, preprocessing=transform))
    ours.process_batch_parallel(arrays(8), num_workers=4)
    assert most[0] == 1


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"explainer": "gradcam"}, "SW-O01"),
        ({"model": Counting()}, "SW-O02"),
        ({"model": None}, "SW-O02"),
        ({"on_error": "ignore"}, "SW-O03"),
        ({"profiler": None}, "SW-O08"),
    ],
)
def test_what_does_not_go_together_is_refused(model: Counting, given: dict[str, Any], code: str) -> None:
    settings = {"model": model, "explainer": seewhy.GradCAM(model, preprocessing=HOW), **given}
    with pytest.raises(BatchError, match=code):
        BatchProcessor(**settings)


def test_settings_are_refused_before_any_image_is_read(model: Counting) -> None:
    ours = processor(model)
    with pytest.raises(BatchError, match="SW-O06"):
        ours.process_batch_parallel(["nowhere.png"], num_workers=0)
    with pytest.raises(ConfigError, match="SW-F12"):
        ours.process_batch(["nowhere.png"], stepz=3)
    with pytest.raises(TargetError, match="SW-T02"):
        ours.process_batch(["nowhere.png"], [1, 2])
    with pytest.raises(DataError, match="SW-D53"):
        ours.process_batch([])
    with pytest.raises(ConfigError, match="SW-F75"):
        processor(model, batch_size=0)


@BOTH
def test_images_that_are_no_list_are_told_and_one_alone_is_a_list_of_one(
    ask: Ask, model: Counting, tmp_path: Path
) -> None:
    ours = processor(model)
    for wrong in (3, True, object(), b"bytes", {"a": "a.png"}, {"a.png"}):
        with pytest.raises(DataError, match=r"SW-D45.*a list of paths.*got.*\n.*into a list"):
            ask(ours, wrong)
    Image.fromarray(arrays(1)[0]).save(tmp_path / "a.png")
    (heat,) = ask(ours, str(tmp_path / "a.png"))
    np.testing.assert_array_equal(heat, ours.explainer.explain(tmp_path / "a.png"))


def test_a_compiled_or_wrapped_model_is_the_model(model: Counting) -> None:
    explainer = seewhy.GradCAM(model, preprocessing=HOW)
    assert BatchProcessor(nn.DataParallel(model), explainer).process_batch(arrays(1))[0] is not None


def test_a_profiler_times_each_image_and_each_chunk(model: Counting) -> None:
    profiler = PerformanceProfiler()
    processor(model, batch_size=4, profiler=profiler).process_batch_parallel(arrays(6))
    counts = {name: facts["count"] for name, facts in profiler.get_stats().items()}
    assert counts == {"prepare": 6, "explain": 2, "enlarge": 6}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "wanted", "drawn"), [
    (Terminal, True, True), (Terminal, False, False), (io.StringIO, True, False),
])  # fmt: skip
def test_progress_is_drawn_on_a_terminal_where_it_is_wanted(
    model: Counting, monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], wanted: bool, drawn: bool
) -> None:
    monkeypatch.setattr("sys.stderr", stream())
    import sys

    processor(model, show_progress=wanted).process_batch(arrays(2))
    assert ("explaining" in sys.stderr.getvalue()) is drawn
