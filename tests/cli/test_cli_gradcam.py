"""The command of several inputs: its files, its words, its exit codes; on made eyes and an untrained model."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from seewhy.cli.gradcam import gradcam, parser
from seewhy.cli.gradcam_runs import _say
from seewhy.demo.retina import INPUTS, MadeRetina, write_retina

CONFIG = """
[DataModule]
image_shape = [32, 32, 1]
batch_size = 2
counts = {{ train = 4, val = 5, test = 4 }}
data_path = "{data}"

[NetModule]
log_dir = "logs"
model_name = "eyes"
backbone_name = "test_efficientnet"
hidden = 8
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the model that the configuration describes, with random weights."""
    pytest.importorskip("lightning")
    import tomllib

    from seewhy.training import NetModule

    path = tmp_path_factory.mktemp("weights") / "epoch=0-step=1.ckpt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = NetModule(tomllib.loads(CONFIG.format(data="")))
    torch.save(
        {
            "state_dict": module.state_dict(),
            "hyper_parameters": {"config": module.config.plain},
            "pytorch-lightning_version": "2.6.6",
        },
        path,
    )
    return path


@pytest.fixture
def project(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a configuration and a checkpoint, entered."""
    (tmp_path / "config.toml").write_text(CONFIG.format(data=""))
    (tmp_path / "logs" / "eyes").mkdir(parents=True)
    (tmp_path / "logs" / "eyes" / weights.name).write_bytes(weights.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_one_sample_is_a_figure_and_a_heat_map_for_each_input(project: Path) -> None:
    assert gradcam(["--config", "config.toml", "--sample_idx", "3", "--save_dir", "out"]) == 0
    assert files(project / "out") == {
        "val_00003_gradcam_visualization.png",
        *(f"val_00003_heatmaps/val_00003_{name}.png" for name in INPUTS),
    }


def test_without_a_folder_the_name_carries_date_and_time(project: Path) -> None:
    assert gradcam(["--config", "config.toml", "--method", "gradcam++"]) == 0
    (folder,) = project.glob("gradcam_results_*")
    assert re.fullmatch(r"gradcam_results_\d{8}_\d{6}", folder.name)
    assert (folder / "val_00000_gradcamplusplus_visualization.png").exists()


def test_several_samples_count_samples_and_end_with_a_summary(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--config",
        "config.toml",
        "--mode",
        "batch",
        "--num_samples",
        "3",
        "--save_dir",
        "out",
        "--method",
        "both",
    ]
    assert gradcam(words) == 0
    assert {path.name for path in (project / "out").glob("*.png")} == {
        *(f"val_0000{number}_comparison.png" for number in range(3)),
        "summary_visualization.png",
        "summary_visualization_gradcampp.png",
    }
    assert re.search(r"accuracy: \d of 3", capsys.readouterr().out)


def test_a_session_over_all_splits(project: Path) -> None:
    words = ["--config", "config.toml", "--dataset", "all", "--max_samples", "2", "--output_dir", "CAMVis"]
    assert gradcam(words) == 0
    (session,) = (project / "CAMVis").glob("session_*")
    told = json.loads((session / "reports" / "overall_statistics.json").read_text())
    assert {split: found["samples_processed"] for split, found in told["splits"].items()} == {
        "train": 2, "val": 2, "test": 2,
    }  # fmt: skip
    assert told["model_info"]["backbone"] == "test_efficientnet"
    assert told["config_used"] == "config.toml"
    assert (session / "heatmaps/train/class_0_normal/train_00000/train_00000_metadata.json").exists()
    assert len(list((session / "visualizations").rglob("*_combined.png"))) == 6


def test_a_session_in_a_named_folder_has_no_time_stamp(project: Path) -> None:
    assert gradcam(["--config", "config.toml", "--dataset", "test", "--max_samples", "1", "--save_dir", "mine"]) == 0
    assert {path.name for path in (project / "mine").iterdir()} == {
        "heatmaps", "visualizations", "reports", "summaries",
    }  # fmt: skip


def test_a_record_that_cannot_be_read_fails_alone_and_the_exit_code_says_so(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_retina(MadeRetina(32, {"val": 4}), project / "eyes")
    (project / "eyes/ga/val/Early/val_00001.png").write_bytes(b"no picture")
    (project / "own.toml").write_text(CONFIG.format(data="eyes"))
    words = ["--config", "own.toml", "--checkpoint", "logs/eyes/epoch=0-step=1.ckpt", "--dataset", "val"]
    assert gradcam([*words, "--save_dir", "out"]) == 1
    told = json.loads((project / "out/reports/overall_statistics.json").read_text())
    assert (told["overall"]["total_samples_processed"], told["overall"]["total_samples_failed"]) == (3, 1)
    assert "val_00001" in told["splits"]["val"]["failures"][0]["sample_id"]
    assert "failed: val/" in capsys.readouterr().err


def test_the_drawn_input_is_the_picture_that_was_made(project: Path) -> None:
    assert gradcam(["--config", "config.toml", "--save_dir", "out", "--scaling", "each"]) == 0
    eyes = MadeRetina(32, {"train": 4, "val": 5, "test": 4})
    position = next(i for i, ref in enumerate(eyes.index()) if ref.record_id == "val_00000")
    grey = np.rint(eyes.eye(position).images["mnv"] * 255).astype(np.uint8)
    with Image.open(project / "out/val_00000_gradcam_visualization.png") as image:
        page = np.asarray(image)
    column = np.asarray(Image.fromarray(np.stack([grey] * 3, -1)).resize((224, 224), Image.Resampling.LANCZOS))
    rows = [row for row in range(len(page) - 224) if np.array_equal(page[row : row + 224, 24 : 24 + 224], column)]
    assert len(rows) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--sample_idx", "5"], "SW-F126] Sample index 5 not found: the split val has 5 samples"),
        (["--sample_idx", "-1"], "SW-F126] Sample index -1 not found"),
        (["--dataset", "all", "--mode", "batch"], "SW-F127"),
        (["--mode", "batch", "--num_samples", "0"], "SW-F125"),
        (["--checkpoint", "none.ckpt"], "none.ckpt"),
    ],
)
def test_what_cannot_be_done_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    before = files(project)
    assert gradcam(["--config", "config.toml", *words]) == 2
    assert told in capsys.readouterr().err
    assert files(project) == before


