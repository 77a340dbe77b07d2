"""Ctrl-C ends every wait."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, pty, sys, termios, threading, time
import haltline

supervisor = haltline.Supervisor()
task = supervisor.start("waits", haltline.Profile("patient", grace=1000))

def flush():
    # A terminal that takes no output stands for a disk that does not answer.
    _, terminal = pty.openpty()
    termios.tcflow(terminal, termios.TCOOFF)
    stuck = haltline.Supervisor(incident_file=os.ttyname(terminal))
    with stuck.start("ill", "dance") as ill:
        ill.cancel()
    ill.wait_outcome(60)
    try:
        stuck.flush(60)
    finally:
        termios.tcflow(terminal, termios.TCOON)

def end():
    with supervisor:
        pass

waits = {
    "sleep": lambda: task.sleep(60),
    "outcome": lambda: task.wait_outcome(60),
    "join": lambda: supervisor.thread(threading.Event().wait, "dance", (3,)).join(60),
    "run": lambda: supervisor.run(["sleep", "60"], "dance"),
    "wait": lambda: supervisor.popen(["sleep", "60"], "dance").wait(60),
    "event": lambda: supervisor.subscribe("nothing").get(60),
    "next": lambda: next(supervisor.subscribe("nothing")),
    "forever": lambda: task.wait_outcome(),
    "finished": lambda: task.wait_finished(60),
    "cleared": lambda: supervisor.popen(["sleep", "60"], "dance").wait_cleared(60),
    "shutdown": lambda: supervisor.shutdown(60),
    "flush": flush,
    "end of with": end,
}
print("ready", flush=True)
began = time.monotonic()
try:
    waits[sys.argv[1]]()
except KeyboardInterrupt:
    late = time.monotonic() - began
    left = [t for t in supervisor.active() if t["executor"] == "process" and not t["cancelling"]]
    print("interrupted", len(left), flush=True)
"""


WAITS = [
    "sleep",
    "outcome",
    "join",
    "run",
    "wait",
    "event",
    "next",
    "forever",
    "finished",
    "cleared",
    "shutdown",
    "flush",
    "end of with",
]


@pytest.mark.parametrize("wait", WAITS)
def test_an_interrupt_ends_the_wait(wait):
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", PROGRAM, wait]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        # The program has to get into its wait; too early, the interrupt ends it as well.
        for attempt in range(200):
            try:
                process.wait(0.1)
                break
            except subprocess.TimeoutExpired:
                if attempt == 2:
                    process.send_signal(signal.SIGINT)
        else:
            process.kill()
        # A command that is only waited for goes on; one that is run is stopped.
        left = 1 if wait in ("wait", "cleared") else 0
        assert process.stdout.read() == f"interrupted {left}\n"
        assert process.stderr.read() == ""
        assert process.returncode == 0
