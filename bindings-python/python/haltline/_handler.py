"""Ends a task whose handle only its own handlers still refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Finalizer:
    """Belongs to the handle of a task, and ends the task when the handle is found to be garbage.

    The garbage collector calls `__del__` before it takes anything apart, and then looks again at what is
    still needed. No other moment is early enough to keep a handler that is about to be called.
    """

    __slots__ = ("_end",)

    def __init__(self, end: Callable[[], object]) -> None:
        self._end = end

    def __del__(self) -> None:
        self._end()
