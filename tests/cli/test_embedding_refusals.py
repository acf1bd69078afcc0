"""What the commands on embeddings refuse, where they write, and how they show what a data set holds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from embedding_runs import COUNTS, make_run

from seewhy.cli.main import seewhy
from seewhy.inspection.embeddings import Embeddings
from seewhy.store.additions import adding_to
from seewhy.store.verify import verify

VECTORS = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))
STEERS = "\x1b[31mred\nline\x9b"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("refusing") / "run")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    np.save(tmp_path / "ok.npy", VECTORS.numpy())
    np.save(tmp_path / "complex.npy", VECTORS.numpy() + 0j)
    (tmp_path / "empty.npy").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("SW-E22", "cluster RUN --splits ,"),
        ("SW-E22", "similar test_0 RUN --among ,"),
        ("SW-E12", "cluster RUN --seed -1"),
        ("SW-E12", "project RUN --seed -1"),
        ("SW-E12", "probe RUN --seed -1"),
        ("SW-E28", "cluster FILES/empty.npy"),
        ("SW-E02", "cluster FILES/complex.npy"),
        ("SW-E16", "cluster FILES/ok.npy --splits train"),
        ("SW-E16", "cluster FILES/ok.npy --layer fc"),
        ("SW-E16", "project RUN --method pca --metric l2"),
        ("SW-E16", "project RUN --method pca --seed 0"),
        ("SW-E16", "cluster RUN --method hdbscan --seed 0"),
        ("SW-E16", "probe RUN --kind linear -k 3"),
        ("SW-E16", "probe RUN --kind knn --strength 1"),
        ("SW-E16", "similar test_0 RUN --model-arg a=1"),
        ("SW-E16", "similar test_0 RUN --device cpu"),
        ("SW-E16", "similar a.png RUN --model demo:cnn --split test"),
        ("SW-E31", "cluster RUN --output RUN/manifest.json"),
        ("SW-E31", "similar test_0 RUN --output RUN/embeddings/new.json"),
        ("SW-E31", "cluster FILES/ok.npy --output RUN/embeddings/test_embeddings.pt"),
        ("SW-E31", "cluster FILES/ok.npy --output FILES/ok.npy"),
    ],
)
def test_each_is_refused_with_its_code_and_changes_nothing(
    made: Path, files: Path, capsys: pytest.CaptureFixture[str], code: str, words: str
) -> None:
    assert seewhy([word.replace("RUN", str(made)).replace("FILES", str(files)) for word in words.split()]) == 2
    assert f"[{code}]" in capsys.readouterr().err
    assert verify(made) == []


def test_an_error_of_a_command_names_no_argument_of_python(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert seewhy(["similar", "test_0", str(made), "-k", "99"]) == 2
    assert "fix: ask for 44 or fewer" in capsys.readouterr().err


def test_a_table_of_records_that_is_gone_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run")
    (run / "embeddings" / "test_records.parquet").unlink()
    assert seewhy(["cluster", str(run)]) == 2
    assert "[SW-E25] there is no" in capsys.readouterr().err


def test_what_is_of_some_splits_does_not_replace_what_is_of_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run")
    whole = (run / "embeddings" / "projection_pca.parquet").read_bytes()
    assert seewhy(["project", str(run), "--method", "pca", "--splits", "val,train"]) == 0
    assert f"seewhy report {run}" in capsys.readouterr().out
    assert (run / "embeddings" / "projection_pca.parquet").read_bytes() == whole
    assert (run / "embeddings" / "projection_pca_of_train+val.parquet").is_file()
    assert seewhy(["duplicates", str(run), "--splits", "test"]) == 0
    assert (run / "embeddings" / "duplicates_of_test.json").is_file()
    assert seewhy(["duplicates", str(run), "--splits", ",".join(COUNTS)]) == 0
    assert (run / "embeddings" / "duplicates.json").is_file()
    assert verify(run) == []


@pytest.mark.parametrize(
    "words",
    [
        "similar b FILE -k 2", "cluster FILE --count 2", "duplicates FILE --threshold 2", "outliers FILE -k 2",
        "neighbours FILE -k 2 --output OUT", "project FILE --method pca --output OUT", "similar red FILE",
        "similar b FILE -k 2 --json", "duplicates FILE --threshold 2 --json",
    ],
)  # fmt: skip
def test_no_id_steers_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str) -> None:
    evil = tmp_path / "evil.pt"
    torch.save(dict(zip((STEERS, "b", "c", "d"), VECTORS, strict=False)), evil)
    seewhy([word.replace("FILE", str(evil)).replace("OUT", str(tmp_path / "o")) for word in words.split()])
    printed = "".join(capsys.readouterr())
    assert printed.replace("\n", "").isprintable()
    if "similar b" in words and "--json" not in words:
        assert r"\x1b[31mred\nline\x9b" in printed


def test_labels_of_other_classes_are_named_by_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run")
    about = {"class_names": ["cat", "dog", "owl"], "label_names": ["field", "wood", "lake"], "labels_match": False}
    with adding_to(run) as added:
        added.write_file("about.json", json.dumps(about).encode(), kind="about")
    found = Embeddings.load(run)
    assert (found.class_name(2), found.label_name(2)) == ("owl", "lake")
    assert seewhy(["cluster", str(run), "--count", "3"]) == 0
    printed = capsys.readouterr().out
    assert "lake (" in printed
    assert "owl" not in printed
