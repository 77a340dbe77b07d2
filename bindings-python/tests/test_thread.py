from __future__ import annotations

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
