"""Decorators, which must be Python functions to work as methods. Loaded when the first one is made."""

from __future__ import annotations

import functools
import inspect
from time import perf_counter
from typing import TYPE_CHECKING, Any

from haltline._parameter import place_of_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from haltline import _haltline


def refuse(function: Any, decorator: str) -> None:
    """Refuse what does not run when it is called: the task would be over before its work began."""
    if not callable(function):
        raise TypeError(f"{decorator}: expected a function, not {type(function).__name__}")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{decorator}: {function!r} is a coroutine function, which is not supported")
    if inspect.isgeneratorfunction(function):
        raise TypeError(f"{decorator}: {function!r} is a generator function, which is not supported")


def task(
    supervisor: _haltline.Supervisor, profile: str | _haltline.Profile, name: str | None, thread: bool
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make what `Supervisor.task` returns."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        refuse(function, "@supervisor.task")
        label = name if name is not None else getattr(function, "__name__", "task")
        place = place_of_task(function)

        @functools.wraps(function)
        def section(*args: Any, **kwargs: Any) -> Any:
            with supervisor.start(label, profile) as started:
                if place is not None and len(args) <= place and "task" not in kwargs:
                    kwargs["task"] = started
                return function(*args, **kwargs)

        @functools.wraps(function)
        def in_thread(*args: Any, **kwargs: Any) -> Any:
            return supervisor.thread(function, profile, args, kwargs, name=label)

        return in_thread if thread else section

    return decorate


# Seconds. What takes longer is not refused: it is no mistake of a unit.
_LONGEST = 3600.0


class Timer:
    """What `Monitor.time` returns: measures a block, or every call of a function, as a response."""

    __slots__ = ("_began", "_monitor")

    def __init__(self, monitor: _haltline.Monitor) -> None:
        self._monitor = monitor
        self._began: list[float] = []

    def __enter__(self) -> Timer:
        self._began.append(perf_counter())
        return self

    def __exit__(self, *raised: object) -> None:
        self._monitor.response(min(perf_counter() - self._began.pop(), _LONGEST))

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        refuse(function, "@monitor.time()")
        monitor = self._monitor

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                monitor.response(min(perf_counter() - began, _LONGEST))

        return timed
