from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import until

import haltline

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are supervised on Linux only")


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_a_command_runs_and_its_output_is_captured(supervisor):
    done = supervisor.run(["sh", "-c", "echo out; echo err >&2; exit 3"], "craft", capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert (done.cancelled, done.outcome, done.leftovers, done.dropped) == (None, None, [], 0)
    assert done.args[0] == "sh"


def test_text_and_input_pass_through(supervisor):
    done = supervisor.run(["cat"], "craft", capture_output=True, text=True, input="größe\r\n")
    assert done.stdout == "größe\n"
    done = supervisor.run(["cat"], "craft", capture_output=True, input=bytearray(b"\0\xff"))
    assert done.stdout == b"\0\xff"
    with pytest.raises(UnicodeDecodeError):
        supervisor.run(["printf", "\\377"], "craft", capture_output=True, text=True)
    with pytest.raises(TypeError, match="text=True"):
        supervisor.run(["cat"], "craft", input="text")


def test_a_command_that_kills_its_guardian_is_cancelled_for_it(supervisor):
    done = supervisor.run(["/bin/sh", "-c", "sleep 0.2; kill -KILL $PPID; sleep 1000"], "craft")
    assert done.cancelled is not None
    assert done.cancelled == {"kind": "guardian_killed", "message": "its guardian was killed"}
    # Proved only where a cgroup held it.
    assert done.outcome in ("killed", "still_running")
    incident = supervisor.incidents(1)[0]
    assert incident.cause == done.cancelled
    assert incident.to_dict().get("unproved", False) == (done.outcome == "still_running")


def test_streams_are_inherited_unless_captured(supervisor, capfd):
    done = supervisor.run(["echo", "seen"], "craft")
    assert (done.stdout, done.stderr) == (None, None)
    assert capfd.readouterr().out == "seen\n"


def test_arguments_may_be_text_bytes_or_paths(supervisor, tmp_path):
    odd = os.fsdecode(b"\xff\xfe")
    done = supervisor.run(["printf", b"%s,%s,%s", b"\xff", odd, tmp_path], "craft", capture_output=True)
    assert done.stdout == b"\xff,\xff\xfe," + os.fsencode(tmp_path)


def test_folder_and_environment_are_the_ones_given(supervisor, tmp_path):
    done = supervisor.run(
        ["/bin/sh", "-c", "pwd; echo $ONE; echo ${HOME-none}"],
        "craft",
        cwd=tmp_path,
        env={"ONE": "ü", b"TWO": b"2"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [str(tmp_path), "ü", "none"]


def test_a_signal_is_a_negative_return_code(supervisor):
    assert supervisor.run(["sh", "-c", "kill -9 $$"], "craft").returncode == -signal.SIGKILL


def test_check_raises_as_subprocess_does(supervisor):
    with pytest.raises(subprocess.CalledProcessError) as caught:
        supervisor.run(["sh", "-c", "echo gold; exit 4"], "craft", capture_output=True, check=True)
    assert (caught.value.returncode, caught.value.stdout) == (4, b"gold\n")
    assert caught.value.__cause__ is None
    assert supervisor.run(["true"], "craft", check=True).returncode == 0


def test_a_cancelled_command_says_so_and_raises_only_when_checked(supervisor):
    done = supervisor.run(["sleep", "60"], "quick", capture_output=True)
    assert done.cancelled["limit"] == "max_duration"
    assert done.outcome in ("stopped", "killed")
    assert done.returncode == -signal.SIGTERM
    with pytest.raises(subprocess.CalledProcessError) as caught:
        done.check_returncode()
    assert isinstance(caught.value.__cause__, haltline.Cancelled)
    assert caught.value.__cause__.task_id == done.task_id


def test_a_command_that_ignores_the_request_is_killed(supervisor):
    done = supervisor.run(["sh", "-c", "trap '' TERM; while :; do sleep 0.01; done"], "quick")
    assert done.outcome == "killed"
    incident = supervisor.incidents()[0]
    assert incident.task["command"][0] == "sh"
    assert incident.forced_after_ms >= 90


def test_a_timeout_stops_the_tree_and_raises_as_subprocess_does(supervisor):
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        supervisor.run(["sh", "-c", "echo $$; sleep 60"], "craft", capture_output=True, timeout=0.3)
    assert gone(int(caught.value.output))
    assert caught.value.timeout == 0.3
    assert supervisor.active() == []


def test_processes_left_behind_are_stopped_and_named(supervisor):
    script = "setsid sh -c 'sleep 60' >/dev/null 2>&1 & echo started"
    done = supervisor.run(["sh", "-c", script], "craft", capture_output=True)
    assert (done.returncode, done.cancelled) == (0, None)
    assert done.leftovers
    assert {name for _, name in done.leftovers} <= {"setsid", "sh", "sleep"}
    assert all(gone(pid) for pid, _ in done.leftovers)


def test_a_command_in_the_background_is_a_task(supervisor):
    process = supervisor.popen(["sleep", "60"], "craft", name="nap")
    assert process.name == "nap"
    assert not gone(process.pid)
    assert process.pid in process.pids
    assert supervisor.active()[0]["executor"] == "process"
    with pytest.raises(haltline.TimedOutError):
        process.wait(0.05)
    for wrong in [0, -1, -9, 999, 2**31 - 1]:
        with pytest.raises(haltline.InvalidArgumentError, match=f"^{wrong} is no signal"):
            process.signal(wrong)
    process.signal(signal.SIGINT)
    assert process.wait(20).returncode == -signal.SIGINT
    assert process.is_finished
    assert process.wait(0) is process.wait(0)


def test_pipes_of_a_command_are_file_objects(supervisor):
    process = supervisor.popen(
        ["cat"], "craft", stdin=subprocess.PIPE, stdout=haltline.PIPE, stderr=haltline.DEVNULL
    )
    with process.stdin:
        process.stdin.write(b"through\n")
    with process.stdout:
        assert process.stdout.read() == b"through\n"
    assert process.stderr is None
    assert process.wait(20).returncode == 0


def test_a_background_command_is_cancelled_with_its_whole_tree(supervisor):
    seen = []
    process = supervisor.popen(["sh", "-c", "sleep 60 & sleep 60"], "craft")
    process.on_cancel(seen.append)
    until(lambda: len(process.pids) >= 3)
    pids = process.pids
    assert process.cancel("enough")
    assert process.wait_outcome(20) in ("stopped", "killed")
    assert all(gone(pid) for pid in pids)
    until(lambda: seen)


def test_what_cannot_be_run_raises_what_subprocess_users_expect(supervisor, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        supervisor.run(["no-such-program-anywhere"], "craft")
    assert isinstance(caught.value, haltline.CommandNotFoundError)
    assert "no-such-program-anywhere" in str(caught.value)
    plain = tmp_path / "plain"
    plain.write_text("not executable")
    with pytest.raises(PermissionError):
        supervisor.run([plain], "craft")
    assert supervisor.active() == []


def test_hostile_arguments_are_refused(supervisor):
    with pytest.raises(TypeError, match="nothing splits it"):
        supervisor.run("ls -l", "craft")
    with pytest.raises(TypeError, match="list"):
        supervisor.run(3, "craft")
    with pytest.raises(TypeError, match="args"):
        supervisor.run(["echo", 3], "craft")
    with pytest.raises(ValueError, match="empty"):
        supervisor.run([], "craft")
    with pytest.raises(ValueError, match="NUL"):
        supervisor.run(["echo", "a\0b"], "craft")
    with pytest.raises(ValueError, match="NUL"):
        supervisor.run(["echo"], "craft", cwd="/tmp\0")
    with pytest.raises(ValueError, match="env"):
        supervisor.run(["echo"], "craft", env={"A\0": "1"})
    with pytest.raises(haltline.Error):
        supervisor.run(["echo"], "craft", env={"A=B": "1"})
    with pytest.raises(haltline.Error):
        supervisor.run(["echo"], "craft", cwd="/no/such/folder")
    with pytest.raises(ValueError, match="timeout"):
        supervisor.run(["echo"], "craft", timeout=-1)
    with pytest.raises(ValueError, match="stdin"):
        supervisor.popen(["echo"], "craft", stdin=-2)
    with pytest.raises(UnicodeEncodeError):
        supervisor.run(["echo", "\ud800"], "craft")


def test_commands_run_side_by_side(supervisor):
    began = time.monotonic()
    processes = [supervisor.popen(["sleep", "0.3"], "craft") for _ in range(8)]
    assert [p.wait(20).returncode for p in processes] == [0] * 8
    assert time.monotonic() - began < 8 * 0.3


def test_streams_are_given_as_subprocess_takes_them(supervisor, tmp_path):
    script = ["sh", "-c", "echo out; echo err >&2; cat"]
    (tmp_path / "in").write_text("fed\n")
    with open(tmp_path / "in") as fed, open(tmp_path / "out", "wb") as out:
        done = supervisor.run(script, "craft", stdin=fed, stdout=out, stderr=subprocess.STDOUT)
        assert (done.returncode, done.stdout, done.stderr) == (0, None, None)
        out.write(b"after\n")
    assert (tmp_path / "out").read_bytes() == b"out\nerr\nfed\nafter\n"
    done = supervisor.run(
        script, "craft", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert (done.stdout, done.stderr) == (b"out\nerr\n", None)
    done = supervisor.run(
        script, "craft", input="x", stdout=haltline.DEVNULL, stderr=haltline.PIPE, text=True
    )
    assert (done.stdout, done.stderr) == (None, "err\n")
    assert supervisor.run(["cat"], "craft", stdin=subprocess.PIPE, capture_output=True).stdout == b""
    assert (haltline.PIPE, haltline.STDOUT, haltline.DEVNULL) == (
        subprocess.PIPE,
        subprocess.STDOUT,
        subprocess.DEVNULL,
    )


def test_files_keep_the_limit_on_output(supervisor, tmp_path):
    little = haltline.Profile("little", task={"max_output_mib": 1}, grace=0.1)
    with open(tmp_path / "out", "wb") as out:
        done = supervisor.run(["cat", "/dev/zero"], little, stdout=out, stderr=haltline.STDOUT)
    assert done.cancelled["limit"] == "task.max_output_mib"
    assert (tmp_path / "out").stat().st_size >= 1 << 20


def test_a_background_command_takes_descriptors_too(supervisor, tmp_path):
    descriptor = os.open(tmp_path / "out", os.O_CREAT | os.O_WRONLY)
    process = supervisor.popen(["echo", "seen"], "craft", stdout=descriptor, stderr=haltline.STDOUT)
    os.close(descriptor)
    assert process.stdout is None
    assert process.wait(20).returncode == 0
    assert (tmp_path / "out").read_text() == "seen\n"
    process = supervisor.popen(
        ["sh", "-c", "echo a; echo b >&2"], "craft", stdout=haltline.PIPE, stderr=haltline.STDOUT
    )
    with process.stdout as both:
        assert both.read() == b"a\nb\n"
    assert process.stderr is None


def test_streams_that_cannot_be_are_refused(supervisor, tmp_path):
    for wrong in ({"stdout": haltline.STDOUT}, {"stdin": haltline.STDOUT}):
        with pytest.raises(ValueError, match="STDOUT is for stderr only"):
            supervisor.run(["true"], "craft", **wrong)
    with pytest.raises(ValueError, match="capture_output"):
        supervisor.run(["true"], "craft", stdout=haltline.PIPE, capture_output=True)
    with pytest.raises(ValueError, match="input"):
        supervisor.run(["true"], "craft", stdin=haltline.PIPE, input=b"x")
    with pytest.raises(ValueError, match="stderr: the descriptor 54321"):
        supervisor.popen(["true"], "craft", stderr=54321)
    with pytest.raises(ValueError, match="-9 is no stream"):
        supervisor.popen(["true"], "craft", stdout=-9)
    with pytest.raises(TypeError, match="stdout: expected None, PIPE"):
        supervisor.run(["true"], "craft", stdout="file")
    with open(tmp_path / "closed", "w") as closed:
        pass
    with pytest.raises(TypeError, match="stdout"):
        supervisor.run(["true"], "craft", stdout=closed)
    assert supervisor.active() == []


def test_a_command_may_have_a_group_of_its_own(supervisor):
    script = "import os; print(os.getpgrp() == os.getpid())"
    for own in (True, False):
        done = supervisor.run(
            [sys.executable, "-c", script], "craft", own_group=own, capture_output=True, text=True
        )
        assert done.stdout == f"{own}\n"


def test_leftovers_may_be_kept_and_are_supervised(supervisor):
    process = supervisor.popen(
        ["sh", "-c", "sleep 60 & echo $!"],
        "craft",
        stdout=haltline.PIPE,
        keep_leftovers=True,
        without_cgroup=True,
    )
    with process.stdout as out:
        left = int(out.readline())
        until(lambda: process.returncode == 0)
        assert not process.is_finished
        assert not gone(left)
        assert not process.wait_finished(0.01)
        assert process.cancel("enough")
        done = process.wait(20)
    assert (done.returncode, done.outcome) == (0, "stopped")
    assert gone(left)


def test_a_killed_command_has_no_grace(supervisor):
    patient = haltline.Profile("patient", grace=1000)
    process = supervisor.popen(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"], patient, stdout=haltline.PIPE
    )
    with process.stdout as out:
        assert out.readline() == b"ready\n"
    assert process.returncode is None
    assert not gone(process.guardian_pid)
    assert process.guardian_pid not in process.pids
    assert not process.wait_cleared(0.01)
    assert process.cancel("please")
    assert process.wait_outcome(0.2) is None
    assert not process.kill("now")
    assert process.wait_outcome(20) == "killed"
    assert process.wait_cleared(20)
    assert process.returncode == -signal.SIGKILL


def test_what_a_command_used_is_told(supervisor):
    busy = "import time\nwhile time.process_time() < 0.2: pass"
    done = supervisor.run([sys.executable, "-c", busy], "craft")
    assert done.cpu_seconds >= 0.2
    assert done.max_rss_bytes > 1 << 20


def test_counted_output_that_cannot_be_written_is_told(supervisor):
    counted = haltline.Profile("counted", task={"max_output_mib": 5})
    with open("/dev/full", "wb") as full:
        done = supervisor.run(["sh", "-c", "echo hi"], counted, stdout=full)
    assert (done.dropped, done.cancelled) == (3, None)
    assert "No space left on device" in done.output_error
    assert supervisor.run(["true"], counted).output_error is None


def test_a_stopped_command_whose_output_nobody_reads_has_ended(supervisor):
    counted = haltline.Profile("counted", grace=0.2, task={"max_output_mib": 100})
    process = supervisor.popen(["yes"], counted, stdout=haltline.PIPE)
    # As much as a pipe holds: what comes after it can only be dropped.
    until(lambda: supervisor.active()[0].get("output_bytes", 0) >= 65536)
    process.cancel("enough")
    done = process.wait(20)
    assert done.outcome == "stopped"
    assert done.dropped > 0
    assert "not read within 2s" in done.output_error
    process.stdout.close()


def test_a_timeout_does_not_wait_for_a_reader(supervisor):
    counted = haltline.Profile("counted", grace=0.2, task={"max_output_mib": 100})
    reader, writer = os.pipe()
    # More than one pipe holds and less than two: the command itself ends.
    script = "head -c 120000 /dev/zero"
    with pytest.raises(subprocess.TimeoutExpired):
        supervisor.run(["sh", "-c", script], counted, stdout=writer, timeout=0.5)
    process = supervisor.popen(["sh", "-c", script], counted, stdout=haltline.PIPE)
    until(lambda: process.is_finished)
    with pytest.raises(haltline.TimedOutError, match="has ended, but not all its output was read"):
        process.wait(0.05)
    with process.stdout:
        assert len(process.stdout.read()) == 120000
    assert process.wait(20).dropped == 0
    os.close(reader)
    os.close(writer)
