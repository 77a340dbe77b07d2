"""Work that the host runs itself and stops through an object of its own."""

from __future__ import annotations

import threading
import time

import pytest
from conftest import until

import haltline


class Job:
    """Work of the host: it leaves when asked, or only by force, or never."""

    def __init__(self, leaves="request"):
        self.leaves = leaves
        self.calls = []
        self.threads = set()
        self.gone = False

    def _called(self, name):
        self.calls.append(name)
        self.threads.add(threading.current_thread())
        self.gone = self.gone or name == self.leaves

    def request(self):
        self._called("request")

    def force(self):
        self._called("force")
        return self.leaves == "force"

    def is_gone(self):
        self.threads.add(threading.current_thread())
        return self.gone


@pytest.fixture
def hasty():
    """A supervisor that soon gives up looking for the end of work that stays."""
    with haltline.Supervisor(verify=0.1) as made:
        yield made


@pytest.fixture
def brief():
    return haltline.Profile("brief", grace=0.05)


def test_work_that_ends_by_itself_is_never_asked(supervisor):
    job = Job()
    with supervisor.start_with("render", "craft", job) as task:
        assert isinstance(task, haltline.CustomTask)
        assert (task.name, task.is_finished) == ("render", False)
        assert supervisor.active()[0]["executor"] == "custom"
        assert haltline.current_task() is None
    assert task.is_finished
    assert not task.finish()
    assert job.calls == []
    assert supervisor.start_with("render", "craft", job).finish()


def test_a_cancellation_asks_and_sees_the_work_go(supervisor, brief):
    job = Job()
    task = supervisor.start_with("render", brief, job)
    assert task.cancel("enough")
    assert task.wait_outcome(20) == "stopped"
    assert job.calls == ["request"]
    assert task.wait_finished(20)
    assert not task.finish()


def test_work_that_stays_is_forced_after_its_grace(supervisor, brief):
    job = Job(leaves="force")
    task = supervisor.start_with("render", brief, job)
    seen = []
    task.on_cancel(seen.append)
    task.cancel("enough")
    assert task.wait_outcome(20) == "killed"
    assert job.calls == ["request", "force"]
    # All of one stop on one thread, of Python's own.
    (thread,) = job.threads
    assert (type(thread), thread.name, thread.daemon) == (threading.Thread, "haltline stopper", True)
    until(lambda: seen == ["killed"])


def test_a_kill_forces_at_once(supervisor):
    job = Job(leaves="force")
    task = supervisor.start_with("render", haltline.Profile("patient", grace=1000), job)
    assert task.kill("now")
    assert task.wait_outcome(20) == "killed"
    assert supervisor.incidents()[0].cause["reason"] == "now"


def test_work_without_force_is_still_running_until_it_leaves(hasty, brief):
    job = Job(leaves="never")
    task = hasty.start_with("render", brief, job)
    task.cancel("enough")
    assert task.wait_outcome(20) == "still_running"
    assert [t["id"] for t in hasty.active()] == [task.id]
    job.gone = True
    until(lambda: task.outcome == "stopped")


def test_a_limit_cancels_it(supervisor):
    job = Job()
    task = supervisor.start_with("render", "quick", job)
    assert task.wait_outcome(20) == "stopped"
    assert supervisor.incidents()[0].cause["limit"] == "max_duration"


def test_what_a_stopper_raises_is_reported_and_counts_as_no(hasty, brief, monkeypatch):
    reported = []
    monkeypatch.setattr("threading.excepthook", lambda report: reported.append(repr(report.exc_value)))

    class Broken(Job):
        def request(self):
            raise ValueError("out of mana")

        def force(self):
            raise KeyError("sword")

    job = Broken()
    task = hasty.start_with("render", brief, job)
    task.cancel("enough")
    assert task.wait_outcome(20) == "still_running"
    until(lambda: len(reported) == 2)
    assert reported == ["ValueError('out of mana')", "KeyError('sword')"]
    task.finish()
    until(lambda: task.outcome == "stopped")


def test_a_hook_that_raises_too_holds_up_nothing(supervisor, brief, monkeypatch):
    def hook(report):
        raise report.exc_value

    monkeypatch.setattr("threading.excepthook", hook)

    class Broken(Job):
        def request(self):
            super().request()
            raise ValueError("out of mana")

    task = supervisor.start_with("render", brief, Broken())
    task.cancel("enough")
    assert task.wait_outcome(20) == "stopped"


