"""Every line of the seed document, as written, one after the other into the same default directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import timm
import torch
from cli_samples import COUNTS, DEFAULT, files, pictures, rows, tiny_vit, write_experiment
from PIL import Image

import seewhy
from acdc_samples import write_patient
from seewhy.capture.probe import Probe
from seewhy.core import Wants
from seewhy.models.adapter import Adapter

MINE = "experiment=embeddings/my_experiment ckpt_path=path/to/model.ckpt"
IDS = {split: [f"{split}_{i:05d}" for i in range(count)] for split, count in COUNTS.items()}
ALL_IDS = [name for ids in IDS.values() for name in ids]


def gradcams(names: list[str], classes: range = range(10)) -> set[str]:
    return {f"gradcam/{name}/class_{index}.png" for name in names for index in classes}


def sheets(names: list[str]) -> set[str]:
    return {f"attention_maps/{name}_attention.png" for name in names}


def embeddings(split: str) -> set[str]:
    return {f"embeddings/{split}_embeddings.pt", f"embeddings/{split}_records.parquet"}


BASICS = {"manifest.json", "about.json", "failures.json", "report/index.html"}
PROJECTION = "embeddings/projection_pca.parquet"


def shards(split: str, count: int = 1) -> set[str]:
    return {f"shards/{split}-{number:05d}.parquet" for number in range(count)}


def said_reuse(err: str) -> tuple[int, int]:
    """Computed and reused, as the summary says."""
    line = next(line for line in err.splitlines() if " computed" in line and " reused" in line)
    words = line.replace(",", " ").split()
    return int(words[0]), int(words[words.index("reused") - 1])


def test_all_artifacts_of_a_model(project: Path, command: Callable[..., Any]) -> None:
    assert command(MINE).code == 0
    expected = {*BASICS, PROJECTION, *gradcams(ALL_IDS), *sheets(ALL_IDS)}
    for split in COUNTS:
        expected |= embeddings(split) | shards(split)
    assert files(DEFAULT) == expected
    assert seewhy.verify(DEFAULT) == []


def test_embeddings_are_what_the_model_computes_in_the_order_of_the_data(
    project: Path, command: Callable[..., Any]
) -> None:
    assert command(f"{MINE} splits=[train,test] generate_attention=false target_classes=predicted").code == 0
    data, model = seewhy.ClutteredDigits(size=32, counts=COUNTS), tiny_vit()
    inputs = {"image": torch.stack([data.read(position).inputs["image"] for position in range(len(ALL_IDS))])}
    capture = Probe(Adapter(model, inputs), []).capture(inputs, Wants(embedding="head.input"))
    probabilities = capture.outputs.softmax(dim=1).numpy()
    assert capture.embedding is not None
    direct = dict(zip(ALL_IDS, capture.embedding.numpy(), strict=True))
    said = dict(zip(ALL_IDS, probabilities, strict=True))
    for split in ("train", "test"):
        saved = torch.load(DEFAULT / f"embeddings/{split}_embeddings.pt", weights_only=True)
        table = pq.read_table(DEFAULT / f"embeddings/{split}_records.parquet")
        assert table["record_id"].to_pylist() == IDS[split]
        assert saved.shape == (COUNTS[split], 32)
        assert saved.numpy() == pytest.approx(np.stack([direct[name] for name in IDS[split]]), abs=1e-5)
        for name, row in rows(DEFAULT, split).items():
            assert row.probabilities == pytest.approx(said[name], abs=1e-5)
            assert pictures(DEFAULT) >= {f"gradcam/{name}/class_{said[name].argmax()}.png"}
    assert not (DEFAULT / "embeddings/val_embeddings.pt").exists()


def test_every_line_adds_to_the_same_default_directory(project: Path, command: Callable[..., Any]) -> None:
    steps = [
        (f"{MINE} record_id=test_00001", (1, 0)),
        (f"{MINE} splits=[train]", (4, 0)),
        (f"{MINE} splits=[val,test]", (4, 1)),
        (f"{MINE} splits=[train,val]", (0, 6)),
        (f"{MINE} generate_embeddings=true generate_gradcam=false generate_attention=false", (0, 9)),
        (f"{MINE} generate_embeddings=false generate_gradcam=true target_classes=[0,1]", (0, 9)),
        (f"{MINE} data.batch_size=16", (0, 9)),
        (MINE, (0, 9)),
    ]
    for line, counts in steps:
        ended = command(line)
        assert (ended.code, said_reuse(ended.err)) == (0, counts), line
        assert seewhy.verify(DEFAULT) == [], line
    assert pictures(DEFAULT) == gradcams(ALL_IDS) | sheets(ALL_IDS)
    for split in COUNTS:
        table = pq.read_table(DEFAULT / f"embeddings/{split}_records.parquet")
        assert table["record_id"].to_pylist() == IDS[split]


def test_one_kind_at_a_time_adds_up_to_all_of_them(project: Path, command: Callable[..., Any]) -> None:
    only = "generate_embeddings={} generate_gradcam={} generate_attention={}"
    assert command(f"{MINE} {only.format('true', 'false', 'false')}").code == 0
    assert pictures(DEFAULT) == set()
    assert command(f"{MINE} generate_embeddings=false generate_gradcam=true target_classes=[0,1]").code == 0
    assert pictures(DEFAULT) == gradcams(ALL_IDS, range(2)) | sheets(ALL_IDS)
    assert command(f"{MINE} {only.format('false', 'true', 'false')}").code == 0
    assert pictures(DEFAULT) == gradcams(ALL_IDS) | sheets(ALL_IDS)
    row = rows(DEFAULT, "test")["test_00000"]
    assert sorted(row.answers["gradcam@blocks.1.norm1"].classes) == list(range(10))
    assert seewhy.verify(DEFAULT) == []


def test_an_output_folder_of_choice(project: Path, command: Callable[..., Any]) -> None:
    assert command(f"{MINE} output_dir=path/to/custom/dir splits=[val]").code == 0
    assert pictures(Path("path/to/custom/dir")) == gradcams(IDS["val"]) | sheets(IDS["val"])
    assert not DEFAULT.exists()


def test_several_checkpoints_each_get_a_folder(project: Path, command: Callable[..., Any], checkpoint: bytes) -> None:
    Path("logs").mkdir()
    Path("logs/epoch=3-step=10.ckpt").write_bytes(checkpoint)
    line = "-m experiment=embeddings/my_experiment splits=val ckpt_path=path/to/model.ckpt,logs/epoch=3-step=10.ckpt"
    assert command(line).code == 0
    for job in ("0", "1"):
        assert pictures(DEFAULT / job) == gradcams(IDS["val"]) | sheets(IDS["val"])
        assert seewhy.verify(DEFAULT / job) == []
    assert {path.name for path in project.iterdir()} == {"artifacts", "configs", "logs", "path"}


def test_a_run_and_a_multirun_share_the_default_directory_in_either_order(
    project: Path, command: Callable[..., Any]
) -> None:
    many = "-m experiment=embeddings/my_experiment splits=val ckpt_path=path/to/model.ckpt,path/to/model.ckpt"
    for output, lines in (("a", (many, f"{MINE} splits=val")), ("b", (f"{MINE} splits=val", many))):
        for line in lines:
            assert command(f"{line} output_dir={output}").code == 0, (output, line)
        assert pictures(Path(output, "1")) == gradcams(IDS["val"]) | sheets(IDS["val"])
        assert gradcams(IDS["val"]) <= pictures(Path(output))
        assert seewhy.verify(Path(output)) == []


# -- the default experiment: a masked autoencoder and cardiac MRI

SEED_YAML = """\
# configs/experiment/embeddings/default.yaml
defaults:
  - model: mae_vit
  - data: cmr_acdc
  - paths: default

