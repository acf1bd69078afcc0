"""The profiler's numbers against numbers worked out by hand, with a clock and a gauge that follow a script."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import seewhy
from seewhy.profiling import SILENT, PerformanceProfiler
from seewhy.profiling.climb import Climb, Climbs
from seewhy.profiling.gauges import Resident
from seewhy.profiling.tally import MEGABYTE, Tally
from seewhy.values import ConfigError

SECOND = 10**9


class Scripted:
    """A gauge that shows what it is told, megabytes held and the highest, and counts its resets."""

    name = "memory"

    def __init__(self, resettable: bool = False) -> None:
        self.held = self.peak = 0
        self.resets = 0
        self._resettable = resettable

    def hold(self, megabytes: int) -> None:
        self.held = megabytes * MEGABYTE
        self.peak = max(self.peak, self.held)

    def read(self) -> tuple[int, int]:
        return self.held, self.peak

    def reset(self) -> bool:
        self.resets += 1
        if self._resettable:
            self.peak = self.held
        return self._resettable


def ticking(*seconds: float) -> PerformanceProfiler:
    """A profiler whose clock shows these times, one a look, and which sees no memory."""
    times: Iterator[int] = iter([round(second * SECOND) for second in seconds])
    return PerformanceProfiler(clock=lambda: next(times), gauges=(), synchronise=lambda: None)


def test_counts_and_moments_are_those_of_the_calls() -> None:
    profiler = ticking(0, 1, 10, 13)
    for _ in range(2):
        with profiler.profile("read"):
            pass
    assert profiler.get_stats() == {
        "read": {"count": 2, "total": 4.0, "mean": 2.0, "std": 1.0, "min": 1.0, "max": 3.0, "own": 4.0}
    }


def test_own_time_leaves_out_what_is_nested_once_at_every_depth() -> None:
    profiler = ticking(0, 1, 2, 5, 6, 10)
    with profiler.profile("outer"), profiler.profile("inner"), profiler.profile("inner"):
        pass
    stats = profiler.get_stats()
    assert (stats["outer"]["total"], stats["outer"]["own"]) == (10.0, 5.0)
    assert (stats["inner"]["total"], stats["inner"]["own"]) == (8.0, 5.0)


def test_a_recorded_call_counts_as_any_other() -> None:
    profiler = ticking(5, 6)
    profiler.record("asked", 2.0)
    profiler.record("asked", 4.0)
    assert profiler.get_stats()["asked"]["mean"] == 3.0


def test_a_stage_that_raises_is_counted_and_the_error_passes() -> None:
    profiler = ticking(0, 2)
    with pytest.raises(ValueError, match="bad"), profiler.profile("draw"):
        raise ValueError("bad")
    assert profiler.get_stats()["draw"]["total"] == 2.0


def test_devices_are_waited_for_at_both_ends_and_not_where_a_stage_leaves_them_alone() -> None:
    waits: list[str] = []
    profiler = PerformanceProfiler(synchronise=lambda: waits.append("wait"), gauges=())
    with profiler.profile("model"):
        waits.append("work")
    with profiler.profile("draw", device=False):
        waits.append("draw")
    assert waits == ["wait", "work", "wait", "draw"]


def test_after_an_error_no_device_is_waited_for() -> None:
    waits: list[str] = []
    profiler = PerformanceProfiler(synchronise=lambda: waits.append("wait"), gauges=())
    with pytest.raises(ValueError, match="bad"), profiler.profile("model"):
        raise ValueError("bad")
    assert waits == ["wait"]


def test_a_stage_whose_device_reports_an_error_at_its_end_is_left_and_counted() -> None:
    """CUDA tells of a failed kernel where it is waited for."""
    looks = iter([True, True, False])

    def wait() -> None:
        if not next(looks, True):
            raise RuntimeError("a kernel failed")

    profiler = PerformanceProfiler(synchronise=wait, gauges=(Scripted(),))
    with profiler.profile("outer"):
        with pytest.raises(RuntimeError, match="a kernel failed"), profiler.profile("fails"):
            pass
        with profiler.profile("later", device=False):
            pass
    stats = profiler.get_stats()
    assert [stats[name]["count"] for name in ("outer", "fails", "later")] == [1, 1, 1]
    nested = stats["fails"]["total"] + stats["later"]["total"]
    assert stats["outer"]["own"] == pytest.approx(stats["outer"]["total"] - nested, rel=1e-9)


def test_a_peak_that_rises_is_exact_and_one_below_the_highest_lies_between() -> None:
    gauge = Scripted()
    profiler = PerformanceProfiler(gauges=[gauge])
    gauge.hold(100)
    with profiler.profile("large"):
        gauge.hold(300)
        gauge.hold(120)
    with profiler.profile("small"):
        gauge.hold(200)
        gauge.hold(130)
    stats = profiler.get_stats()
    assert (stats["large"]["peak_memory_mb"], stats["large"]["peak_memory_at_most_mb"]) == (300, 300)
    assert stats["large"]["added_memory_mb"] == 200
    assert (stats["small"]["peak_memory_mb"], stats["small"]["peak_memory_at_most_mb"]) == (130, 300)
    assert gauge.resets == 0
    assert "130–300" in profiler.table()


def test_with_resets_every_peak_is_exact_also_of_stages_around_others() -> None:
    gauge = Scripted(resettable=True)
    profiler = PerformanceProfiler(gauges=[gauge], resets=True)
    gauge.hold(300)
    gauge.hold(100)
    with profiler.profile("outer"):
        gauge.hold(200)
        gauge.hold(100)
        with profiler.profile("inner"):
            gauge.hold(150)
            gauge.hold(100)
    stats = profiler.get_stats()
    peaks = {name: (facts["peak_memory_mb"], facts["peak_memory_at_most_mb"]) for name, facts in stats.items()}
    assert peaks == {"outer": (200, 200), "inner": (150, 150)}


def test_where_resets_are_refused_the_peak_is_given_as_a_range() -> None:
    gauge = Scripted(resettable=False)
    profiler = PerformanceProfiler(gauges=[gauge], resets=True)
    gauge.hold(300)
    gauge.hold(100)
    with profiler.profile("stage"):
        gauge.hold(150)
    facts = profiler.get_stats()["stage"]
    assert (facts["peak_memory_mb"], facts["peak_memory_at_most_mb"]) == (150, 300)


def test_resident_memory_sees_what_a_stage_allocates() -> None:
    if Resident().read() is None or not Resident().reset():
        pytest.skip("Linux alone tells a stage's peak")
    profiler = PerformanceProfiler(resets=True)
    gc.collect()  # what earlier tests left must not be given back meanwhile
    with profiler.profile("allocate"):
        block = bytearray(256 * MEGABYTE)
        block[::4096] = bytes(len(block[::4096]))
        del block
    facts = profiler.get_stats()["allocate"]
    assert facts["peak_memory_at_most_mb"] == facts["peak_memory_mb"] >= 256
    assert facts["added_memory_mb"] > 128


def test_stages_of_several_threads_neither_mix_nor_get_lost() -> None:
    profiler = PerformanceProfiler(gauges=())
    meet = threading.Barrier(4)

    def work() -> None:
        meet.wait()
        for _ in range(50):
            with profiler.profile("outer"), profiler.profile("inner"):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = profiler.get_stats()
    assert (stats["outer"]["count"], stats["inner"]["count"]) == (200, 200)
    assert stats["outer"]["own"] == pytest.approx(stats["outer"]["total"] - stats["inner"]["total"])


def test_the_trace_holds_one_complete_event_for_each_call(tmp_path: Path) -> None:
    profiler = ticking(1, 2, 3, 4)
    with profiler.profile("outer"), profiler.profile("inner"):
        pass
    found = json.loads(profiler.save_trace(tmp_path / "trace.json").read_text("utf-8"))["traceEvents"]
    spans = [(event["name"], event["ts"], event["dur"]) for event in found if event["ph"] == "X"]
    assert spans == [("outer", 0.0, 3e6), ("inner", 1e6, 1e6)]
    assert {event["tid"] for event in found} == {threading.get_ident()}
    assert [event["args"]["name"] for event in found if event["ph"] == "M"] == [threading.current_thread().name]


def test_the_trace_keeps_the_last_calls_and_says_how_many_it_dropped(tmp_path: Path) -> None:
    profiler = PerformanceProfiler(gauges=(), kept_events=2)
    for name in "abc":
        profiler.record(name, 0.5)
    found = json.loads(profiler.save_trace(tmp_path / "trace.json").read_text("utf-8"))
    assert {event["name"] for event in found["traceEvents"] if event["ph"] == "X"} == {"b", "c"}
    assert found["otherData"] == {"events dropped": 1}
    assert profiler.get_stats()["a"]["count"] == 1


def test_stats_of_two_profilers_join_to_those_of_all_calls() -> None:
    seconds = [0.5, 1.0, 4.0, 2.5, 0.25]
    apart = [PerformanceProfiler(gauges=()), PerformanceProfiler(gauges=())]
    together = PerformanceProfiler(gauges=())
    for position, second in enumerate(seconds):
        apart[position % 2].record("read", second)
        together.record("read", second)
    apart[0].merge(apart[1].get_stats())
    assert apart[0].get_stats()["read"] == pytest.approx(together.get_stats()["read"])


def test_the_spread_is_the_populations() -> None:
    tally = Tally()
    values = [0.5, 1.0, 4.0]
    for value in values:
        tally.add(value, value)
    assert tally.std == pytest.approx(float(torch.tensor(values).std(unbiased=False)))


def test_a_disabled_profiler_records_nothing_and_looks_at_nothing() -> None:
    def forbidden() -> int:
        raise AssertionError("looked")

    profiler = PerformanceProfiler(enabled=False, clock=forbidden, synchronise=forbidden)  # type: ignore[arg-type]
    with profiler.profile("a"), profiler.profile("a"):
        profiler.record("b", 1.0)
    profiler.merge({"c": {"count": 1}})
    assert profiler.get_stats() == {}
    assert profiler.table() == "nothing was recorded"
    assert not SILENT.enabled


def test_a_reset_forgets_and_what_is_open_is_counted_when_it_ends() -> None:
    profiler = ticking(0, 1, 2, 3)
    with profiler.profile("open"):
        with profiler.profile("before"):
            pass
        profiler.reset()
    assert set(profiler.get_stats()) == {"open"}


def test_the_table_is_printed_with_the_most_own_time_first(capsys: pytest.CaptureFixture[str]) -> None:
    profiler = seewhy.PerformanceProfiler(gauges=())
    profiler.record("short", 0.5)
    profiler.record("long", 2.0)
    profiler.print_stats()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["stage", "long", "short"]
    assert lines[1].split()[1:4] == ["1", "2.000", "2.000"]


def test_what_no_profiler_can_record_is_refused_and_nothing_is_kept() -> None:
    profiler = PerformanceProfiler()
    for seconds in (float("nan"), float("inf"), -1, "a", True):
        with pytest.raises(ConfigError, match="SW-F334"):
            profiler.record("x", seconds)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="SW-F333"):
        profiler.profile(None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="SW-F333"):
        profiler.record(3, 1.0)  # type: ignore[arg-type]
    profiler.record("good", 1.0)
    good = profiler.get_stats()["good"]
    for wrong in (3, {"x": {"count": 1}}, *({"x": {**good, name: other}} for name, other in WRONG)):
        with pytest.raises(ConfigError, match="SW-F335"):
            profiler.merge(wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="SW-F333"):
        profiler.merge({"good": good, 3: good})  # type: ignore[dict-item]
    assert profiler.get_stats() == {"good": good}
    for kept in (-1, "a", 1.5, None, True):
        with pytest.raises(ConfigError, match="SW-F337"):
            PerformanceProfiler(kept_events=kept)  # type: ignore[arg-type]


WRONG = [("count", 0), ("count", float("nan")), ("total", "a"), ("std", -1.0), ("peak_memory_mb", None), ("own", True)]


def test_a_trace_makes_its_folder_and_says_where_it_cannot_be_written(tmp_path: Path) -> None:
    profiler = PerformanceProfiler(gauges=())
    profiler.record("read", 0.5)
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file" / "trace.json", "", "a\0b", 3, None):
        with pytest.raises(ConfigError, match="SW-F336"):
            profiler.save_trace(place)  # type: ignore[arg-type]
    written = profiler.save_trace(tmp_path / "new" / "trace.json")
    assert [event["name"] for event in json.loads(written.read_text("utf-8"))["traceEvents"]][-1] == "read"


def test_one_stage_object_may_be_entered_while_it_is_open_and_from_several_threads() -> None:
    profiler = PerformanceProfiler(gauges=[Scripted()])
    stage, inside, leave = profiler.profile("one"), threading.Event(), threading.Event()

    def hold() -> None:
        with stage:
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    with stage, stage, profiler.profile("part"):
        pass
    leave.set()
    thread.join()
    counts = {name: facts["count"] for name, facts in profiler.get_stats().items()}
    assert counts == {"one": 3, "part": 1}
    with profiler.profile("after"):
        pass
    assert profiler.get_stats()["after"]["own"] == profiler.get_stats()["after"]["total"]


def test_what_was_added_below_an_earlier_peak_is_within_the_upper_bound() -> None:
    climb = Climb(start=100 * MEGABYTE, peak=100 * MEGABYTE, limit=160 * MEGABYTE)
    climbs = Climbs(Scripted(), resets=False)
    climbs.begin()
    facts = climbs.facts(climb)
    assert (facts["added_memory_mb"], facts["added_memory_at_most_mb"]) == (0.0, 60.0)
