"""The parts of a run from the command line: by hand, as a sweep, as a Slurm array's jobs; and their merge."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
from cli_samples import COUNTS, files, rows

from conftest import Command
from memory_store import use_memory
from seewhy.cli.main import seewhy

EXPERIMENT = "experiment=embeddings/my_experiment ckpt_path=path/to/model.ckpt output_dir=out"
SCRIPT = Path(__file__).parents[2] / "examples/scheduler/explain_parts.sbatch"
RECORDS = sum(COUNTS.values())


def computed_in_all(folder: Path) -> int:
    return sum(len(rows(folder, split)) for split in COUNTS)


def test_a_sweep_over_the_parts_and_their_merge_leave_nothing_to_do(
    project: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(f"-m {EXPERIMENT} shard=0/2,1/2").code == 0
    assert {path.name for path in (project / "out/parts").iterdir()} == {"0-of-2", "1-of-2"}
    assert seewhy(["merge", "out", "--remove-parts"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("2 parts: ")
    assert "the 2 parts were deleted" in said.out
    report = f"report: {project}/out/report/index.html"
    assert report in said.err
    assert seewhy(["merge", "out"]) == 0
    said = capsys.readouterr()
    assert "the parts of out were merged before, and deleted" in said.out
    assert report in said.err
    assert computed_in_all(project / "out") == RECORDS
    assert seewhy(["verify", "out"]) == 0
    again = command(EXPERIMENT)
    assert f"0 computed, {RECORDS} reused" in again.err


@pytest.mark.slow
def test_merged_parts_hold_the_files_of_one_job(
    project: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(f"-m {EXPERIMENT} shard=0/2,1/2").code == 0
    assert seewhy(["merge", "out", "--remove-parts"]) == 0
    assert command(EXPERIMENT.replace("output_dir=out", "output_dir=whole")).code == 0
    shards = {name for name in files(project / "out") if name.startswith("shards/")}
    assert files(project / "out") - shards == {
        name for name in files(project / "whole") if not name.startswith("shards/")
    }
    assert seewhy(["merge", "whole"]) == 2
    assert "[SW-S45] whole holds a run that was never in parts" in " ".join(capsys.readouterr().err.split())


def test_auto_is_the_launchers_part(project: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "SW-S42" in command(f"{EXPERIMENT} shard=auto").err
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert command(f"{EXPERIMENT} shard=auto").code == 0
    assert command(f"shard=auto {EXPERIMENT} shard=2/3").code == 0  # as the Slurm script says it: the later word wins
    assert {path.name for path in (project / "out/parts").iterdir()} == {"1-of-3", "2-of-3"}


def test_refusals_have_the_exit_code_of_refusals(
    project: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(f"{EXPERIMENT} shard=2/2").code == 2
    (project / "file").touch()
    for place, said in (("nowhere", "nowhere holds no parts"), ("file", "file is a file")):
        assert seewhy(["merge", place]) == 2
        assert f"[SW-S45] {said}" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("verb", ["merge", "render"])
def test_commands_for_runs_of_this_machine_say_how_to_fetch_one_from_a_store(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert seewhy([verb, "s3://bucket/run"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "[SW-S50] s3://bucket/run lies in a store" in said
    assert "seewhy fetch s3://bucket/run DIR" in said


def test_a_run_in_a_store_is_fetched_whole(
    project: Path, command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_memory(monkeypatch, project / "machine")
    words = EXPERIMENT.replace("output_dir=out", "output_dir=memory://cli-store/run")
    ended = command(f"{words} shard=0/1")
    assert ended.code == 0
    told = "artifacts: memory://cli-store/run/parts/0-of-1\ncopy on this machine: "
    assert f"{told}{(project / 'machine').resolve()}" in ended.err
    assert seewhy(["fetch", "memory://cli-store/run", "here"]) == 0
    assert seewhy(["merge", "here"]) == 0
    assert computed_in_all(project / "here") == RECORDS
    assert {path.name for path in project.iterdir()} == {"configs", "path", "machine", "here"}
    fsspec.filesystem("memory").rm("/cli-store", recursive=True)
    assert seewhy(["fetch", "memory://cli-store/run", "here"]) == 2
    assert "SW-S17" in capsys.readouterr().err


@pytest.mark.slow
def test_the_jobs_of_the_slurm_script_explain_all_records_between_them(project: Path) -> None:
    """The script's own body, with the variables that Slurm sets for each job of an array of two."""
    assert shutil.which("bash")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for number in range(2):
        slurm = {
            "SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MIN": "0",
            "SLURM_ARRAY_TASK_MAX": "1", "SLURM_ARRAY_TASK_STEP": "1", "SLURM_PROCID": "0", "SLURM_NTASKS": "1",
        }  # fmt: skip
        subprocess.run(["bash", str(SCRIPT), *EXPERIMENT.split()], env={**environment, **slurm}, check=True)
    assert seewhy(["merge", "out"]) == 0
    assert computed_in_all(project / "out") == RECORDS
