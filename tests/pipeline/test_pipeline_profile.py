"""``profile=true``: the stages of a run, how often each ran, and a time line; nothing where nobody asks."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline_samples import Pictures, conv_net, ids

from seewhy.pipeline.run import run
from seewhy.store.verify import verify


def test_every_batch_picture_and_shard_is_counted(tmp_path: Path) -> None:
    """Seven records in batches of two and shards of four: batches 2+2 and 2+1, two shards, seven sheets drawn.

    At the end of each shard the stage asks once more, and hears that there is no other batch.
    """
    summary = run(conv_net(), Pictures(ids(7)), tmp_path, batch_size=2, shard_size=4, profile=True)
    stages = json.loads((tmp_path / "profile/stages.json").read_text())
    counts = {name: facts["count"] for name, facts in stages.items()}
    assert counts == {
        "understand the model": 1,
        "choose sizes": 1,
        "plan": 1,
        "all shards": 1,
        "wait for records": 4 + 2,
        "ask the model": 4,
        "draw and encode": 7,
        "wait for pictures": 2,
        "commit": 2,
        "export": 1,
        "report": 1,
    }
    inner = sum(stages[name]["total"] for name in ("wait for records", "ask the model", "wait for pictures", "commit"))
    assert inner <= stages["all shards"]["total"] <= summary.seconds
    assert summary.profile in (tmp_path / "profile/table.txt").read_text()
    assert all(name in summary.profile for name in counts)
    assert verify(tmp_path) == []


def test_the_time_line_shows_drawing_beside_the_model(tmp_path: Path) -> None:
    run(conv_net(), Pictures(ids(3)), tmp_path, batch_size=1, profile=True)
    events = json.loads((tmp_path / "profile/trace.json").read_text())["traceEvents"]
    threads = {
        name: {event["tid"] for event in events if event["ph"] == "X" and event["name"] == name}
        for name in ("ask the model", "draw and encode")
    }
    assert len(threads["ask the model"]) == 1
    assert threads["ask the model"].isdisjoint(threads["draw and encode"])


def test_a_run_that_nobody_profiles_leaves_no_times(tmp_path: Path) -> None:
    assert run(conv_net(), Pictures(ids(1)), tmp_path).profile == ""
    assert not (tmp_path / "profile").exists()
