"""The interpreter ends in order whatever still runs: status 0 and nothing on standard error."""

from __future__ import annotations

import json
import time

import pytest

ENDINGS = {
    "nothing": "",
    "a supervisor": "s = haltline.Supervisor()",
    "an entered supervisor": "haltline.Supervisor().__enter__()",
    "a monitor": "m = haltline.Monitor(interval=0.01); time.sleep(0.05)",
    "a task in a global": "s = haltline.Supervisor(); t = s.start('t', 'attack'); t.__enter__()",
    "a thread that polls": """
s = haltline.Supervisor()
def polls():
    while True:
        haltline.check()
        time.sleep(0.001)
t = [s.thread(polls, 'dance') for _ in range(8)]
time.sleep(0.1)
""",
    "a thread that sleeps in its task": """
s = haltline.Supervisor()
t = s.thread(lambda: haltline.current_task().sleep(600), 'dance')
""",
    "a thread in pure Python that never leaves": """
s = haltline.Supervisor()
def deaf():
    n = 0
    while True:
        n += 1
t = s.thread(deaf, 'dance')
time.sleep(0.1)
""",
    "a thread asleep that never leaves": """
s = haltline.Supervisor()
t = s.thread(time.sleep, 'dance', (600,))
time.sleep(0.1)
""",
    "a thread that is about to start": "s = haltline.Supervisor(); t = s.thread(time.sleep, 'dance', (600,))",
    "a thread of Python's own in a wait": """
s = haltline.Supervisor()
e = s.subscribe('>')
t = threading.Thread(target=e.get, daemon=True)
t.start()
time.sleep(0.05)
""",
    "a handler that never returns": """
s = haltline.Supervisor()
t = s.start('t', 'attack')
def deaf(outcome):
    while True:
        pass
t.on_cancel(deaf)
t.cancel()
t.finish()
t.wait_outcome(10)
time.sleep(0.1)
""",
    "a handler that runs": """
s = haltline.Supervisor()
t = s.start('t', 'attack')
t.on_cancel(lambda outcome: time.sleep(600))
t.cancel()
t.finish()
t.wait_outcome(10)
""",
    "a handler to come": """
s = haltline.Supervisor()
t = s.start('t', 'attack')
t.on_cancel(lambda outcome: print('never', file=sys.stderr))
""",
    "a handler for which there is no thread": """
s = haltline.Supervisor()
t = s.start('t', 'attack')
t.on_cancel(lambda outcome: print('never', file=sys.stderr))
refused = threading.Event()
def refuse(thread):
    refused.set()
    raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
t.cancel()
t.finish()
refused.wait(10)
""",
    "a stopper for which there is no thread": """
class Job:
    def request(self): print('never', file=sys.stderr)
    def force(self): return True
    def is_gone(self): return False
s = haltline.Supervisor()
t = s.start_with('t', 'attack', Job())
refused = threading.Event()
def refuse(thread):
    refused.set()
    raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
t.cancel()
refused.wait(10)
""",
    "a stopper that was never called": """
class Job:
    def request(self): pass
    def force(self): return True
    def is_gone(self): return True
s = haltline.Supervisor()
t = s.start_with('t', 'dance', Job())
""",
    "a stopper that never returns": """
class Job:
    def request(self):
        print('asked', flush=True)
        while True:
            pass
    def force(self): return True
    def is_gone(self): return False
s = haltline.Supervisor()
t = s.start_with('t', haltline.Profile('p', grace=0.01), Job())
t.cancel()
time.sleep(0.1)
""",
    "a stopper that is asked again and again": """
class Job:
    def request(self): pass
    def force(self): return False
    def is_gone(self): return False
s = haltline.Supervisor(verify=0.1)
t = [s.start_with('t', haltline.Profile('p', grace=0.01), Job()) for _ in range(8)]
s.stop_all()
t[0].wait_outcome(10)
""",
    "a command": "s = haltline.Supervisor(); p = s.popen(['sleep', '600'], 'dance')",
    "an uncollected cycle": """
s = haltline.Supervisor()
t = s.start('t', 'attack')
t.on_cancel(lambda outcome, t=t: t)
l = [t]; l.append(l)
""",
    "callbacks of atexit": """
import atexit
s = haltline.Supervisor()
@atexit.register
def last():
    with s.start('late', 'attack') as task:
        task.check()
""",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_ends_in_order(run_python, ending):
    program = f"import sys, threading, time\nimport haltline\n{ENDINGS[ending]}\n"
    began = time.monotonic()
    done = run_python(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - began < 20


def test_what_a_thread_raised_is_told_at_the_end_if_nobody_joined(run_python):
    done = run_python("""
import haltline
s = haltline.Supervisor()
def farm(task):
    raise KeyError("sword")
t = s.thread(farm, "dance")
t.wait_finished(10)
joined = s.thread(farm, "dance", name="joined")
try:
    joined.join(10)
except KeyError:
    pass
""")
    assert done.returncode == 0
    assert "Exception in thread farm" in done.stderr
    assert done.stderr.count("KeyError: 'sword'") == 1
    assert "in farm" in done.stderr


def test_a_cancellation_that_nobody_catches_ends_the_program_with_a_traceback(run_python):
    done = run_python("""
import haltline
with haltline.Supervisor() as s, s.start("farm", haltline.Profile("p", max_duration=0.02)) as task:
    task.sleep(60)
""")
    assert done.returncode == 1
    assert 'haltline.Cancelled: task 1 "farm" was cancelled: max_duration' in done.stderr


def test_what_ran_at_the_end_is_in_the_incident_file(run_python, tmp_path):
    path = tmp_path / "incidents.jsonl"
    done = run_python(
        """
import sys, haltline
s = haltline.Supervisor(incident_file=sys.argv[1])
t = s.thread(lambda: haltline.current_task().sleep(600), "dance", name="late")
""",
        str(path),
    )
    assert (done.returncode, done.stderr) == (0, "")
    incidents = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(i["task"]["name"], i["outcome"]) for i in incidents] == [("late", "stopped")]


def test_a_command_does_not_outlive_its_interpreter(run_python):
    done = run_python("""
import haltline
s = haltline.Supervisor()
p = s.popen(["sleep", "600"], haltline.Profile("p", grace=0.1))
print(p.pid)
""")
    assert (done.returncode, done.stderr) == (0, "")
    from pathlib import Path

    from conftest import until

    until(lambda: not Path(f"/proc/{int(done.stdout)}").exists())
