"""What settings and addresses show to be impossible is refused before torch is loaded; files with their lines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Command

MINE = "experiment=embeddings/my_experiment ckpt_path=path/to/model.ckpt"
EARLY = """\
import contextlib, io, json, sys
from seewhy.cli.generate import generate_artifacts
ended = []
for words in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = generate_artifacts(words.split())
    ended.append((code, said.getvalue(), "torch" in sys.modules))
print(json.dumps(ended))
"""
REFUSED = {
    f"{MINE} render=some": "SW-F330",
    f"{MINE} runner=spark": "SW-Y07",
    f"{MINE} ray.workers=2": "SW-Y11",
    f"{MINE} shard=3": "SW-S41",
    f"{MINE} shard=2/2": "SW-S41",
    f"{MINE} shard=0/3 output_dir=halves": "SW-S43",
    f"{MINE} output_dir=halves": "SW-S44",
    f"{MINE} output_dir=path": "SW-S09",
    f"{MINE} output_dir=s4://bucket/run": "SW-S50",
    f"-m {MINE} output_dir=s4://bucket/run": "SW-S50",
    f"{MINE} data=image_folder data.root=s4://bucket/set": "SW-D140",
    f"{MINE} data=image_folder data.root=gs://bucket/set": "SW-D141",
    "experiment=embeddings/my_experiment ckpt_path=s4://bucket/last.ckpt": "SW-C50",
}


def test_what_needs_no_torch_is_refused_before_it_is_loaded(project: Path) -> None:
    (project / "halves/parts/0-of-2").mkdir(parents=True)
    words = [sys.executable, "-c", EARLY, json.dumps(list(REFUSED))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    ended = dict(zip(REFUSED, json.loads(done.stdout), strict=True))
    assert {line: (2, REFUSED[line], False) for line in REFUSED} == {
        line: (code, said.partition("[")[2].partition("]")[0], torch) for line, (code, said, torch) in ended.items()
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"model:\n  name: [a\nb: 1\n", "mine.yaml, line 3, column 2: expected ',' or ']'"),
        (b"model:\n\tname: a\n", "mine.yaml, line 2, column 1: found character"),
        (b"seed: 1\nseed: 2\n", "mine.yaml, line 2, column 1: found duplicate key seed"),
        (b"seed: 1\x00\n", "mine.yaml: unacceptable character"),
        ("# \xe9".encode("latin-1"), "mine.yaml: it is no text in UTF-8"),
        (b"seed: ${a\n", "mine.yaml: "),
        (b"- a\n", "mine.yaml: it is a list"),
        (b"defaults: timm\n", "mine.yaml: defaults must be a list, got 'timm'"),
        (b"defaults:\n  - model: 3\n", "mine.yaml: an entry of defaults must be GROUP: OPTION, got {'model': 3}"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_line(
    project: Path, command: Command, content: bytes, said: str
) -> None:
    (project / "configs/experiment/mine.yaml").write_bytes(content)
    ended = command("experiment=mine ckpt_path=path/to/model.ckpt")
    assert (ended.code, "Traceback" in ended.err) == (2, False)
    assert f"[SW-F32] {project}/configs/experiment/{said}" in ended.err
    assert "fix: " in ended.err


def test_defaults_as_hydra_allows_them(project: Path, command: Command) -> None:
    lines = ("defaults:", "  - _self_", "  - model: timm", "  - override /data: manifest", "  - optional paths: null")
    (project / "configs/experiment/mine.yaml").write_text("\n".join(lines))
    ended = command("experiment=mine --cfg job")
    assert (ended.code, "kind: timm" in ended.out) == (0, True), ended.err


@pytest.mark.parametrize("words", [f"-m {MINE} seed=1,2 --cfg job", f"{MINE} --multirun --info=config", "-r -m"])
def test_two_tasks_of_hydra_are_refused(project: Path, command: Command, words: str) -> None:
    ended = command(words)
    assert (ended.code, "[SW-F33] " in ended.err, "cannot be asked together" in ended.err) == (2, True, True)


def test_the_example_for_submitit_names_the_launcher_to_install(project: Path, command: Command) -> None:
    example = Path(__file__).parents[2] / "examples/scheduler/parts_submitit.yaml"
    text = example.read_text().replace(": submitit_slurm", ": not_installed_here")
    (project / "configs/experiment/parts.yaml").write_text(text)
    ended = command("-m experiment=parts")
    assert ended.code == 2
    assert "[SW-F29] no plugin of Hydra that is installed here has hydra/launcher/not_installed_here" in ended.err
    assert "pip install hydra-submitit-launcher" in ended.err
    settings = text[text.index("  launcher:") : text.index("  sweeper:")]
    (project / "configs/experiment/parts.yaml").write_text(
        text.replace(settings, "").replace(": not_installed_here", ": basic")
    )
    shown = command("experiment=parts --cfg all").out
    assert "shard: 0/8,1/8,2/8,3/8,4/8,5/8,6/8,7/8" in shown
    assert "BasicLauncher" in shown
