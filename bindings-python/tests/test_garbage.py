from __future__ import annotations

import gc
import sys
import threading
import weakref
from queue import SimpleQueue

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


def test_work_that_only_its_stopper_refers_to_is_collected_and_ends(supervisor):
    job = Job()
    job.task = supervisor.start_with("render", "craft", job)
    token, seen = supervisor.token(job.task.id), weakref.ref(job)
    del job
    assert not token.is_finished
    until(lambda: gc.collect() >= 0 and seen() is None)
    assert token.is_finished
    assert supervisor.active() == []


class Macro:
    """Work that refers to its task, and whose task calls it."""

    def __init__(self, task, heard=None):
        self.task = task
        self.heard = [] if heard is None else heard
        task.on_cancel(self.release)

    def release(self, outcome):
        self.heard.append((self.task.id, outcome))


def section(supervisor):
    return supervisor.start("macro", "attack")


def custom(supervisor):
    return supervisor.start_with("macro", "attack", Job())


@pytest.mark.parametrize("start", [section, custom])
def test_a_running_task_that_only_its_handler_refers_to_is_collected_and_ends(supervisor, start):
    heard = []
    macros = [Macro(start(supervisor), heard) for _ in range(5)]
    tokens = [supervisor.token(macro.task.id) for macro in macros]
    seen = [weakref.ref(macro) for macro in macros]
    assert len(supervisor.active()) == 5
    del macros
    gc.collect()
    assert [each() for each in seen] == [None] * 5
    assert supervisor.active() == []
    assert all(token.is_finished and not token.is_cancelled for token in tokens)
    assert heard == []


@pytest.mark.parametrize("start", [section, custom])
def test_a_dropped_task_with_a_handler_ends_without_the_collector(supervisor, start):
    gc.disable()
    try:
        task, owner = start(supervisor), Owner()
        task.on_cancel(owner)
        seen = weakref.ref(owner)
        del task, owner
        assert supervisor.active() == []
        assert seen() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("start", [section, custom])
def test_handlers_that_are_still_needed_are_called_once_and_in_order_after_a_collection(supervisor, start):
    heard = []
    with start(supervisor) as task:
        task.on_cancel(lambda outcome, task=task: heard.append(("first", outcome)))
        supervisor.token(task.id).on_cancel(lambda outcome, task=task: heard.append(("second", outcome)))
        task.on_cancel(lambda outcome, task=task: heard.append(("third", outcome)))
        tokens = [supervisor.token(task.id) for _ in range(5)]
        gc.collect()
        task.cancel("enough")
        gc.collect()
        task.on_cancel(lambda outcome, task=task: heard.append(("fourth", outcome)))
        gc.collect()
    until(lambda: len(heard) == 4)
    gc.collect()
    # The outcome may be known by the time the fourth is added, which is then called at once.
    heard.remove(("fourth", "stopped"))
    assert heard == [(each, "stopped") for each in ("first", "second", "third")]
    assert all(token.is_cancelled for token in tokens)


@pytest.mark.parametrize("start", [section, custom])
def test_a_handler_of_a_cancelled_task_is_called_whole_even_if_nothing_else_refers_to_it(supervisor, start):
    heard = []
    macro = Macro(start(supervisor), heard)
    number, seen = macro.task.id, weakref.ref(macro)
    # Nothing has stopped yet: that is what the collector finds while it looks for garbage.
    assert macro.task.cancel("enough")
    del macro
    gc.collect()
    until(lambda: heard)
    assert heard == [(number, "stopped")]
    until(lambda: gc.collect() >= 0 and seen() is None)


def test_a_cancellation_during_the_collection_is_heard(supervisor):
    class Cancelling(Macro):
        def __del__(self):
            cancelled.append((self.task.id, self.task.cancel("garbage")))

    cancelled, heard = [], []
    for _ in range(20):
        Cancelling(section(supervisor), heard)
    gc.collect()
    wanted = sorted(number for number, by_this in cancelled if by_this)
    until(lambda: len(heard) >= len(wanted))
    assert len(cancelled) == 20
    assert sorted(heard) == [(number, "stopped") for number in wanted]
    assert supervisor.active() == []


def test_cancellations_from_another_thread_race_with_the_collector(supervisor):
    heard, asked, waiting = [], [], SimpleQueue()

    def cancel():
        while (token := waiting.get()) is not None:
            if token.cancel("raced"):
                asked.append(token.id)

    other = threading.Thread(target=cancel)
    seen = []
    # The threads change places within a collection, wherever it runs Python code.
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        other.start()
        for _ in range(30):
            macros = [Macro(section(supervisor), heard) for _ in range(20)]
            seen += [weakref.ref(macro) for macro in macros]
            tokens = [supervisor.token(macro.task.id) for macro in macros]
            del macros
            for token in reversed(tokens):
                waiting.put(token)
            gc.collect(0)
    finally:
        waiting.put(None)
        other.join()
        sys.setswitchinterval(before)
    gc.collect()
    until(lambda: len(heard) >= len(asked))
    assert sorted(heard) == [(number, "stopped") for number in sorted(asked)]
    until(lambda: gc.collect() >= 0 and not any(each() for each in seen))
    assert supervisor.active() == []


def test_a_running_thread_and_a_running_command_keep_their_handlers(supervisor):
    heard = []
    tokens = []
    for task in (
        supervisor.thread(lambda: haltline.current_task().sleep(60), "attack"),
        supervisor.popen(["sleep", "60"], "attack"),
    ):
        Macro(task, heard)
        tokens.append(supervisor.token(task.id))
    del task
    gc.collect()
    assert len(supervisor.active()) == 2
    for token in tokens:
        token.cancel("enough")
    until(lambda: len(heard) == 2)
    assert sorted(heard) == sorted((token.id, token.outcome) for token in tokens)


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
