"""Calls a host's stopper on a thread of Python's own, with nothing but Python below its code."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# How long the thread waits for the next call of a stop before it leaves. Looks come each 100 ms or sooner.
_LINGER = 0.5


class Server:
    """Answers the calls of one stopper, one at a time. Its thread begins with the first call.

    A request that does not return holds up nothing: what comes after it has a second thread.
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

    def call(self, method: str, done: Callable[[bool], object]) -> None:
        """Have `method` called soon, and its answer given to `done`."""
        with self._lock:
            self._calls.put((method, done))
            if self._threads > int(self._asking):
                return
            self._threads += 1
        try:
            threading.Thread(target=self._serve, name="haltline stopper", daemon=True).start()
        except RuntimeError as refused:
            with self._lock:
                self._threads -= 1
                self._calls.get_nowait()
            # From 3.12 on no thread starts once the interpreter has begun to end, and then nothing is called.
            if "interpreter shutdown" not in str(refused):
                raise

    def _serve(self) -> None:
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
            asking = method == "request"
            if asking:
                with self._lock:
                    self._asking = True
            try:
                answer = bool(getattr(self._stopper, method)())
            except BaseException as raised:
                told = (type(raised), raised, raised.__traceback__, threading.current_thread())
                # A hook that raises has nobody left to tell, and must not end this thread: a call may wait.
                with suppress(BaseException):
                    threading.excepthook(threading.ExceptHookArgs(told))
                del told
            finally:
                if asking:
                    with self._lock:
                        self._asking = False
                done(answer)
            del done
