"""What cannot be done is said in one sentence, with the nearest name, before long work begins: exit code 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_samples import DEFAULT, MY_EXPERIMENT, write_experiment

E = "experiment=embeddings/my_experiment"
MINE = f"{E} ckpt_path=path/to/model.ckpt"


@pytest.mark.parametrize(
    ("line", "code", "near"),
    [
        (f"{MINE} splts=[train]", "SW-F01", "splits"),
        (f"{MINE} data.batch_sze=4", "SW-F01", "data.batch_size"),
        (f"{MINE} +data.batch_sze=4", "SW-F28", "batch_size"),
        (f"{MINE} model.nme=x", "SW-F01", "model.name"),
        (f"{MINE} +modle.name=x", "SW-F01", "model"),
        ("experiment=embeddings/my_experment ckpt_path=x", "SW-F29", "embeddings/my_experiment"),
        (f"{MINE} model=tim", "SW-F29", "timm"),
        (f"{MINE} data=image_fodler", "SW-F29", "image_folder"),
        (f"{MINE} splits=[tain]", "SW-F06", "train"),
        (f"{MINE} record_id=test_0001", "SW-F07", "test_00001"),
        (f"{MINE} record_id=[test_00001,tst_00002]", "SW-F07", "test_00002"),
        (f"{MINE} target_classes=[12]", "SW-T01", None),
        (f"{MINE} target_classes=predcted", "SW-T04", "predicted"),
        (f"{MINE} target_classes=[1.5]", "SW-F22", None),
        (f"{MINE} target_layer=bloks.0", "SW-L01", "blocks.0"),
        (f"{MINE} embedding_layer=hed", "SW-L01", "head"),
        (f"{MINE} attention_layers=[2]", "SW-F05", None),
        (f"{MINE} precision=fp16", "SW-F23", "16"),
        (f"{MINE} accelerator=cpuu", "SW-F25", "cpu"),
        (f"{MINE} accelerator=cuda:9", "SW-F26", None),
        (f"{MINE} model.name=vit_tny_patch16_224", "SW-M52", "vit_tiny_patch16_224"),
        (f"{MINE} model.num_classes=0.5", "SW-M55", None),
        (f"{MINE} data.num_workers=-1", "SW-F02", None),
        (f"{MINE} data.batch_size=0", "SW-F02", None),
        (f"{MINE} data.batch_size=many", "SW-F02", None),
        (f"{MINE} max_records=0", "SW-F02", None),
        (f"{MINE} shard_size=-3", "SW-F02", None),
        (f"{MINE} seed=abc", "SW-F21", None),
        (f"{MINE} seed=true", "SW-F21", None),
        (f"{MINE} generate_gradcam=maybe", "SW-F21", None),
        (f"{MINE} min_coverage=high", "SW-F21", None),
        (f"{MINE} splits=3", "SW-F21", None),
        (f"{MINE} generate_embeddings=false generate_gradcam=false generate_attention=false", "SW-F04", None),
        (f"{MINE} splits=[]", "SW-F03", None),
        (E, "SW-C30", None),
        (f"{E} ckpt_path=path/to/modle.ckpt", "SW-C01", "model.ckpt"),
        (f"{MINE} data=image_folder", "SW-F31", None),
        (f"{MINE} output_dir=path/to/model.ckpt", "SW-S08", None),
        (f"{MINE} output_dir=path", "SW-S09", None),
        ("--config-dir nowhere " + MINE, "SW-F20", None),
        (f"{MINE} splits=[train", "SW-F30", None),
        (f"{MINE} output_dir=${{paths.artefact_dir}}/x", "SW-F30", None),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(
    project: Path, command: Callable[..., Any], line: str, code: str, near: str | None
) -> None:
    ended = command(line)
    assert ended.code == 2, ended.err
    assert f"error [{code}] " in ended.err, ended.err
    assert "fix: " in ended.err
    assert "Traceback" not in ended.err
    if near is not None:
        (told,) = [row for row in ended.err.splitlines() if row.startswith("  nearest: ")]
        assert near in [name.strip() for name in told.removeprefix("  nearest: ").split(",")]
    assert not DEFAULT.exists()


def test_a_folder_of_photos_that_does_not_exist_is_refused(project: Path, command: Callable[..., Any]) -> None:
    text = MY_EXPERIMENT.replace("cluttered_digits", "image_folder")
    write_experiment(project, "photos", text.replace("  counts: {train: 4, val: 2, test: 3}\n", ""))
    ended = command("experiment=photos ckpt_path=path/to/model.ckpt data.root=nowhere")
    assert (ended.code, "error [SW-D02] " in ended.err) == (2, True), ended.err


def test_a_misspelt_key_in_an_experiment_file_is_refused_too(project: Path, command: Callable[..., Any]) -> None:
    write_experiment(project, "embeddings/my_experiment", MY_EXPERIMENT + "\ngenerate_gradcm: false\n")
    ended = command(MINE)
    assert (ended.code, "generate_gradcam" in ended.err) == (2, True)
    assert "SW-F01" in ended.err


def test_a_misspelt_data_key_in_an_experiment_file_is_refused_too(project: Path, command: Callable[..., Any]) -> None:
    write_experiment(project, "embeddings/my_experiment", MY_EXPERIMENT.replace("  batch_size: 4", "  batch_sise: 4"))
    ended = command(MINE)
    assert (ended.code, "nearest: batch_size" in ended.err) == (2, True), ended.err


def test_other_weights_are_refused_with_what_differs_and_nothing_is_touched(
    project: Path, command: Callable[..., Any]
) -> None:
    from cli_samples import files, tiny_vit, write_lightning_checkpoint

    assert command(f"{MINE} splits=val").code == 0
    before = {name: (DEFAULT / name).read_bytes() for name in files(DEFAULT)}
    model = tiny_vit()
    model.head.bias.data += 1
    write_lightning_checkpoint(project / "path/to/model.ckpt", model)
    ended = command(f"{MINE} splits=val")
    assert ended.code == 2
    assert "SW-S05" in ended.err
    assert "weights" in ended.err
    assert {name: (DEFAULT / name).read_bytes() for name in files(DEFAULT)} == before


def test_in_a_multirun_a_refused_job_does_not_keep_the_others_from_running(
    project: Path, command: Callable[..., Any]
) -> None:
    ended = command(f"-m {E} splits=val ckpt_path=absent.ckpt,path/to/model.ckpt")
    assert ended.code == 2
    assert "SW-C01" in ended.err
    assert not (DEFAULT / "0").exists()
    assert (DEFAULT / "1" / "manifest.json").is_file()


@pytest.mark.parametrize(
    "line",
    [
        "--cfg job data=image_folder splits=[val]",
        "data=image_folder --cfg job splits=[val]",
        "data=image_folder splits=[val] --cfg job",
        "data=image_folder splits=[val] --cfg=job",
        "data=image_folder -c job splits=[val]",
    ],
)
def test_options_may_stand_anywhere(project: Path, command: Callable[..., Any], line: str) -> None:
    ended = command(line)
    assert ended.code == 0, ended.err
    assert "kind: image_folder" in ended.out
    assert "- val" in ended.out


def test_all_that_is_missing_is_named_at_once_by_its_full_key(project: Path, command: Callable[..., Any]) -> None:
    ended = command("data=multi_input model=multi_branch")
    assert ended.code == 2
    assert "error [SW-F31] model.inputs, model.num_classes, data.root, ckpt_path must be given" in ended.err, ended.err
    assert "fix: add model.inputs=... model.num_classes=... data.root=... ckpt_path=..." in ended.err
    fewer = command("data=multi_input model=multi_branch model.inputs=[a,b] data.manifest=list.csv ckpt_path=a.ckpt")
    assert "error [SW-F31] model.num_classes must be given" in fewer.err, fewer.err


def test_the_name_of_one_kind_of_model_leads_to_the_backbone_of_another(
    project: Path, command: Callable[..., Any]
) -> None:
    ended = command("data=multi_input model=multi_branch model.name=resnet18")
    assert "error [SW-F01] " in ended.err, ended.err
    assert "nearest: model.backbone" in ended.err
