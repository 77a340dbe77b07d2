from __future__ import annotations

import gc
import threading
import time

import pytest
from conftest import until

import haltline


def test_a_thread_returns_its_result(supervisor):
    task = supervisor.thread(lambda a, b: a + b, "attack", (1,), {"b": 2}, name="sum")
    assert task.join(10) == 3
    assert task.join() == 3
    assert task.name == "sum"
    assert task.is_finished


def test_an_exception_is_raised_by_join_every_time(supervisor):
    def broken():
        raise KeyError("sword")

    task = supervisor.thread(broken, "attack")
    for _ in range(2):
        with pytest.raises(KeyError, match="sword"):
            task.join(10)
    assert task.name == "broken"


def test_a_cancelled_thread_raises_cancelled_from_join(supervisor):
    def farm():
        while True:
            haltline.check()
            time.sleep(0.001)

    task = supervisor.thread(farm, "quick")
    with pytest.raises(haltline.Cancelled, match="max_duration"):
        task.join(10)
    assert task.wait_outcome(10) == "stopped"


def test_a_thread_that_goes_on_makes_join_time_out(supervisor):
    release = threading.Event()
    task = supervisor.thread(release.wait, "attack")
    with pytest.raises(TimeoutError):
        task.join(0.02)
    with pytest.raises(haltline.TimedOutError):
        task.join(0)
    release.set()
    assert task.join(10) is True


def test_the_task_of_a_thread_is_its_own(supervisor):
    tasks = [supervisor.thread(haltline.current_task, "attack") for _ in range(4)]
    assert [t.join(10) for t in tasks] == tasks


def test_a_thread_is_one_of_pythons_own_and_bears_the_name_of_its_task(supervisor):
    thread = supervisor.thread(threading.current_thread, "attack", name="Späher").join(10)
    assert (thread.name, thread.daemon, type(thread)) == ("Späher", True, threading.Thread)


def test_many_threads_start_tasks_at_once(supervisor):
    barrier = threading.Barrier(16)
    cancelled = []

    def work(number):
        barrier.wait()
        for n in range(100):
            with supervisor.start(f"{number}-{n}", "craft") as task:
                assert haltline.current_task() is task
                if n % 10 == 0:
                    task.cancel("every tenth")
                    try:
                        task.check()
                    except haltline.Cancelled as raised:
                        cancelled.append(raised.task_id)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(cancelled)) == 160
    until(lambda: supervisor.status()["stopped"] == 160)
    status = supervisor.status()
    assert (status["started"], status["finished"], status["active"]) == (1600, 1600, 0)


def test_a_sleeping_task_wakes_at_once_when_another_thread_cancels_it(supervisor):
    with supervisor.start("sleeper", "attack") as task:
        threading.Timer(0.05, task.cancel).start()
        began = time.monotonic()
        with pytest.raises(haltline.Cancelled):
            task.sleep(30)
        assert time.monotonic() - began < 10


def test_a_supervisor_shut_down_stops_its_threads():
    with haltline.Supervisor() as supervisor:
        tasks = [supervisor.thread(lambda: haltline.current_task().sleep(60), "dance") for _ in range(3)]
    for task in tasks:
        with pytest.raises(haltline.Cancelled, match="shut down"):
            task.join(10)


def test_wrong_arguments_are_refused(supervisor):
    with pytest.raises(TypeError, match="target"):
        supervisor.thread("farm", "attack")
    with pytest.raises(TypeError):
        supervisor.thread(print, "attack", 5)
    assert supervisor.thread(len, "attack", ("four",), name="a\0b").join(10) == 4


def test_a_target_with_a_parameter_task_gets_its_own(supervisor):
    def positional(a, task):
        return a, task

    def keyword(*, task=None):
        return task

    started = supervisor.thread(positional, "attack", (1,))
    assert started.join(10) == (1, started)
    started = supervisor.thread(keyword, "attack")
    assert started.join(10) is started


