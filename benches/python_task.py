"""What a supervised task costs from Python, beside an empty PyO3 class and a plain context manager.

Usage: python benches/python_task.py [seconds per case] [--asyncio]. Nanoseconds for each turn of a loop:
least and median of the rounds without what the empty loop costs in the same round, and the median with it. It
is the processor time of the thread, so that other work on the machine disturbs little; nothing here waits.
With `--asyncio` that is loaded before, and asked by each start; a last case starts tasks in a coroutine.

The build to measure has the peer in it:

    maturin build --release --features peer --manifest-path bindings-python/Cargo.toml
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable

import haltline

ROUNDS = 15


class Plain:
    """The cheapest context manager that Python itself can have with a class."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *raised: object) -> None:
        pass


def cases(supervisor: haltline.Supervisor) -> dict[str, str]:
    """Each case is the body of a loop."""
    return {
        "with supervisor.start(name, Profile): pass": "with start(name, profile): pass",
        "with supervisor.start(name, 'attack'): pass": "with start(name, 'attack'): pass",
        "start, and drop without with": "start(name, profile)",
        "task.check()": "task.check()",
        "task.is_cancelled": "task.is_cancelled",
        "haltline.check() in a task": "check()",
        "task.progress()": "task.progress()",
        "monitor.frame()": "frame()",
        "peer: an empty PyO3 class, made and dropped": "empty()",
        "peer: with on a plain class": "with Plain(): pass",
        "peer: threading.Event.is_set()": "event.is_set()",
        "peer: stopit.ThreadingTimeout": "with Timeout(300): pass",
    }


def in_coroutine(run: Callable[[int], float]) -> Callable[[int], float]:
    """The same loop inside of a running event loop."""
    import asyncio

    async def turns_of(turns: int) -> float:
        return run(turns)

    return lambda turns: asyncio.run(turns_of(turns))


def loop(body: str, names: dict[str, object]) -> Callable[[int], float]:
    """A function that runs the body so many times and returns the seconds it took."""
    source = f"""
def run(turns, {", ".join(f"{n}={n}" for n in names)}):
    began = clock()
    for _ in range(turns):
        {body}
    return clock() - began
"""
    scope: dict[str, object] = {**names, "clock": time.thread_time}
    exec(source, scope)
    return scope["run"]  # type: ignore[return-value]


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if argument != "--asyncio"]
    seconds = float(arguments[0]) if arguments else 0.5
    import threading

    if "--asyncio" in sys.argv:
        import asyncio  # noqa: F401

    names: dict[str, object] = {"Plain": Plain, "event": threading.Event(), "check": haltline.check}
    empty_class = getattr(haltline._haltline, "_Empty", None)
    if empty_class is None:
        print("not checked: an empty PyO3 class (build with `--features peer`)")
    else:
        names["empty"] = empty_class
    try:
        from stopit import ThreadingTimeout
    except ImportError:
        print("not checked: stopit (pip install stopit)")
    else:
        names["Timeout"] = ThreadingTimeout
    print(f"Python {platform.python_version()}, {platform.machine()}, {haltline._haltline.__file__}")
    print(f"{'ns for each turn':60} {'least':>8} {'median':>8} {'with loop':>10}")
    # Without a limit, or a bench on a busy machine is the culprit that is stopped.
    with haltline.Supervisor() as supervisor, supervisor.start("bench", haltline.Profile("bench")) as task:
        names.update(start=supervisor.start, profile=supervisor.profile("attack"), name="bench", task=task)
        names["frame"] = supervisor.monitor.frame
        runs = {"": loop("pass", names)}
        for title, body in cases(supervisor).items():
            if ("Timeout" in body and "Timeout" not in names) or ("empty" in body and "empty" not in names):
                continue
            runs[title] = loop(body, names)
        if "asyncio" in sys.modules:
            runs["in a coroutine: with supervisor.start(name, Profile): pass"] = in_coroutine(
                loop("with start(name, profile): pass", names)
            )
        turns = {title: max(10, int(seconds / ROUNDS / (run(200) / 200))) for title, run in runs.items()}
        # Every case in every round, so that a machine that changes its pace changes it for all.
        rounds = [
            {title: run(turns[title]) / turns[title] * 1e9 for title, run in runs.items()}
            for _ in range(ROUNDS)
        ]
        for title in list(runs)[1:]:
            net = [one[title] - one[""] for one in rounds]
            gross = statistics.median(one[title] for one in rounds)
            print(f"{title:60} {min(net):8.1f} {statistics.median(net):8.1f} {gross:10.1f}")


if __name__ == "__main__":
    main()
