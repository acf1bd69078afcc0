"""A dashboard over 100 000 records: start, pages, memory, and 64 clients at 300 requests a second.

- start to first page: from starting the process to the last byte of the first page of the gallery;
- pages: 200 pages of 100 cards, random order, two filters and a page number each, one after the other;
- load: 64 kept connections send 300 requests a second in all, 70 % pictures, 25 % pages, 5 % overviews;
- memory: the server's resident size after the first page, after the pages, and after the load.

Run: ``python benchmarks/dashboard.py [--records 100000] [--seconds 120] [--keep DIR]``, in short with ``--seconds 10``.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from seewhy.store.run_directory import RunDirectory
from seewhy.store.shards import ShardHeader, encode_shard
from seewhy.values import Answer, Geometry, Preview, RecordRow

SHARD = 256
CLASSES = 100
QUESTIONS = {"gradcam@layer4": {"kind": "gradcam", "layer": "layer4", "method": "gradcam", "question": "given classes"}}
SORTS = ("interesting", "position", "id", "confidence", "-confidence", "label", "predicted")


def pictures(count: int = 50) -> list[bytes]:
    """Coarse noise of 224 pixels as JPEG."""
    numbers = np.random.default_rng(0)
    found = []
    for _ in range(count):
        sink = io.BytesIO()
        blocks = numbers.integers(0, 255, (14, 14, 3), dtype=np.uint8)
        Image.fromarray(np.kron(blocks, np.ones((16, 16, 1), np.uint8))).save(sink, "JPEG", quality=80)
        found.append(sink.getvalue())
    return found


def write_run(root: Path, records: int) -> None:
    """A run of one split, as committed by 256 records."""
    numbers, kept = np.random.default_rng(0), pictures()
    fingerprint = {"model": {"name": "resnet50"}, "data": {"kind": "synthetic"}, "seed": 0}
    (root / "shards").mkdir(parents=True)
    for start in range(0, records, SHARD):
        rows = [row(number, numbers, kept) for number in range(start, min(records, start + SHARD))]
        data = encode_shard(rows, ShardHeader("test", QUESTIONS, fingerprint, {"seewhy": "benchmark"}))
        (root / "shards" / f"test-{start // SHARD:05d}.parquet").write_bytes(data)
    with RunDirectory.open(root, fingerprint) as run:
        run.finish()


def row(number: int, numbers: np.random.Generator, kept: Sequence[bytes]) -> RecordRow:
    label = int(numbers.integers(CLASSES))
    maps = numbers.standard_normal((2, 7, 7), np.float32)
    predicted = label if numbers.random() < 0.8 else int(numbers.integers(CLASSES))
    return RecordRow(
        f"folder_{number % 37}/picture_{number:06d}.png", "test", number, revision="r", label=label,
        predicted=predicted,
        confidence=float(numbers.random()), probabilities=numbers.random(CLASSES, np.float32),
        geometry=Geometry.identity((224, 224)),
        answers={"gradcam@layer4": Answer(maps, (label, (label + 1) % CLASSES))},
        previews=(Preview("image", "picture", kept[number % len(kept)]),),
    )  # fmt: skip


def page_address(choose: random.Random) -> str:
    """A page with an order and two filters."""
    words = [f"sort={choose.choice(SORTS)}"]
    words += choose.sample(
        [f"result={choose.choice(['right', 'wrong'])}", f"label={choose.randrange(CLASSES)}",
         f"low={choose.random() / 2:.3f}", f"q=picture_{choose.randrange(100):02d}", "split=test"], 2,
    )  # fmt: skip
    return f"/runs/0/records?{'&'.join(words)}&page={choose.randrange(1, 5)}"


def any_address(choose: random.Random, records: int) -> str:
    drawn = choose.random()
    if drawn < 0.7:
        return f"/runs/0/records/{choose.randrange(records)}/0.jpg"
    return page_address(choose) if drawn < 0.95 else "/runs/0"


class Client:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def get(self, path: str) -> int:
        """The status of an answer, read to its end."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAccept: text/html\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        await self._reader.readexactly(int(length[1]) if length else 0)
        return int(head.split(b" ")[1])

    def close(self) -> None:
        self._writer.close()


async def one_after_the_other(port: int, count: int) -> list[float]:
    client, choose, times = Client(port), random.Random(1), []
    await client.open()
    for _ in range(count):
        start = time.perf_counter()
        if await client.get(page_address(choose)) != 200:
            raise SystemExit("a page was not answered")
        times.append(time.perf_counter() - start)
    client.close()
    return times


async def load(port: int, records: int, clients: int, rate: float, seconds: float) -> tuple[list[float], int]:
    """Times from when each request was due to its end, and how many failed."""
    times: list[float] = []
    wrong = 0

    async def work(place: int) -> None:
        nonlocal wrong
        client, choose = Client(port), random.Random(place)
        await client.open()
        due = time.perf_counter() + choose.random() * clients / rate
        end = time.perf_counter() + seconds
        while due < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            wrong += await client.get(any_address(choose, records)) != 200
            times.append(time.perf_counter() - due)
            due += clients / rate
        client.close()

    await asyncio.gather(*(work(place) for place in range(clients)))
    return times, wrong


def resident(process: int) -> float:
    """The resident size of a process in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")


def started(root: Path) -> tuple[subprocess.Popen[str], int]:
    words = [sys.executable, "-m", "seewhy.cli.main", "serve", str(root), "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline() if process.stdout else ""
    port = re.search(r":(\d+)/", line)
    if port is None:
        raise SystemExit(f"the server did not start: {line}")
    return process, int(port[1])


async def first_page(port: int) -> None:
    client = Client(port)
    await client.open()
    if await client.get("/runs/0/records") != 200:
        raise SystemExit("the first page was not answered")
    client.close()


def say(what: str, times: Sequence[float], bar: str = "") -> None:
    p50, p95, p99 = (1000 * float(np.percentile(times, q)) for q in (50, 95, 99))
    print(f"{what:<44}p50 {p50:8.1f} ms  p95 {p95:8.1f} ms  p99 {p99:8.1f} ms  {bar}", flush=True)


def measure(root: Path, records: int, seconds: float) -> None:
    for attempt in ("cold process", "again"):
        start = time.perf_counter()
        process, port = started(root)
        asyncio.run(first_page(port))
        print(f"start to first page ({attempt}){time.perf_counter() - start:10.2f} s  bar 2 s", flush=True)
        if attempt == "cold process":
            process.terminate()
            process.wait()
    memory = [resident(process.pid)]
    say("pages of 100, an order and two filters", asyncio.run(one_after_the_other(port, 200)), "bar p95 150 ms")
    memory.append(resident(process.pid))
    for part in range(2):
        times, wrong = asyncio.run(load(port, records, 64, 300, seconds / 2))
        say(
            f"64 clients, {len(times) / (seconds / 2):.0f} requests/s, half {part + 1}", times, f"{wrong} errors, bar 0"
        )
        memory.append(resident(process.pid))
    print("resident MB: " + " → ".join(f"{one:.0f}" for one in memory), flush=True)
    process.terminate()
    process.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--keep", type=Path, help="where the run is kept, and found again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = asked.keep or Path(folder) / "run"
        if not (root / "manifest.json").exists():
            write_run(root, asked.records)
        measure(root, asked.records, asked.seconds)


if __name__ == "__main__":
    main()
