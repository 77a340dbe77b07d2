"""Whether a function wants to be given its task."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def place_of_task(function: Callable[..., Any]) -> int | None:
    """How many positional arguments come before the parameter `task`; None without one that has a name.

    A caller that gives more than that has given a task of its own.
    """
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return None
    for place, parameter in enumerate(parameters.values()):
        if parameter.name == "task":
            if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
                return place
            return sys.maxsize if parameter.kind is inspect.Parameter.KEYWORD_ONLY else None
    return None
