"""What a run writes is what the model said: values, rows, order and files."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from pipeline_samples import SIZE, Pictures, conv_net, ids, image_of, pictures, rows, snapshot, vit
from torch.utils.data import Dataset

import seewhy
from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.models.adapter import Adapter
from toys import GapLinear, Vit


def batch(names: list[str]) -> torch.Tensor:
    return torch.stack([image_of(name) for name in names])


def test_every_kind_of_artifact_of_every_record_comes_out_of_one_run(tmp_path: Path) -> None:
    names = ids(5)
    summary = seewhy.run(vit(), Pictures(names), tmp_path / "run", batch_size=2)
    expected = {f"gradcam/{name}/class_{index}.png" for name in names for index in range(3)}
    expected |= {f"attention_maps/{name}_attention.png" for name in names}
    assert pictures(tmp_path / "run") == expected
    assert set(snapshot(tmp_path / "run")) - expected == {
        "about.json",
        "embeddings/projection_pca.parquet",
        "embeddings/test_embeddings.pt",
        "embeddings/test_records.parquet",
        "failures.json",
        "manifest.json",
        "report/index.html",
        "shards/test-00000.parquet",
    }
    assert (summary.selected, summary.computed, summary.reused, summary.exit_code) == (5, 5, 0, 0)
    assert seewhy.verify(tmp_path / "run") == []


def test_embeddings_are_the_features_before_the_head_in_the_order_of_the_data_set(tmp_path: Path) -> None:
    names, model = ids(7), conv_net()
    seewhy.run(model, Pictures(names), tmp_path / "run", record_id=["r05", "r02"], batch_size=2)
    seewhy.run(model, Pictures(names), tmp_path / "run", batch_size=3)
    with torch.no_grad():
        model.eval()
        features = model.body(model.stem(batch(names))).mean(dim=(2, 3))
    saved = torch.load(tmp_path / "run/embeddings/test_embeddings.pt", weights_only=True)
    assert saved.numpy() == pytest.approx(features.numpy(), abs=1e-5)
    assert pq.read_table(tmp_path / "run/embeddings/test_records.parquet")["record_id"].to_pylist() == names


def test_rows_follow_the_data_set_also_after_it_has_grown_in_front(tmp_path: Path) -> None:
    model, names = conv_net(), ["b", "c", "e"]
    seewhy.run(model, Pictures(names), tmp_path / "run")
    grown = ["a", "b", "c", "d", "e"]
    summary = seewhy.run(model, Pictures(grown), tmp_path / "run")
    assert (summary.computed, summary.reused) == (2, 3)
    table = pq.read_table(tmp_path / "run/embeddings/test_records.parquet")
    assert table["record_id"].to_pylist() == grown
    with torch.no_grad():
        features = model.eval().body(model.stem(batch(grown))).mean(dim=(2, 3))
    saved = torch.load(tmp_path / "run/embeddings/test_embeddings.pt", weights_only=True)
    assert saved.numpy() == pytest.approx(features.numpy(), abs=1e-5)


def test_rows_say_what_the_model_said_and_probabilities_sum_to_one(tmp_path: Path) -> None:
    names, model = ids(4), conv_net()
    seewhy.run(model, Pictures(names), tmp_path / "run")
    with torch.no_grad():
        probabilities = model.eval()(batch(names)).softmax(dim=1)
    for i, (name, row) in enumerate(rows(tmp_path / "run").items()):
        assert name == names[i]
        assert row.label == i % 3
        assert row.predicted == int(probabilities[i].argmax())
        assert row.probabilities == pytest.approx(probabilities[i].numpy(), abs=1e-6)
        assert row.confidence == pytest.approx(float(probabilities[i].max()), abs=1e-6)
        assert float(row.probabilities.sum()) == pytest.approx(1, abs=1e-6)


class Normalised(GapLinear):
    """A model that ends in a functional softmax."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return super().forward(image).softmax(dim=1)


def test_a_softmax_that_the_model_has_is_not_applied_again(tmp_path: Path) -> None:
    names, model = ids(3), Normalised()
    summary = seewhy.run(model, Pictures(names), tmp_path / "run", generate_attention=False)
    with torch.no_grad():
        said = model(batch(names))
    stored = [rows(tmp_path / "run")[name].probabilities for name in names]
    assert torch.stack([torch.from_numpy(row) for row in stored]).numpy() == pytest.approx(said.numpy(), abs=1e-6)
    assert any("softmax" in choice for choice in summary.choices.values())


def test_accuracy_counts_the_labelled_records_that_are_right(tmp_path: Path) -> None:
    names, model = ids(9), conv_net()
    summary = seewhy.run(model, Pictures(names), tmp_path / "run")
    with torch.no_grad():
        predicted = model.eval()(batch(names)).argmax(dim=1).tolist()
    right = sum(index == i % 3 for i, index in enumerate(predicted))
    assert summary.splits["test"].accuracy == pytest.approx(right / 9)


def test_the_stored_map_of_a_linear_model_sums_to_logit_less_bias(tmp_path: Path) -> None:
    torch.manual_seed(0)
    names, model = ids(5), GapLinear()
    seewhy.run(model, Pictures(names), tmp_path / "run", batch_size=2)
    with torch.no_grad():
        evidence = model(batch(names)) - model.fc.bias
    for i, row in enumerate(rows(tmp_path / "run").values()):
        maps = row.answers["gradcam@conv"]
        assert maps.classes == (0, 1, 2)
        assert maps.values.shape == (3, SIZE, SIZE)
        assert maps.values.sum(axis=(1, 2)) == pytest.approx(evidence[i].numpy(), abs=1e-5)


