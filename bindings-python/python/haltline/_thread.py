"""Threads that run host code: Python's own, with nothing but Python below that code."""

from __future__ import annotations

import sys
import threading
from threading import Thread
from typing import TYPE_CHECKING, Any
from weakref import ref

from haltline._haltline import Cancelled, _become_errand
from haltline._parameter import place_of_task

if TYPE_CHECKING:
    from collections.abc import Callable


def begin(name: str, target: Callable[..., object], *args: Any) -> None:
    """Start a thread that calls `target(unclaimed, *args)`, which has to `claim` before all else.

    `Thread.start` waits for the thread that it has begun, and can raise there too: that wait needs a lock.
    Whoever claims first decides, so that what is said to have failed does not run.
    """
    unclaimed = [None]
    try:
        Thread(target=target, args=(unclaimed, *args), name=name, daemon=True).start()
    except (RuntimeError, MemoryError):
        if claim(unclaimed):
            raise


def claim(unclaimed: list[None]) -> bool:
    """Whether this is the first to do so."""
    try:
        unclaimed.pop()
    except IndexError:
        return False
    return True


def start(
    job: Any,
    task: Any,
    name: str,
    target: Callable[..., object],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    """Start the thread of a task. A target with a parameter `task` gets it, unless the caller gives one."""
    place = place_of_task(target)
    if place is not None and len(args) <= place and "task" not in kwargs:
        kwargs = {**kwargs, "task": task}
    begin(name, _run, job, target, args, kwargs)


def _run(
    unclaimed: list[None],
    job: Any,
    target: Callable[..., object],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    if not claim(unclaimed):
        return
    job.begin()
    try:
        result = target(*args, **kwargs)
    except BaseException as raised:
        # Its traceback holds this frame, which must not hold the task: then it would never be told in time.
        del target, args, kwargs
        job.end(None, Failure(raised))
    else:
        job.end(result, None)


_untold: set[ref[Failure]] = set()


class Failure:
    """What a target raised. If nobody has joined its thread by the time this is forgotten, it is told."""

    __slots__ = ("__weakref__", "raised", "seen", "thread")

    def __init__(self, raised: BaseException) -> None:
        self.raised = raised
        self.thread = threading.current_thread()
        # A cancellation has its incident.
        self.seen = isinstance(raised, Cancelled)
        if not self.seen:
            _untold.add(ref(self, _untold.discard))

    def tell(self) -> None:
        """Tell it as `threading` does, once."""
        if self.seen:
            return
        self.seen = True
        told = (type(self.raised), self.raised, self.raised.__traceback__, self.thread)
        threading.excepthook(threading.ExceptHookArgs(told))

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.tell()


def tell_all() -> None:
    """Tell what nobody has asked for until the end of the interpreter."""
    for each in list(_untold):
        failure = each()
        if failure is not None:
            failure.tell()


def handle(handler: Callable[[str], object], outcome: str, done: Callable[[], object]) -> bool:
    """Start a thread that calls a handler of `on_cancel`, and says when that is over.

    Returns False if there is none to be had now.
    """
    try:
        begin("haltline on_cancel", _call, handler, outcome, done)
    except (RuntimeError, MemoryError) as refused:
        # From 3.12 on no thread starts once the interpreter has begun to end, and then no handler is called.
        return "interpreter shutdown" in str(refused)
    return True


def _call(
    unclaimed: list[None], handler: Callable[[str], object], outcome: str, done: Callable[[], object]
) -> None:
    if not claim(unclaimed):
        return
    try:
        _become_errand()
        handler(outcome)
    finally:
        done()
