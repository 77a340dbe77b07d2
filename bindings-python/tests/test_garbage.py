from __future__ import annotations

import gc
import weakref

import pytest
from conftest import until

import haltline


class Owner:
    """Something whose end can be seen."""

    def __call__(self, outcome):
        self.outcome = outcome


def test_a_handler_that_refers_to_its_task_goes_when_the_task_ends(supervisor):
    owner = Owner()
    with supervisor.start("farm", "attack") as task:
        owner.task = task
        task.on_cancel(owner)
    seen = weakref.ref(owner)
    del owner, task
    assert seen() is None


def test_a_handler_that_refers_to_its_task_goes_after_it_was_called(supervisor):
    owner = Owner()
    with supervisor.start("farm", "attack") as task:
        owner.task = task
        task.on_cancel(owner)
        task.cancel("enough")
    seen = weakref.ref(owner)
    until(lambda: hasattr(owner, "outcome"))
    del owner, task
    until(lambda: gc.collect() >= 0 and seen() is None)


def test_handlers_of_a_thread_and_of_a_command_go_with_them(supervisor):
    owner = Owner()
    owner.task = supervisor.thread(lambda: haltline.current_task().on_cancel(owner), "attack")
    owner.task.on_cancel(owner)
    owner.task.join(10)
    seen = weakref.ref(owner)
    del owner
    until(lambda: gc.collect() >= 0 and seen() is None)


class Job(Owner):
    """Work of the host that leaves when it is asked."""

    gone = False

    def request(self):
        self.gone = True

    def force(self):
        return False

    def is_gone(self):
        return self.gone


def test_a_stopper_that_refers_to_its_task_goes_when_the_task_ends(supervisor):
    job = Job()
    with supervisor.start_with("render", "craft", job) as job.task:
        token = supervisor.token(job.task.id)
    seen = weakref.ref(job)
    del job
    until(lambda: gc.collect() >= 0 and seen() is None)
    assert token.is_finished


def test_a_token_does_not_keep_the_stopper_of_a_task_that_has_ended(supervisor):
    job = Job()
    task = supervisor.start_with("render", "craft", job)
    token, seen = supervisor.token(task.id), weakref.ref(job)
    del job
    assert seen() is not None
    task.finish()
    assert seen() is None
    job = Job()
    task = supervisor.start_with("render", "craft", job)
    token, seen = supervisor.token(task.id), weakref.ref(job)
    del job, task
    assert seen() is None
    assert token.is_finished


def test_a_stopper_goes_after_it_was_called(supervisor):
    job = Job()
    job.task = supervisor.start_with("render", "craft", job)
    job.task.on_cancel(job)
    job.task.cancel("enough")
    assert job.task.wait_outcome(20) == "stopped"
    until(lambda: hasattr(job, "outcome"))
    seen = weakref.ref(job)
    del job
    until(lambda: gc.collect() >= 0 and seen() is None)


class Macro(Owner):
    """Refers to its task, which calls it."""

    def __init__(self, supervisor):
        self.task = supervisor.start("macro", "attack")
        self.task.on_cancel(self)


class Render(Job):
    """Refers to its task, which stops it."""

    def __init__(self, supervisor):
        self.task = supervisor.start_with("render", "craft", self)


@pytest.mark.parametrize("work", [Macro, Render])
def test_work_that_its_task_calls_is_kept_until_the_task_has_ended(supervisor, work):
    seen = weakref.ref(work(supervisor))
    gc.collect()
    assert len(supervisor.active()) == 1
    seen().task.finish()
    gc.collect()
    assert seen() is None
    assert supervisor.active() == []


def test_a_stopper_that_only_its_task_refers_to_is_whole_when_it_is_asked(supervisor):
    seen = [weakref.ref(Render(supervisor)) for _ in range(20)]
    tokens = [supervisor.token(task["id"]) for task in supervisor.active()]
    for token in tokens:
        token.cancel("enough")
        gc.collect()
    assert [token.wait_outcome(20) for token in tokens] == ["stopped"] * 20
    until(lambda: gc.collect() >= 0 and not any(each() for each in seen))


def test_a_result_that_refers_to_its_thread_is_collected(supervisor):
    class Box:
        pass

    box = Box()
    task = supervisor.thread(lambda: box, "attack")
    box.task = task
    assert task.join(10) is box
    seen = weakref.ref(box)
    del box, task
    gc.collect()
    assert seen() is None


def test_an_exception_whose_traceback_refers_to_its_thread_is_collected(supervisor):
    class BoxError(Exception):
        pass

    def broken(own):
        raise BoxError(own)

    own = []
    task = supervisor.thread(broken, "attack", (own,))
    own.append(task)
    with pytest.raises(BoxError) as caught:
        task.join(10)
    seen = weakref.ref(caught.value)
    del caught, task, own
    gc.collect()
    until(lambda: gc.collect() >= 0 and seen() is None)


def test_a_finished_thread_holds_neither_target_nor_arguments(supervisor):
    owner = Owner()
    seen = weakref.ref(owner)
    task = supervisor.thread(owner, "attack", ("outcome",))
    task.join(10)
    del owner
    until(lambda: seen() is None)


def test_the_collector_may_run_at_any_moment(supervisor):
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for n in range(200):
            with supervisor.start("farm", "attack") as task:
                task.on_cancel(lambda outcome, task=task: None)
                if n % 5 == 0:
                    task.cancel("enough")
            supervisor.thread(lambda: [], "attack").join(10)
            with supervisor.start_with("render", "attack", Job()) as work:
                if n % 5 == 0:
                    work.cancel("enough")
    finally:
        gc.set_threshold(*before)


def test_a_dropped_supervisor_cancels_its_tasks_and_leaves_tokens_valid():
    supervisor = haltline.Supervisor()
    task = supervisor.thread(lambda: haltline.current_task().sleep(60), "dance")
    del supervisor
    with pytest.raises(haltline.Cancelled, match="shut down"):
        task.join(20)
    assert task.name == "<lambda>"