model:
  # Model-specific settings
  backbone: vit_tiny_patch16

data:
  # Data loading settings
  batch_size: 32
  num_workers: 0
  size: 32

output_dir: ${paths.artifact_dir}/${experiment}
"""


@pytest.fixture
def hearts(project: Path) -> Path:
    """An ACDC tree where the default configuration looks for one, and a masked autoencoder's checkpoint."""
    root = project / "data" / "acdc"
    for number, group in enumerate(["NOR", "MINF", "DCM", "HCM", "RV"] * 2):
        write_patient(root / "training" / f"patient{number:03d}", Group=group)
    write_patient(root / "testing" / "patient_123", Group="DCM")
    torch.manual_seed(0)
    encoder = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=0)
    decoder = {"mask_token": torch.zeros(1, 1, 8), "decoder_embed.weight": torch.zeros(8, 192)}
    (project / "path/to/model.ckpt").unlink()
    torch.save({"model": {**encoder.state_dict(), **decoder}}, project / "path/to/model.ckpt")
    return root


def test_the_seeds_own_experiment_file_explains_a_masked_autoencoder_on_hearts(
    hearts: Path, project: Path, command: Callable[..., Any]
) -> None:
    write_experiment(project, "embeddings/my_experiment", SEED_YAML)
    ended = command(f"{MINE} record_id=patient_123")
    assert ended.code == 0, ended.err
    assert pictures(DEFAULT) == {"gradcam/patient_123/embedding.png", "attention_maps/patient_123_attention.png"}
    assert "norm of the embedding" in ended.err
    assert command(MINE).code == 0
    assert len(pictures(DEFAULT)) == 22
    saved = {
        split: torch.load(DEFAULT / f"embeddings/{split}_embeddings.pt", weights_only=True)
        for split in ("train", "val", "test")
        if (DEFAULT / f"embeddings/{split}_embeddings.pt").exists()
    }
    assert sum(len(tensor) for tensor in saved.values()) == 11
    assert {tensor.shape[1] for tensor in saved.values()} == {192}
    assert len(saved["test"]) == 1
    with Image.open(DEFAULT / "gradcam/patient_123/embedding.png") as picture:
        assert picture.convert("RGB").getcolors(1) is None  # it shows something
    refused = command(f"{MINE} target_classes=[0,1]")
    assert refused.code == 2
    assert "SW-T08" in refused.err
    assert "model.num_classes" in refused.err
    assert seewhy.verify(DEFAULT) == []


