"""Threads that run host code: Python's own, with nothing but Python below that code."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def start(
    job: Any, name: str, target: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Start the thread of a task."""
    Thread(target=_run, args=(job, target, args, kwargs), name=name, daemon=True).start()


def _run(job: Any, target: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    job.begin()
    try:
        result = target(*args, **kwargs)
    except BaseException as raised:
        job.end(None, raised)
    else:
        job.end(result, None)


def handle(handler: Callable[[str], object], outcome: str, done: Callable[[], object]) -> None:
    """Start a thread that calls a handler of `on_cancel`, and says when that is over."""
    thread = Thread(target=_call, args=(handler, outcome, done), name="haltline on_cancel", daemon=True)
    try:
        thread.start()
    except RuntimeError as refused:
        # From 3.12 on no thread starts once the interpreter has begun to end, and then no handler is called.
        if "interpreter shutdown" not in str(refused):
            raise


def _call(handler: Callable[[str], object], outcome: str, done: Callable[[], object]) -> None:
    try:
        handler(outcome)
    finally:
        done()