def test_a_stopper_that_blocks_delays_no_other_task(supervisor, brief):
    release = threading.Event()

    class Slow(Job):
        def request(self):
            release.wait(30)
            super().request()

    slow, quick = Slow(), Job()
    first = supervisor.start_with("slow", haltline.Profile("patient", grace=1000), slow)
    second = supervisor.start_with("quick", brief, quick)
    first.cancel("enough")
    second.cancel("enough")
    assert second.wait_outcome(20) == "stopped"
    assert first.outcome is None
    release.set()
    assert first.wait_outcome(20) == "stopped"


def test_many_stops_run_side_by_side(supervisor):
    # Long enough for each request to have its thread, and short beside 20 of them one after the other.
    profile = haltline.Profile("brief", grace=2)
    jobs = [Job(leaves="force" if n % 2 else "request") for n in range(40)]
    tasks = [supervisor.start_with(str(n), profile, job) for n, job in enumerate(jobs)]
    assert len(supervisor.stop_all("evacuate")) == 40
    outcomes = [task.wait_outcome(30) for task in tasks]
    assert outcomes == ["stopped", "killed"] * 20
    assert all(job.calls[0] == "request" for job in jobs)


def test_an_object_that_is_no_stopper_is_refused(supervisor):
    class Half:
        def request(self):
            pass

        def is_gone(self):
            return True

    with pytest.raises(TypeError, match="Half has no force"):
        supervisor.start_with("render", "craft", Half())
    with pytest.raises(TypeError, match="NoneType has no request"):
        supervisor.start_with("render", "craft", None)
    with pytest.raises(haltline.LimitRefusedError, match="max_cpu_seconds"):
        supervisor.start_with("render", haltline.Profile("p", task={"max_cpu_seconds": 5}), Job())
    assert supervisor.active() == []


@pytest.mark.parametrize("stop", ["cancel", "kill"])
def test_a_request_that_hangs_does_not_keep_the_work_from_force(supervisor, brief, stop):
    release = threading.Event()

    class Hanging(Job):
        def request(self):
            super().request()
            release.wait(30)

    task = supervisor.start_with("render", brief, Hanging(leaves="force"))
    getattr(task, stop)("enough")
    assert task.wait_outcome(20) == "killed"
    release.set()


def test_an_exception_out_of_the_block_is_no_proof_that_the_work_is_gone(hasty, brief):
    job = Job(leaves="never")
    with pytest.raises(KeyError), hasty.start_with("render", brief, job) as task:
        task.cancel("enough")
        assert task.wait_outcome(20) == "still_running"
        raise KeyError("sword")
    time.sleep(0.3)
    assert task.outcome == "still_running"
    job.gone = True
    until(lambda: task.outcome == "stopped")


def test_a_finished_task_is_not_entered_again(supervisor):
    task = supervisor.start_with("foreign", "attack", Job())
    assert task.finish()
    with pytest.raises(haltline.UnknownTaskError, match='"foreign" has finished'), task:
        pytest.fail("unsupervised")


def test_a_task_that_was_cancelled_before_its_block_is_entered(supervisor):
    task = supervisor.start_with("foreign", "attack", Job())
    task.cancel("early")
    assert task.wait_outcome(10) == "stopped"
    with pytest.raises(haltline.Cancelled, match="early"), task:
        task.check()


def test_the_request_comes_first_however_late_a_thread_can_be_had(supervisor, no_thread):
    job = Job(leaves="force")
    task = supervisor.start_with("render", haltline.Profile("brief", grace=0.05), job)
    task.cancel("enough")
    # The request, and at the end of the grace the force, want a thread of their own each.
    until(lambda: len(no_thread.refused) >= 6)
    assert job.calls == []
    no_thread.end()
    until(lambda: task.outcome == "killed")
    assert job.calls == ["request", "force"]
    assert task.wait_finished(20)


def test_a_request_that_hangs_leaves_force_a_thread_also_after_a_lack_of_them(supervisor, brief, no_thread):
    release = threading.Event()

    class Hanging(Job):
        def request(self):
            super().request()
            release.wait(30)

    job = Hanging(leaves="force")
    task = supervisor.start_with("render", brief, job)
    task.cancel("enough")
    until(lambda: len(no_thread.refused) >= 6)
    no_thread.end()
    until(lambda: task.outcome == "killed")
    release.set()


def test_work_that_is_entered_is_not_entered_again(supervisor):
    with supervisor.start_with("render", "craft", Job()) as task:
        with pytest.raises(haltline.InvalidArgumentError, match='"render" is entered already'), task:
            pytest.fail("the inner block would say that the work is gone")
        assert not task.is_finished