def test_missing_checkpoints_and_splits_are_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "empty.toml").write_text(CONFIG.format(data="").replace("val = 5", "val = 0"))
    assert gradcam(["--config", "empty.toml"]) == 2
    assert "[SW-F128] the split val has no records" in capsys.readouterr().err
    (project / "new.toml").write_text(CONFIG.format(data="").replace('"eyes"', '"new"'))
    assert gradcam(["--config", "new.toml"]) == 2
    assert "Checkpoint directory not found: logs/new" in capsys.readouterr().err


def test_the_words_and_defaults_of_the_guide() -> None:
    asked = parser().parse_args([])
    assert (asked.sample_idx, asked.num_samples, asked.method, asked.n_samples, asked.noise_level) == (
        0, 5, "gradcam", 50, 0.15,
    )  # fmt: skip
    assert (asked.dataset, asked.max_samples, asked.save_dir, str(asked.output_dir)) == (None, None, None, "CAMVis")


@pytest.mark.parametrize("method", ["gradcam--", "Grad-CAM"])
def test_another_method_is_refused_by_the_parser(method: str, capsys: pytest.CaptureFixture[str]) -> None:

    with pytest.raises(SystemExit) as caught:
        gradcam(["--method", method])
    assert caught.value.code == 2
    assert "invalid choice" in capsys.readouterr().err


def test_notes_on_the_model_are_printed(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seewhy.models.adapter.notes_on", lambda *_: ("probabilities are explained",))
    assert gradcam(["--config", "config.toml", "--save_dir", "out"]) == 0
    assert "  note: probabilities are explained\n" in capsys.readouterr().out
    assert gradcam(["--config", "config.toml", "--dataset", "val", "--save_dir", "whole"]) == 0
    assert capsys.readouterr().out.count("probabilities are explained") == 1


@pytest.mark.parametrize("module", ["seewhy.cli.main", "seewhy.cli.gradcam"])
def test_a_command_run_as_a_module_reads_its_words(module: str) -> None:
    found_as_here = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", module, "--no-such-word"], capture_output=True, text=True, check=False, env=found_as_here
    )
    assert done.returncode == 2
    assert "usage:" in done.stderr


@pytest.mark.parametrize("shares", [{}, {"gradcam": {}, "gradcam++": {}}])
def test_where_no_share_is_told_the_note_stands_alone(
    shares: dict[str, dict[str, float]], capsys: pytest.CaptureFixture[str]
) -> None:
    _say({"sample_id": "a", "true_class": None, "pred_class": 1, "confidence": 0.5, "shares": shares,
          "notes": ["one layer sees both"], "error": ""}, ["no", "yes"])  # fmt: skip
    assert capsys.readouterr().out == "a: predicted yes (50.0%)\n  note: one layer sees both\n"
