"""A host of macros in Python: a section, a function, a thread and a command, each a supervised task.

Run it with `python examples/python/macro_host.py` after `pip install ./bindings-python`.
"""

from __future__ import annotations

import time

import haltline

# Like the built-in profile attack, but nothing may run for more than half a second.
RAID = haltline.Profile("raid", extends="attack", max_duration=0.5, grace="200ms")


def main() -> None:
    with haltline.Supervisor(profiles=[RAID]) as supervisor, supervisor.session("evening"):
        monitor = supervisor.monitor

        # A section of code. It is well behaved: it ends before its time and feeds the host's signals.
        with supervisor.start("harvest", "raid") as task:
            for _ in range(10):
                monitor.frame()
                monitor.latency(0.02)
                task.progress()
                task.sleep(0.01)
        print("harvest: done")

        # A function. It never ends, so it is cancelled; whoever calls it sees why.
        @supervisor.task("raid")
        def farm(task: haltline.Task) -> None:
            task.on_cancel(lambda outcome: print(f"farm: keys released ({outcome})"))
            while True:
                task.sleep(0.05)

        try:
            farm()
        except haltline.Cancelled as cancelled:
            print(f"farm: {cancelled.cause['message']}")

        # A thread. Code below it finds the task without being handed it.
        def craft() -> int:
            made = 0
            while made < 3:
                haltline.check()
                time.sleep(0.01)
                made += 1
            return made

        print(f"craft: made {supervisor.thread(craft, 'raid').join()}")

        # A command that daemonises: its whole process tree is stopped when it ends, and named.
        done = supervisor.run(
            ["sh", "-c", "setsid sleep 600 & echo looted"], "raid", capture_output=True, text=True
        )
        print(f"loot: {done.stdout.strip()}, left behind: {[name for _, name in done.leftovers]}")

        # And one that does not end by itself.
        nap = supervisor.run(["sleep", "600"], "raid")
        print(f"nap: {nap.outcome}, exit status {nap.returncode}")

        for incident in supervisor.incidents():
            print(f"incident: {incident.summary}")


if __name__ == "__main__":
    main()