def test_the_packaged_default_experiment_needs_no_file_of_ones_own(
    hearts: Path, project: Path, command: Callable[..., Any]
) -> None:
    line = (
        "ckpt_path=path/to/model.ckpt model.backbone=vit_tiny_patch16 data.size=32 data.num_workers=0 splits=test "
        "accelerator=cpu"
    )
    assert command(line).code == 0
    root = Path("artifacts/embeddings/default")
    assert files(root) == {
        *BASICS,
        PROJECTION,
        *embeddings("test"),
        *shards("test"),
        "gradcam/patient_123/embedding.png",
        "attention_maps/patient_123_attention.png",
    }


def test_with_a_head_hearts_are_told_apart_by_class(hearts: Path, project: Path, command: Callable[..., Any]) -> None:
    write_experiment(
        project, "embeddings/my_experiment", SEED_YAML.replace("tiny_patch16\n", "tiny_patch16\n  num_classes: 5\n")
    )
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=5)
    torch.save({"model": model.state_dict()}, "path/to/model.ckpt")
    line = f"{MINE} record_id=patient_123 generate_embeddings=false generate_gradcam=true target_classes=[0,1]"
    assert command(line).code == 0
    assert pictures(DEFAULT) == gradcams(["patient_123"], range(2)) | sheets(["patient_123"])
    assert command(f"{MINE} record_id=patient_123 target_classes=[NOR]").code == 0
    assert pictures(DEFAULT) == gradcams(["patient_123"], range(2)) | sheets(["patient_123"]) | {
        "gradcam/patient_123/class_3.png"
    }
