from __future__ import annotations

import os
import socket
import time

import pytest
from conftest import until

import haltline


@pytest.fixture
def monitor():
    made = haltline.Monitor(interval=0.02, history=100)
    yield made
    made.stop()


def test_samples_are_readable(monitor):
    until(lambda: "cpu" in (monitor.latest() or {}))
    sample = monitor.latest()
    assert 0 <= sample["cpu"]["percent"] <= 100
    assert sample["cpu"]["capacity"] > 0
    assert 0 < sample["memory"]["percent"] <= 100
    assert sample["process"]["memory_bytes"] > 1 << 20
    assert abs(sample["wall"] - time.time()) < 60
    assert isinstance(sample["cpu"]["busy"], float)
    moments = [s["at"] for s in monitor.recent(3)]
    assert moments == sorted(moments)
    assert monitor.recent(0) == []


def test_a_summary_covers_a_window(monitor):
    until(lambda: monitor.summary("memory_percent", "1m"))
    summary = monitor.summary("memory_percent", 60)
    assert summary["min"] <= summary["p50"] <= summary["max"]
    assert summary["count"] >= 1
    assert monitor.summary("gauge.nobody", 60) is None
    with pytest.raises(haltline.InvalidArgumentError, match="memory_percent"):
        monitor.summary("memory", 60)


def test_signals_that_the_host_feeds_are_in_the_next_sample(monitor):
    monitor.stop()
    for _ in range(3):
        monitor.frame()
    monitor.latency(0.25)
    monitor.response("1s")
    monitor.gauge("mana", 42.0)
    signals = monitor.sample_now()["signals"]
    assert signals["latency_ms"] == pytest.approx(250)
    assert signals["response_ms"] == pytest.approx(1000)
    assert signals["gauges"] == {"mana": 42.0}
    monitor.pause()
    assert "fps" not in monitor.sample_now()["signals"]
    monitor.resume()
    assert monitor.latest() is not None


def test_blocks_and_functions_can_be_timed(monitor):
    monitor.stop()
    with monitor.time():
        time.sleep(0.02)
    assert monitor.sample_now()["signals"]["response_ms"] >= 20

    @monitor.time()
    def slow(x):
        """Slow."""
        time.sleep(0.03)
        return x

    assert slow(5) == 5
    assert slow.__doc__ == "Slow."
    assert monitor.sample_now()["signals"]["response_ms"] >= 30
    with pytest.raises(KeyError), monitor.time():
        raise KeyError
    assert "response_ms" in monitor.sample_now()["signals"]


def test_a_supervisor_decides_by_the_monitor_it_is_given():
    monitor = haltline.Monitor(interval=0.02)
    slow = haltline.Profile("slow", host={"max_latency_ms": 100}, sustain=0, grace=0.1, blame="any")
    with haltline.Supervisor(monitor=monitor, profiles=[slow]) as supervisor:
        assert supervisor.monitor.interval == pytest.approx(0.02)
        with supervisor.start("raid", "slow") as task, pytest.raises(haltline.Cancelled) as caught:
            while True:
                supervisor.monitor.latency(0.5)
                task.sleep(0.01)
        assert caught.value.cause["limit"] == "host.max_latency_ms"
        assert caught.value.cause["observed"] == pytest.approx(500)
    monitor.stop()


def test_the_top_processes_are_named(monitor):
    top = monitor.top_processes(3)
    assert 1 <= len(top) <= 3
    assert all(p["pid"] > 0 and p["name"] for p in top)


def test_a_stopped_monitor_stays_readable(monitor):
    until(lambda: monitor.latest())
    assert monitor.is_running
    monitor.stop()
    monitor.stop()
    assert not monitor.is_running
    assert monitor.latest() is not None
    assert isinstance(monitor.degraded(), list)


@pytest.mark.parametrize("interval", [0, -1, float("nan"), "1ns", 1e9])
def test_intervals_out_of_range_are_refused(interval):
    with pytest.raises(haltline.InvalidArgumentError):
        haltline.Monitor(interval=interval)


def test_bad_signals_are_refused(monitor):
    for value in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="seconds"):
            monitor.latency(value)
    for signal in (monitor.latency, monitor.response):
        with pytest.raises(haltline.InvalidArgumentError, match=r'5000 is more than an hour; .* "5000ms"'):
            signal(5000)
    with pytest.raises(ValueError, match="mana"):
        monitor.gauge("mana", float("nan"))
    with pytest.raises(TypeError):
        monitor.gauge("mana", "full")
    for asked in (monitor.recent, monitor.top_processes, monitor.top_processes_by_memory):
        for wrong in (-1, 10**30):
            with pytest.raises(haltline.InvalidArgumentError, match=f"count: {wrong} is out of range"):
                asked(wrong)
        with pytest.raises(TypeError, match="count: expected a whole number, not str"):
            asked("ten")
    for history in (10**9, -1):
        with pytest.raises(haltline.InvalidArgumentError, match="history"):
            haltline.Monitor(history=history)
    with pytest.raises(haltline.InvalidArgumentError, match="bound: -1 is out of range"):
        monitor.subscribe(">", bound=-1)