def test_a_call_that_gives_a_task_of_its_own_keeps_it(supervisor):
    def worker(task, n=0):
        return task, n

    def keyword(*, task):
        return task

    assert supervisor.thread(worker, "attack", ("mine", 5)).join(10) == ("mine", 5)
    assert supervisor.thread(worker, "attack", kwargs={"task": "mine"}).join(10) == ("mine", 0)
    given = {"task": "mine"}
    assert supervisor.thread(keyword, "attack", kwargs=given).join(10) == "mine"
    assert supervisor.thread(lambda **kwargs: kwargs, "attack").join(10) == {}


@pytest.fixture
def reported(monkeypatch):
    seen = []

    def hook(report):
        seen.append(
            (report.exc_type, str(report.exc_value), report.exc_traceback is not None, report.thread.name)
        )

    monkeypatch.setattr("threading.excepthook", hook)
    return seen


def test_what_a_thread_raises_and_nobody_joins_for_is_told(supervisor, reported):
    def broken(task):
        raise KeyError("sword")

    supervisor.thread(lambda missing: missing, "attack", name="lambda")
    until(lambda: reported)
    (kind, message, traceback, thread) = reported.pop()
    assert (kind, traceback, thread) == (TypeError, True, "lambda")
    assert "missing" in message
    supervisor.thread(broken, "attack")
    # The traceback refers to the task, so the collector finds it.
    until(lambda: gc.collect() >= 0 and reported)
    assert reported == [(KeyError, "'sword'", True, "broken")]


def test_a_call_that_does_not_fit_is_told_at_once(supervisor, reported):
    gc.disable()
    try:
        supervisor.thread(lambda task, missing: missing, "attack")
        until(lambda: reported)
    finally:
        gc.enable()
    assert "missing" in reported[0][1]


def test_what_somebody_joined_for_is_told_to_nobody_else(supervisor, reported):
    def broken():
        raise KeyError("sword")

    task = supervisor.thread(broken, "attack")
    with pytest.raises(KeyError):
        task.join(10)
    cancelled = supervisor.thread(lambda task: task.sleep(60), "attack")
    cancelled.cancel("enough")
    assert cancelled.wait_finished(10)
    del task, cancelled
    gc.collect()
    assert reported == []


def test_what_a_thread_raised_is_told_when_its_task_is_forgotten(supervisor, reported):
    def broken():
        raise KeyError("sword")

    task = supervisor.thread(broken, "attack")
    assert task.wait_finished(10)
    gc.collect()
    assert reported == []
    del task
    until(lambda: reported)
    assert reported == [(KeyError, "'sword'", True, "broken")]


def test_a_handler_whose_thread_began_is_not_called_again(supervisor, monkeypatch):
    """`Thread.start` waits for the thread that it began, and for that it may find no memory."""
    start, failed, seen, ran = threading.Thread.start, [], [], threading.Semaphore(0)

    def begins_and_fails(thread: threading.Thread) -> None:
        start(thread)
        if len(failed) < 3:
            assert ran.acquire(timeout=20)
            failed.append(thread.name)
            raise RuntimeError("can't allocate lock")

    def work(name: str) -> str:
        seen.append(name)
        ran.release()
        return name

    monkeypatch.setattr(threading.Thread, "start", begins_and_fails)
    task = supervisor.start("ill", "attack")
    task.on_cancel(lambda outcome: work("first"))
    task.on_cancel(lambda outcome: work("second"))
    task.cancel("now")
    task.finish()
    until(lambda: len(failed) == 2)
    assert supervisor.thread(work, "attack", ("third",)).join(20) == "third"
    assert failed == ["haltline on_cancel", "haltline on_cancel", "work"]
    assert seen == ["first", "second", "third"]


def test_an_interrupt_while_a_thread_begins_is_no_failure_of_it(supervisor, monkeypatch):
    start, seen = threading.Thread.start, threading.Event()

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            supervisor.thread(seen.set, "attack")
    assert seen.wait(20)
