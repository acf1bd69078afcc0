"""The tutorial, followed to the letter in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from page_blocks import blocks_of, text_of

from seewhy.store.run_reader import RunReader
from seewhy.store.verify import verify

CONFIGURATION = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore:no positive evidence:UserWarning")
def test_the_tutorial_leads_where_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = text_of("tutorial.md")
    (configuration,) = CONFIGURATION.findall(text)
    place = tmp_path / "configs/experiment/embeddings/mine.yaml"
    place.parent.mkdir(parents=True)
    place.write_text(configuration)
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks_of(text):
        block.run(names)
    told = capsys.readouterr().out

    wrong = [row for row in RunReader("demo/cnn").rows("test") if row.predicted != row.label]
    assert sorted(row.record_id for row in wrong) == ["test_00121", "test_00141"]
    (zero,) = [row for row in wrong if row.record_id == "test_00121"]
    best = sorted(enumerate(zero.probabilities), key=lambda pair: -pair[1])[:3]
    assert [(digit, f"{share:.0%}") for digit, share in best] == [(8, "28%"), (9, "24%"), (4, "14%")]
    assert "test_00121 a 0 taken for a 8 with 28%; highest evidence:" in told
    maps = zero.answers["gradcam@norm"]
    for_eight, for_zero = (maps.values[maps.classes.index(digit)] for digit in (8, 0))
    assert for_eight.max() > for_zero.max()

    for run in ("demo/cnn", "demo/vit", "runs/mine", "runs/try", "runs/graded"):
        assert (tmp_path / run / "report/index.html").is_file(), run
        assert verify(tmp_path / run) == [], run
    assert len(RunReader("runs/mine").records("test")) == 40
    assert "1 of 240 labelled records have a label that none of their neighbours has" in told
