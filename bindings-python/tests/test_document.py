"""What the README and the examples tell a user to run does what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import haltline

ROOT = Path(__file__).parents[2]


def blocks() -> list[str]:
    """The Python programs of the README."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_program_of_the_readme_runs_and_prints_what_it_did(tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    make = folder / "make"
    make.write_text('#!/bin/sh\n[ "$*" = all ]\n')
    make.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", blocks()[0]],
        cwd=tmp_path,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == "sword\n0 None None\n"
    assert haltline.Incident.read_file(tmp_path / "incidents.jsonl") == []


def test_the_web_view_of_the_readme_answers_a_cancellation(supervisor):
    def harvest() -> str:
        if ill:
            haltline.current_task().cancel("too much")
        haltline.check()
        return "wheat"

    names = {"haltline": haltline, "supervisor": supervisor, "harvest": harvest}
    exec(blocks()[1], names)
    ill = False
    assert names["view"]() == "wheat"
    ill = True
    assert names["view"]() == ("stop requested: too much", 503)


def test_the_example_shows_every_kind_of_task(run_python):
    done = run_python((ROOT / "examples" / "python" / "macro_host.py").read_text())
    assert (done.stderr, done.returncode) == ("", 0)
    # The handler has a thread of its own, and `print` writes the end of a line by itself.
    released = "farm: keys released (stopped)"
    assert released in done.stdout
    lines = [line for line in done.stdout.replace(released, "").splitlines() if line]
    assert lines[0] == "harvest: done"
    assert lines[1].startswith("farm: max_duration: 0.5")
    assert lines[2] == "craft: made 3"
    # It is seen before or after it has become what it starts.
    assert re.fullmatch(r"loot: looted, left behind: \['(sh|setsid|sleep)'\]", lines[3])
    assert re.fullmatch(r"nap: stopped, exit status -\d+", lines[4])
    assert len(lines[5:]) == 2
    assert all(line.startswith("incident: ") for line in lines[5:])
