"""The commands on embeddings, on a run that was made for them: what they print, what they keep, what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from embedding_runs import COUNTS, KEY, make_run
from PIL import Image
from safetensors.torch import save_file

from seewhy.cli.main import seewhy
from seewhy.data.cluttered_digits import ClutteredDigits
from seewhy.data.records import RecordRef
from seewhy.demo.models import load
from seewhy.inspection.embeddings import Embeddings
from seewhy.pipeline.projection_export import principal_table
from seewhy.pipeline.run import run as run_pipeline
from seewhy.store.run_reader import RunReader
from seewhy.store.verify import verify
from seewhy.values import EmbeddingError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("embedded") / "run")


def said(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> str:
    assert seewhy([str(word) for word in words]) == code
    printed = capsys.readouterr()
    return printed.out if code == 0 else printed.err


def metadata(path: Path) -> dict[str, object]:
    return json.loads(pq.read_schema(path).metadata[b"seewhy"])


def test_a_record_is_most_like_its_copy_in_another_split(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(said(capsys, "similar", "test_0", made, "-k", 3, "--json"))
    assert told["similar"][0] == {
        "record_id": "train_0", "split": "train", "distance": 0.0, "label": 0, "predicted": 0,
    }  # fmt: skip
    assert [one["label"] for one in told["similar"]] == [0, 0, 0]
    text = said(capsys, "similar", "test_0", made, "-k", 3, "--among", "val")
    assert "cat" in text
    assert "train_0" not in text


def test_faiss_says_the_same(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exact = json.loads(said(capsys, "similar", "val_1", made, "--json", "--metric", "l2"))["similar"]
    flat = json.loads(said(capsys, "similar", "val_1", made, "--json", "--metric", "l2", "--index", "flat"))["similar"]
    assert [one["record_id"] for one in flat] == [one["record_id"] for one in exact]
    assert [one["distance"] for one in flat] == pytest.approx([one["distance"] for one in exact], abs=1e-5)


def test_every_answer_is_kept_beside_the_embeddings_and_the_run_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", bad=True)
    told = {
        words[0]: json.loads(said(capsys, *words, run, "--json"))
        for words in (
            ("neighbours", "-k", "4", "--index", "hnsw"), ("cluster", "--count", "3"), ("probe",),
            ("project", "--method", "pca"), ("duplicates",), ("outliers", "-k", "4"),
        )
    }  # fmt: skip
    assert verify(run) == []
    assert RunReader(run).manifest.status == "complete"
    folder = run / "embeddings"
    near = pq.read_table(folder / "neighbours.parquet").to_pydict()
    assert len(near["record_id"]) == sum(COUNTS.values())
    place = near["record_id"].index("test_1")
    assert near["neighbours"][place] == []
    assert near["neighbours"][near["record_id"].index("test_0")][0] == "train_0"
    assert told["neighbours"]["without_distance"] == 1
    assert told["neighbours"]["recall"] >= 0.9
    clusters = pq.read_table(folder / "clusters_kmeans.parquet").to_pydict()
    assert clusters["cluster"][place] == -1
    assert clusters["silhouette"][place] is None
    assert told["cluster"]["purity"] > 0.9
    assert told["cluster"]["separation"]["labels"]["silhouette"] > 0.4
    probes = json.loads((folder / "probe.json").read_text())["probes"]
    assert probes.keys() == {"linear", "knn"}
    assert probes["linear"]["val"]["score"]["accuracy"] == 1.0
    assert probes["linear"]["test"]["left_out"] == 1
    assert [one["name"] for one in probes["knn"]["val"]["by_class"]] == ["cat", "dog", "owl"]
    assert pq.read_table(folder / "projection_pca.parquet").num_rows == sum(COUNTS.values()) - 1
    assert told["project"]["left_out"] == 1
    pairs = json.loads((folder / "duplicates.json").read_text())
    assert pairs["pairs"] == [{"one": ["test", "test_0"], "other": ["train", "train_0"], "distance": 0.0}]
    assert pairs["across_splits"] == 1
    assert [one["record_id"] for one in told["outliers"]["contested"]] == ["test_5"]
    facts = metadata(folder / "outliers.parquet")
    assert facts["layer"] == "fc.input"
    assert facts["made_from"].keys() == {f"embeddings/{split}_embeddings.pt" for split in COUNTS}


def test_the_tables_name_classes(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clusters = said(capsys, "cluster", made, "--count", 3)
    assert "cat (" in clusters
    assert "adjusted Rand index" in clusters
    probes = said(capsys, "probe", made, "--kind", "knn", "-k", 3)
    assert "shuffled" in probes
    assert "owl" in probes
    assert "test_5" in said(capsys, "outliers", made, "-k", 4)
    assert "1 of them in different splits" in said(capsys, "duplicates", made)


def test_the_projection_of_a_run_is_that_of_all_its_splits(made: Path) -> None:
    path = made / "embeddings" / "projection_pca.parquet"
    table, facts = pq.read_table(path), metadata(path)
    assert table.column_names == ["record_id", "split", "x", "y"]
    assert facts["method"] == "pca"
    assert facts["layer"] == "fc.input"
    assert facts["left_out"] == 0
    found = Embeddings.load(made)
    places = {key: (x, y) for key, x, y in zip(*(table[n].to_pylist() for n in ("record_id", "x", "y")), strict=True)}
    projected = found.project().places.float()
    rows = [places[name] for name in found.record_ids]
    torch.testing.assert_close(torch.tensor(rows), projected, rtol=1e-5, atol=1e-6)
    assert list(found.project().axes) == facts["axes"]
    index = [
        RecordRef(name, split)
        for name, split in zip(table["record_id"].to_pylist(), table["split"].to_pylist(), strict=True)
    ]
    assert principal_table(RunReader(made), KEY, index).equals(table)
    assert principal_table(RunReader(made), KEY, index[::-1]).num_rows == len(found.record_ids)


def test_a_file_of_vectors_is_asked_without_a_run(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = made / "embeddings" / "test_embeddings.pt"
    assert json.loads(said(capsys, "similar", "test_1", file, "-k", 2, "--json"))["similar"][0]["label"] == 1
    vectors = torch.load(file, weights_only=True)
    np.save(tmp_path / "v.npy", vectors.numpy())
    save_file({"a": vectors[:4].clone(), "b": vectors[4:].clone()}, tmp_path / "v.safetensors")
    torch.save({f"r{row}": vector for row, vector in enumerate(vectors)}, tmp_path / "v.pt")
    assert Embeddings.load(tmp_path / "v.npy").record_ids[:2] == ("0", "1")
    assert Embeddings.load(tmp_path / "v.safetensors").splits == ("a",) * 4 + ("b",) * 8
    assert Embeddings.load(tmp_path / "v.pt").record_ids[:2] == ("r0", "r1")
    out = tmp_path / "answer.json"
    said(capsys, "duplicates", tmp_path / "v.npy", "--threshold", 2, "--output", out)
    assert json.loads(out.read_text())["found"] == 66
    assert "SW-E30" in said(capsys, "project", tmp_path / "v.npy", "--method", "pca", code=2)


def test_half_of_a_single_split_is_held_out(made: Path) -> None:
    found = Embeddings.load(made, splits=["val"]).probe("knn", k=1)
    assert list(found) == ["held out"]
    assert (found["held out"].trained_on, found["held out"].tested_on) == (6, 3)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("SW-E20", ["similar", "test_00", "RUN"]),
        ("SW-E22", ["similar", "test_0", "RUN", "--among", "tset"]),
        ("SW-E22", ["cluster", "RUN", "--splits", "tset"]),
        ("SW-E03", ["similar", "test_0", "RUN", "-k", "99"]),
        ("SW-E25", ["similar", "test_0", "RUN/nothing"]),
        ("SW-E25", ["cluster", "RUN/shards"]),
        ("SW-E27", ["cluster", "RUN", "--layer", "fc.inpt"]),
        ("SW-E28", ["cluster", "BAD.npy"]),
        ("SW-E11", ["probe", "RUN", "--splits", "train"]),
        ("SW-F201", ["similar", "test_0", "RUN", "-k", "0"]),
    ],
)
def test_refusals_name_what_is_near(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str, words: list[str]
) -> None:
    (tmp_path / "bad.npy").write_bytes(b"no numbers")
    words = [word.replace("RUN", str(made)).replace("BAD", str(tmp_path / "bad")) for word in words]
    text = said(capsys, *words, code=2)
    assert f"[{code}]" in text
    assert "Traceback" not in text


def test_ids_that_are_ambiguous_or_twice_there_are_told() -> None:
    both = Embeddings.of(torch.eye(4), ["a", "b", "a", "c"], ["train", "train", "test", "test"])
    assert both.row("a", "test") == 2
    with pytest.raises(EmbeddingError) as refusal:
        both.similar("a", 1)
    assert refusal.value.code == "SW-E21"
    for code, given in (
        ("SW-E24", (torch.eye(2), ["a", "a"])), ("SW-E23", (torch.eye(2), ["a"])), ("SW-E02", (torch.ones(3),)),
        ("SW-E04", ({"a": torch.ones(2), "b": torch.ones(3)},)), ("SW-E02", ({"a": torch.ones(2), "b": 3},)),
        ("SW-E23", (torch.eye(2), ["a", "b"], "all", ["cat", "dog"])),
    ):  # fmt: skip
        with pytest.raises(EmbeddingError) as refusal:
            Embeddings.of(*given)
        assert refusal.value.code == code
    for code, row in (("SW-E03", torch.zeros(3, 2)), ("SW-E29", torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))):
        with pytest.raises(EmbeddingError) as refusal:
            Embeddings.of(row).similar("0", 1)
        assert refusal.value.code == code


def test_all_neighbours_through_faiss_leave_each_record_out_of_its_own(made: Path) -> None:
    found = Embeddings.load(made)
    exact, flat = found.neighbours(5), found.neighbours(5, index="flat")
    assert (flat.indices != torch.arange(len(found))[:, None]).all()
    torch.testing.assert_close(flat.distances, exact.distances, rtol=1e-3, atol=1e-5)


def test_a_new_picture_finds_its_own_record_in_a_run_of_the_same_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = ClutteredDigits(counts={"test": 6})
    run_pipeline(load("cnn"), digits, tmp_path / "run", generate_gradcam=False, generate_attention=False)
    picture = tmp_path / "digit.png"
    Image.fromarray(digits.picture(digits.read(4).inputs)).save(picture)
    told = json.loads(said(capsys, "similar", picture, tmp_path / "run", "--model", "demo:cnn", "-k", 1, "--json"))
    assert told["similar"][0]["record_id"] == "test_00004"
    assert told["similar"][0]["distance"] < 1e-3
    table = pq.read_table(tmp_path / "run" / "embeddings" / "projection_pca.parquet")
    assert sorted(table["record_id"].to_pylist()) == [f"test_{number:05d}" for number in range(6)]
    assert verify(tmp_path / "run") == []
