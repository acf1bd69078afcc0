"""What was made of a run's embeddings goes when the run ends with others, and stays when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from pipeline_samples import Pictures, conv_net, ids

import seewhy
from seewhy.cli.main import seewhy as command
from seewhy.store.verify import verify

GIVEN = {"generate_gradcam": False, "generate_attention": False}
NOTE = "results of earlier embeddings"


@pytest.fixture
def asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    run = tmp_path / "run"
    seewhy.run(conv_net(), Pictures(ids(8)), run, **GIVEN)
    for words in (["neighbours", "-k", "3"], ["duplicates"], ["outliers", "-k", "3"]):
        assert command([words[0], str(run), *words[1:]]) == 0
    assert verify(run) == []
    return run


def results(run: Path) -> set[str]:
    return {path.name for path in (run / "embeddings").iterdir()} & {
        "neighbours.parquet", "duplicates.json", "outliers.parquet", "projection_pca.parquet",
    }  # fmt: skip


def test_a_run_that_grew_keeps_no_result_of_before(asked: Path) -> None:
    assert len(results(asked)) == 4
    summary = seewhy.run(conv_net(), Pictures(ids(10)), asked, **GIVEN)
    assert results(asked) == {"projection_pca.parquet"}
    assert summary.choices[NOTE] == ("removed, make them again: duplicates.json, neighbours.parquet, outliers.parquet")
    assert verify(asked) == []
    fresh = asked.parent / "fresh"
    seewhy.run(conv_net(), Pictures(ids(10)), fresh, **GIVEN)
    kept = (asked / "embeddings", fresh / "embeddings")
    assert {path.name for path in kept[0].iterdir()} == {path.name for path in kept[1].iterdir()}


def test_a_run_that_holds_the_same_embeddings_keeps_them(asked: Path) -> None:
    before = {path: path.read_bytes() for path in (asked / "embeddings").iterdir()}
    summary = seewhy.run(conv_net(), Pictures(ids(8)), asked, **GIVEN)
    assert NOTE not in summary.choices
    assert {path: path.read_bytes() for path in (asked / "embeddings").iterdir()} == before


def test_a_result_that_is_gone_is_no_longer_listed_and_one_that_is_damaged_stays_told(asked: Path) -> None:
    (asked / "embeddings" / "neighbours.parquet").unlink()
    (asked / "embeddings" / "duplicates.json").write_bytes(b"{")
    seewhy.run(conv_net(), Pictures(ids(8)), asked, **GIVEN)
    assert [(one.problem, one.path) for one in verify(asked)] == [("damaged", "embeddings/duplicates.json")]