def test_only_the_sources_that_were_chosen_are_read(tmp_path):
    monitor = haltline.Monitor(sources=["memory"])
    monitor.stop()
    sample = monitor.sample_now()
    assert "memory" in sample
    assert not {"cpu", "network", "process"} & set(sample)
    monitor = haltline.Monitor(sources=[])
    monitor.stop()
    assert set(monitor.sample_now()) == {"at", "wall", "signals"}
    monitor = haltline.Monitor(sources=["memory"], proc_root=tmp_path, cgroup_root=tmp_path)
    monitor.stop()
    assert "memory" not in monitor.sample_now()
    (degraded,) = monitor.degraded()
    assert degraded["source"] == "memory"
    assert degraded["reason"]
    with pytest.raises(ValueError, match="open_files"):
        haltline.Monitor(sources=["files"])
    with pytest.raises(TypeError, match="sources"):
        haltline.Monitor(sources="memory")


def test_a_probe_feeds_latencies_and_says_when_it_fails():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monitor = haltline.Monitor(0.02, sources=["probe"], probe=(f"127.0.0.1:{port}", "10ms", 2))
        until(lambda: monitor.summary("latency_ms", 60))
        assert monitor.summary("latency_ms", 60)["max"] < 2000
    until(lambda: [d["source"] for d in monitor.degraded()] == ["probe"])
    monitor.stop()
    with pytest.raises(ValueError, match="host:port"):
        haltline.Monitor(probe=("nowhere", 1, 1))
    with pytest.raises(ValueError, match="timeout"):
        haltline.Monitor(probe=("localhost:1", 1, 0))
    with pytest.raises(TypeError, match="probe"):
        haltline.Monitor(probe="localhost:1")


def test_the_samples_of_a_window_are_listed(monitor):
    monitor.stop()
    for mana in range(3):
        monitor.gauge("mana", mana)
        monitor.sample_now()
    assert [s["signals"]["gauges"]["mana"] for s in monitor.window("1h")[-3:]] == [0, 1, 2]
    assert len(monitor.window(0)) == 1


def test_a_gauge_can_be_cleared(monitor):
    monitor.stop()
    monitor.gauge("mana", 1)
    assert monitor.clear_gauge("mana")
    assert not monitor.clear_gauge("mana")
    assert "gauges" not in monitor.sample_now()["signals"]


def test_frames_are_told_at_once():
    monitor = haltline.Monitor(sources=[], stall_after="1ms")
    assert (monitor.fps(), monitor.frame_times(), monitor.stalled(), monitor.is_paused) == (
        None,
        None,
        None,
        False,
    )
    for _ in range(3):
        monitor.frame()
        time.sleep(0.005)
    assert 0 < monitor.fps() <= 400
    assert 5 <= monitor.frame_times()["p50_ms"] <= monitor.frame_times()["max_ms"]
    assert monitor.stalled() >= 0.005
    monitor.pause()
    assert (monitor.fps(), monitor.stalled(), monitor.is_paused) == (None, None, True)
    monitor.resume()
    assert not monitor.is_paused


def test_the_largest_processes_are_named(monitor):
    top = monitor.top_processes_by_memory(3)
    sizes = [p["memory_bytes"] for p in top]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 1 << 20


def test_a_monitor_can_be_watched_without_a_supervisor(monitor):
    with monitor.subscribe("monitor.sample", bound=1) as events:
        assert events.get(20).topic == "monitor.sample"


def test_two_process_tables_tell_who_used_most_in_between():
    before = haltline.ProcessTable()
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    after = haltline.ProcessTable()
    assert len(before) >= 1
    mine = [p for p in after.by_cpu(before, len(after)) if p["pid"] == os.getpid()]
    assert mine[0]["cpu_percent"] > 5
    assert len(after.by_memory(1)) == 1
    with pytest.raises(TypeError):
        after.by_cpu(None, 1)


def test_a_timed_block_of_more_than_an_hour_counts_as_an_hour(monitor, monkeypatch):
    clock = iter([0.0, 5000.0])
    monkeypatch.setattr("haltline._decorator.perf_counter", lambda: next(clock))
    with monitor.time():
        pass
    assert monitor.sample_now()["signals"]["response_ms"] == pytest.approx(3_600_000)
