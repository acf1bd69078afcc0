"""A page stays small whatever its records hold: pictures shrink, maps are left out, heads first, and it says so."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_small_runs import ABOUT, GRADCAM, mapped, page_of, picture, row, seen, write_small_run

from seewhy.report.errors import ReportError
from seewhy.report.fitting import LEVELS, fit
from seewhy.report.packing import Candidate, Packing
from seewhy.report.page import LARGEST_PAGE
from seewhy.report.run_facts import Facts
from seewhy.report.static_report import report_pages
from seewhy.report.thumbnails import thumbnail_of
from seewhy.store.run_reader import RunReader
from seewhy.values import Answer, Preview, RecordRow

HEADS = {"kind": "attention", "method": "attention_heads", "layers": [3], "of": 4, "query": "class token"}


def natural(seed: int, side: int = 224) -> bytes:
    """A picture with the spectrum of photographs: amplitude falls with frequency."""
    rng = np.random.default_rng(seed)
    rows, columns = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    fall = 1 / np.maximum(np.hypot(rows, columns), 1 / side)
    waves = np.fft.rfft2(rng.standard_normal((3, side, side))) * fall
    plane = np.fft.irfft2(waves, s=(side, side))
    plane = (plane - plane.min()) / (plane.max() - plane.min()) * 255
    stream = BytesIO()
    Image.fromarray(plane.transpose(1, 2, 0).astype(np.uint8)).save(stream, "JPEG", quality=80)
    return stream.getvalue()


def candidates(rows: list[RecordRow], questions: dict, root: Path) -> list[Candidate]:
    reader = RunReader(write_small_run(root, rows, questions))
    facts = Facts.of(reader)
    return [
        Candidate.of(one, facts)
        for one in reader.rows("test", questions=facts.told_of_records, previews=True)
    ]  # fmt: skip


def test_a_thousand_records_with_ten_maps_fit_into_five_megabytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = [natural(seed) for seed in range(24)]
    rows = []
    for number in range(1000):
        raw = rng.standard_normal((10, 7, 7))
        preview = (Preview("image", "picture", pictures[number % 24]),)
        label = number % 3
        rows.append(row(f"n01440764_{number:05d}", label=label, answers=mapped(raw, range(10)), previews=preview))
    about = {**ABOUT, "class_names": [f"class number {index}" for index in range(10)]}
    reader = RunReader(write_small_run(tmp_path / "run", rows, about=about))
    ((name, html),) = report_pages(reader)
    assert name == "report/index.html"
    assert len(html) <= LARGEST_PAGE
    page = page_of(html)
    assert len(page["records"]) == 1000
    assert all(len(one["maps"]) == 10 for one in page["records"])
    assert min(page["input_kinds"][one["inputs"][0][0]]["width"] for one in page["records"]) >= 80
    assert "Pictures are at most" in page["page"]["notice"][0]


def test_few_records_keep_every_map_and_every_byte_of_their_pictures(tmp_path: Path) -> None:
    rows = [row(f"r{number}", answers=mapped(np.ones((3, 2, 2))), previews=seen(number)) for number in range(3)]
    given = candidates(rows, {"gradcam@layer4": GRADCAM}, tmp_path / "run")
    packing, level = fit(given, 1_000_000)
    assert level == LEVELS[0]
    assert level.words(packing) == []
    assert packing.omitted == 0
    assert thumbnail_of(rows[0].previews[0], "r0", side=256, quality=None, tiles=12).data == rows[0].previews[0].data


def test_heads_go_before_classes_and_the_predicted_class_stays_last(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    answers = mapped(rng.standard_normal((3, 16, 16))) | {
        "attention@3": Answer(rng.standard_normal((1, 6, 16, 16)).astype(np.float32))
    }
    seen_at = [(Preview("image", "picture", natural(number)),) for number in range(8)]
    rows = [row(f"r{n}", label=1, predicted=2, answers=answers, previews=each) for n, each in enumerate(seen_at)]
    given = candidates(rows, {"gradcam@layer4": GRADCAM, "attention@3": HEADS}, tmp_path / "run")
    seen_levels = []
    for budget in (400_000, 60_000, 25_000, 12_000):
        packing, level = fit(given, budget)
        for record in packing.records:
            kinds = [packing.kinds.things[one[0]]["method"] for one in record.get("maps", [])]
            classes = [one[1] for one in record.get("maps", [])]
            if "attention_heads" in kinds:
                assert kinds.count("gradcam") == 3
            assert classes[:2] == [2, 1][: len(classes)]
            assert record.get("omitted", 0) == 9 - len(kinds)
        seen_levels.append(LEVELS.index(level))
        assert (packing.omitted == 0) == (len(packing.records[0].get("maps", [])) == 9)
        assert bool(packing.omitted) == any("were left out" in words for words in level.words(packing))
    assert seen_levels == sorted(seen_levels)
    assert seen_levels[-1] > seen_levels[0]


def test_what_cannot_fit_is_refused(tmp_path: Path) -> None:
    given = candidates([row("a" * 500)], {"gradcam@layer4": GRADCAM}, tmp_path / "run")
    with pytest.raises(ReportError) as caught:
        fit(given, 100)
    assert caught.value.code == "SW-P05"


def test_tiles_are_reduced_each_by_itself() -> None:
    preview = Preview("volume", "slices", picture(64, 32, tiles=4, quality=95), shown=(0, 3, 6, 9), of=10)
    found = thumbnail_of(preview, "a", side=16, quality=90, tiles=2)
    assert (found.width, found.height, found.tiles) == (16, 8, (1, 3))
    with Image.open(BytesIO(found.data)) as strip:
        grey = np.asarray(strip.convert("L"), float)
    assert grey.shape == (8, 32)
    # the strip's tiles have mean greys of 40, 93, 146, 200
    assert abs(grey[:, :16].mean() - 93) < 6
    assert abs(grey[:, 16:].mean() - 200) < 6
    assert abs(grey[:, 14].mean() - 93) < 12  # nothing of the neighbour at the edge


def test_dropped_slices_are_dropped_from_maps_too(tmp_path: Path) -> None:
    raw = np.arange(4, dtype=np.float32)[None, :, None, None] * np.ones((1, 4, 2, 2), np.float32)
    preview = Preview("volume", "slices", picture(64, 64, tiles=4), shown=(0, 1, 2, 3), of=4)
    one = row("a", answers={"gradcam@layer4": Answer(raw, (0,))}, previews=(preview,))
    (given,) = candidates([one], {"gradcam@layer4": GRADCAM}, tmp_path / "run")
    thumb = thumbnail_of(preview, "a", side=32, quality=40, tiles=2)
    packing = Packing()
    packing.add(given, [thumb], maps=4, heads=True)
    (record,) = packing.records
    kind = packing.kinds.things[record["maps"][0][0]]
    shown = packing.inputs.things[record["inputs"][0][0]]
    assert thumb.tiles == (1, 3)
    assert (kind["tiles"], shown["tiles"], shown["shown"]) == (2, 2, [1, 3])
    codes = np.frombuffer(base64.b64decode(record["maps"][0][4]), np.int8).reshape(2, 4)
    assert codes[:, 0].tolist() == [42, 127]  # a third of the peak, and the peak


def test_a_picture_that_is_small_enough_is_never_made_larger() -> None:
    preview = Preview("image", "picture", picture(8, 8))
    found = thumbnail_of(preview, "a", side=64, quality=10, tiles=1)
    assert (found.width, found.height) == (8, 8)
    assert len(found.data) <= len(preview.data)


def test_a_picture_that_cannot_be_decoded_is_refused() -> None:
    preview = Preview("image", "picture", picture(64, 64)[:200])
    with pytest.raises(ReportError) as caught:
        thumbnail_of(preview, "a", side=16, quality=40, tiles=1)
    assert caught.value.code == "SW-P03"