def test_attention_answers_are_the_class_tokens_row_of_the_layer_asked_for(tmp_path: Path) -> None:
    names, model = ids(3), vit()
    seewhy.run(model, Pictures(names), tmp_path / "run", attention_layers=[0, -1], batch_size=2)
    inputs = {"image": batch(names)}
    attention = Probe(Adapter(model, inputs), []).capture(inputs, Wants(attention=True, heads_of=(0, 2))).attention
    for i, row in enumerate(rows(tmp_path / "run").values()):
        heads = row.answers["attention@0,2"].values
        assert heads.shape == (2, 2, 4, 4)
        for place, layer in enumerate((0, 2)):
            expected = attention[layer][i, :, 0, 1:].reshape(2, 4, 4).numpy()
            assert heads[place] == pytest.approx(expected, abs=1e-6)
        assert row.answers["rollout"].values.shape == (4, 4)
        assert float(row.answers["rollout"].values.sum()) < 1


def test_the_geometry_of_a_row_is_that_of_its_record(tmp_path: Path) -> None:
    data = seewhy.ClutteredDigits(counts={"test": 3}, size=32)
    torch.manual_seed(0)
    seewhy.run(
        torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(4, 10)
        ),
        data,
        tmp_path / "run",
    )
    for position, row in enumerate(rows(tmp_path / "run").values()):
        record = data.read(position)
        assert (row.record_id, row.geometry, row.label) == (record.record_id, record.geometry, record.label)


def test_records_do_not_change_with_their_batch(tmp_path: Path) -> None:
    names, model = ids(7), vit()
    seewhy.run(model, Pictures(names), tmp_path / "one", batch_size=1)
    seewhy.run(model, Pictures(names), tmp_path / "all", batch_size=7)
    alone, together = rows(tmp_path / "one"), rows(tmp_path / "all")
    for name in names:
        for key, answer in alone[name].answers.items():
            assert answer.values == pytest.approx(together[name].answers[key].values, abs=1e-5), (name, key)


class ManyShapes(Dataset):
    """Records of three sizes in turn."""

    def __init__(self) -> None:
        self.record_ids = ids(6)

    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int, int]:
        return torch.ones(2, 8 + 8 * (i % 3), 16) * i, 0, i


def test_records_of_several_shapes_are_each_explained_at_their_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    seewhy.run(GapLinear(), ManyShapes(), tmp_path / "run", batch_size=4, shard_size=5)
    found = rows(tmp_path / "run")
    assert list(found) == ids(6)
    assert [found[name].answers["gradcam@conv"].values.shape[1:] for name in ids(6)] == [
        (8, 16),
        (16, 16),
        (24, 16),
    ] * 2


def test_splits_are_kept_apart_in_the_order_of_the_data_set(tmp_path: Path) -> None:
    data = {"train": Pictures(ids(3, "t")), "val": Pictures(ids(2, "v")), "test": Pictures(ids(4, "x"))}
    summary = seewhy.run(conv_net(), data, tmp_path / "run", generate_gradcam=False, generate_attention=False)
    for split, names in (("train", ids(3, "t")), ("val", ids(2, "v")), ("test", ids(4, "x"))):
        table = pq.read_table(tmp_path / f"run/embeddings/{split}_records.parquet")
        assert table["record_id"].to_pylist() == names
        assert summary.splits[split].ok == len(names)


def test_an_embedding_layer_of_choice_gets_files_of_its_own(tmp_path: Path) -> None:
    names, model = ids(3), conv_net()
    off = {"generate_gradcam": False, "generate_attention": False}
    seewhy.run(model, Pictures(names), tmp_path / "run", **off)
    seewhy.run(model, Pictures(names), tmp_path / "run", embedding_layer="stem", **off)
    with torch.no_grad():
        stem = model.eval().stem(batch(names)).mean(dim=(2, 3))
    saved = torch.load(tmp_path / "run/embeddings/test_embeddings@stem.pt", weights_only=True)
    assert saved.numpy() == pytest.approx(stem.numpy(), abs=1e-5)
    assert (tmp_path / "run/embeddings/test_embeddings.pt").is_file()
    assert seewhy.verify(tmp_path / "run") == []


def test_the_manifest_states_the_embedding_layer(tmp_path: Path) -> None:
    seewhy.run(conv_net(), Pictures(ids(2)), tmp_path / "run", generate_gradcam=False, generate_attention=False)
    manifest = seewhy.RunReader(tmp_path / "run").manifest
    assert manifest is not None
    assert manifest.questions == {"embeddings@head.input": {"kind": "embeddings", "layer": "head.input"}}
    assert manifest.status == "complete"


@pytest.mark.parametrize("kernel", ["fused", "softmax", "mha"])
def test_attention_is_found_whatever_computes_it(tmp_path: Path, kernel: str) -> None:
    torch.manual_seed(3)
    seewhy.run(Vit(kernel=kernel), Pictures(ids(2)), tmp_path / kernel, generate_gradcam=False)
    torch.manual_seed(3)
    seewhy.run(Vit(kernel="fused"), Pictures(ids(2)), tmp_path / "reference", generate_gradcam=False)
    for name in ids(2):
        one, other = rows(tmp_path / kernel)[name], rows(tmp_path / "reference")[name]
        assert one.answers["rollout"].values == pytest.approx(other.answers["rollout"].values, abs=1e-6)
