"""What several tests use."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

import haltline


@pytest.fixture
def supervisor() -> Iterator[haltline.Supervisor]:
    with haltline.Supervisor(profiles=[haltline.Profile("quick", grace=0.1, max_duration=0.05)]) as made:
        yield made


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program in an interpreter of its own, with warnings as errors and in development mode."""

    def run(program: str, *args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "-X", "dev", "-c", program, *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run


class NoThread:
    """While it holds, no thread can be started, as where a user has as many as he may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refused: list[str] = []
        self._patch = monkeypatch
        refused = self.refused

        def start(thread: threading.Thread) -> None:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", start)

    def end(self) -> None:
        self._patch.undo()


@pytest.fixture
def no_thread(monkeypatch: pytest.MonkeyPatch) -> NoThread:
    return NoThread(monkeypatch)


def until(seen: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits for what another thread is about to do."""
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)
