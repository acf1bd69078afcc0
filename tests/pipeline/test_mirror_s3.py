"""A run in a bucket of a real S3 server: killed anywhere and gone on with; what cannot be used is told early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pipeline_samples import Pictures, conv_net, ids, snapshot

import seewhy
from nobody import nobody
from object_server import SECRET, put, use, without_waiting
from seewhy.pipeline.lease import LEASE
from seewhy.pipeline.remote_output import output_address, require_usable
from seewhy.remote import stores
from seewhy.values import SeewhyError

URL = "s3://bucket/runs/one"
GIVEN = {"generate_attention": False, "target_classes": [0], "batch_size": 2, "shard_size": 2, "generate_report": False}
CHILD = """
import sys
import torch
from pipeline_samples import Pictures, conv_net, ids
from test_mirror_s3 import GIVEN
import seewhy
torch.set_num_threads(1)
seewhy.run(conv_net(), Pictures(ids(7)), sys.argv[1], **GIVEN)
"""


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    use(monkeypatch, server, tmp_path / "machine")
    put("bucket", {"other/file": b"of somebody else"})
    system: Any = stores.file_system("s3")
    if system.exists("bucket/runs"):
        system.rm("bucket/runs", recursive=True)
    return URL


def stored() -> dict[str, bytes]:
    system: Any = stores.file_system("s3")
    found = {name.removeprefix("bucket/runs/one/"): system.cat_file(name) for name in system.find("bucket/runs/one")}
    return {name: data for name, data in found.items() if name != LEASE}


def test_a_bucket_holds_the_files_of_a_run_on_disk(bucket: str, tmp_path: Path) -> None:
    seewhy.run(conv_net(), Pictures(ids(7)), tmp_path / "run", **GIVEN)
    seewhy.run(conv_net(), Pictures(ids(7)), bucket, **GIVEN)
    assert stored() == snapshot(tmp_path / "run")
    assert seewhy.run(conv_net(), Pictures(ids(7)), bucket, **GIVEN).computed == 0


@pytest.mark.slow
@pytest.mark.parametrize("failpoint", ["mirror.shard:1", "mirror.file:4", "shard.committed:3", "mirror.sent:1"])
@pytest.mark.parametrize("machine", ["machine", "another"])
def test_killed_it_goes_on_here_or_elsewhere_with_the_bytes_of_a_run_on_disk(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failpoint: str, machine: str
) -> None:
    here = Path(__file__).parent
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, [Path(seewhy.__file__).parents[1], here, here.parent])),
        "SEEWHY_FAILPOINT": failpoint,
    }
    ended = subprocess.run([sys.executable, "-c", CHILD, bucket], env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    monkeypatch.setenv("SEEWHY_CACHE_DIR", str(tmp_path / machine))
    if machine == "another":
        with pytest.raises(SeewhyError, match="SW-S51"):
            seewhy.run(conv_net(), Pictures(ids(7)), bucket, **GIVEN)
        monkeypatch.setattr("seewhy.pipeline.lease.STALE_SECONDS", 0.0)
    seewhy.run(conv_net(), Pictures(ids(7)), bucket, **GIVEN)
    seewhy.run(conv_net(), Pictures(ids(7)), tmp_path / "run", **GIVEN)
    assert stored() == snapshot(tmp_path / "run")


def refused(url: str) -> SeewhyError:
    address = output_address(url)
    assert address is not None
    with pytest.raises(SeewhyError) as early:
        require_usable(address)
    with pytest.raises(SeewhyError) as refusal:
        seewhy.run(conv_net(), Pictures(ids(2)), url, **GIVEN)
    assert SECRET not in str(early.value) + str(refusal.value)
    assert early.value.code == refusal.value.code
    return early.value


def test_a_bucket_that_is_not_there_is_refused(bucket: str) -> None:
    error = refused("s3://no-such-bucket/run")
    assert error.code == "SW-S52"
    assert "s3://no-such-bucket" in error.message


def test_a_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_waiting(monkeypatch)
    with nobody() as address:
        use(monkeypatch, f"http://{address}", tmp_path / "machine")
        error = refused(URL)
    assert error.code == "SW-S54"
