"""Calls a host's stopper on a thread of Python's own, with nothing but Python below its code."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from haltline._haltline import _become_errand
from haltline._thread import begin, claim

if TYPE_CHECKING:
    from collections.abc import Callable

# How long the thread waits for the next call of a stop before it leaves. Looks come each 100 ms or sooner.
_LINGER = 0.5


class Server:
    """Answers the calls of one stopper, one at a time. Its thread begins with the first call.

    A request that does not return holds up nothing: what comes after it has a second thread. Where no thread
    can be had, the calls wait in their order.
    """

    __slots__ = ("_asking", "_calls", "_lock", "_stopper", "_threads")

    def __init__(self, stopper: Any) -> None:
        for name in ("request", "force", "is_gone"):
            if not callable(getattr(stopper, name, None)):
                kind = type(stopper).__name__
                raise TypeError(
                    f"stopper: expected an object with request, force and is_gone; {kind} has no {name}"
                )
        self._stopper = stopper
        self._calls: SimpleQueue[tuple[str, Callable[[bool], object]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._asking = False

    def call(self, method: str, done: Callable[[bool], object]) -> bool:
        """Have `method` called soon, and its answer given to `done`. Returns as `retry`."""
        if method == "request":
            with self._lock:
                self._asking = True
        self._calls.put((method, done))
        return self.retry(method)

    def retry(self, method: str) -> bool:
        """See that there is a thread for this call. Returns False if there is none to be had now."""
        with self._lock:
            needed = 2 if self._asking and method != "request" else 1
            if self._threads >= needed:
                return True
            self._threads += 1
            enough = self._threads == needed
        try:
            begin("haltline stopper", self._serve)
        except (RuntimeError, MemoryError):
            with self._lock:
                self._threads -= 1
            return False
        return enough

    def _serve(self, unclaimed: list[None]) -> None:
        if not claim(unclaimed):
            return
        _become_errand()
        while True:
            try:
                method, done = self._calls.get(timeout=_LINGER)
            except Empty:
                with self._lock:
                    if self._calls.empty():
                        self._threads -= 1
                        return
                continue
            answer = False
            try:
                answer = bool(getattr(self._stopper, method)())
            except BaseException as raised:
                told = (type(raised), raised, raised.__traceback__, threading.current_thread())
                # A hook that raises has nobody left to tell, and must not end this thread: a call may wait.
                with suppress(BaseException):
                    threading.excepthook(threading.ExceptHookArgs(told))
                del told
            finally:
                if method == "request":
                    with self._lock:
                        self._asking = False
                done(answer)
            del done
