"""``seewhy serve`` as a process of its own: what it prints, and that it answers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from seewhy.cli.generate import generate_artifacts
from seewhy.cli.main import seewhy
from seewhy.report.connections import listen
from seewhy.report.errors import DashboardError
from seewhy.store.run_directory import RunDirectory
from seewhy.values import RecordRow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served") / "mine"
    with RunDirectory.open(root, {"weights": "9f2c", "seed": 0}) as directory:
        directory.commit("test", [RecordRow("a", "test", 0, label=1, predicted=1, confidence=0.5)], {})
        directory.finish()
    return root


@contextlib.contextmanager
def served(*words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server's first line and its process; it is interrupted as by Ctrl-C."""
    command = [sys.executable, "-m", "seewhy.cli.main", "serve", *words]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )  # fmt: skip
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield line, process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def port_of(line: str) -> int:
    found = re.search(r"http://[^/]+:(\d+)/", line)
    assert found is not None, line
    return int(found[1])


def test_a_run_is_served_and_a_taken_port_passed_over(run: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = taken.getsockname()[1]
        with served(str(run), "--port", str(wanted)) as (line, process):
            port = port_of(line)
            assert wanted < port < wanted + 100
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/runs/0/records", timeout=20) as answer:
                assert (answer.status, b"1 of 1 records" in answer.read()) == (200, True)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
            said = process.stderr.read() if process.stderr else ""
            assert f"port {wanted} is taken, using {port}" in said
            assert "Traceback" not in said


def test_anything_but_loopback_needs_a_token_and_says_so(run: Path) -> None:
    with served(str(run), "--host", "0.0.0.0", "--port", "0") as (line, process):
        token = re.search(r"login#token=(\S{32,})", line)
        assert token is not None
        address = f"http://127.0.0.1:{port_of(line)}/runs/0"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address, timeout=20)
        refused.value.close()
        assert refused.value.code == 401
        request = urllib.request.Request(address, headers={"authorization": f"Bearer {token[1]}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        process.wait(20)
        said = process.stderr.read() if process.stderr else ""
        assert "warning: 0.0.0.0 can be reached from other machines" in said


@pytest.mark.slow
def test_it_ends_at_once_during_a_question(tmp_path: Path) -> None:
    words = "experiment=embeddings/demo splits=[test] data.counts={test:1} generate_attention=false"
    assert generate_artifacts([*words.split(), f"output_dir={tmp_path}"]) == 0
    asked = {"record": {"split": "test", "id": "test_00000"}, "method": "rise"}
    body = json.dumps({**asked, "settings": {"num_masks": 10_000, "chunk_size": 1}}).encode()
    with served(str(tmp_path), "--checkpoint", "demo:cnn", "--port", "0") as (line, process):
        address = f"http://127.0.0.1:{port_of(line)}/live"
        with urllib.request.urlopen(f"{address}/offers", timeout=60) as offers:
            assert offers.status == 200
        with ThreadPoolExecutor(1) as client:
            answer = client.submit(status_of_post, f"{address}/ask", body)
            time.sleep(1.0)
            assert not answer.done()
            process.send_signal(signal.SIGINT)
            assert process.wait(8) == 0
            assert answer.result() == 503
        assert (process.stderr.read() if process.stderr else "") == ""


def status_of_post(address: str, body: bytes) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body), timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.mark.parametrize(
    ("words", "code"),
    [(["--token", "short"], "SW-W09"), (["--port", "70000"], "SW-W08"), (["--port", "-1"], "SW-W08"),
     (["--host", "192.0.2.1", "--port", "0"], "SW-W08"), (["--host", "no such.machine", "--port", "0"], "SW-W08"),
     (["--name", "*", "--port", "0"], "SW-W03")],
)  # fmt: skip
def test_what_cannot_be_served_is_refused(
    run: Path, words: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert seewhy(["serve", str(run), *words]) == 2
    assert f"[{code}]" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert seewhy(["serve", str(tmp_path)]) == 2
    assert "[SW-S17]" in capsys.readouterr().err


def test_ports_are_tried_up_to_a_bound() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(DashboardError) as refused:
        listen("127.0.0.1", taken.getsockname()[1], tries=1)
    assert refused.value.code == "SW-W08"
