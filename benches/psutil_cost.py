"""What a psutil thread costs that takes the same values as the monitor, once a second.

    python psutil_cost.py [SECONDS]

The peer of `cargo run --release -p haltline --example monitor_cost`.
"""

import os
import sys
import threading
import time

import psutil


def sample(process: psutil.Process) -> tuple[object, ...]:
    cores = psutil.cpu_percent(percpu=True)
    with process.oneshot():
        own = (process.cpu_percent(), process.memory_info().rss, process.num_threads(), process.num_fds())
    return (
        psutil.cpu_percent(),
        cores,
        psutil.virtual_memory(),
        psutil.swap_memory(),
        os.getloadavg(),
        psutil.disk_io_counters(),
        psutil.net_io_counters(),
        own,
        pressure(),
    )


def pressure() -> list[str]:
    """psutil does not read it."""
    lines = []
    for name in ("cpu", "memory", "io"):
        try:
            with open(f"/proc/pressure/{name}") as file:
                lines.append(file.readline())
        except OSError:
            pass
    return lines


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    process = psutil.Process()
    stop = threading.Event()
    taken = 0

    def run() -> None:
        nonlocal taken
        while not stop.wait(1.0):
            sample(process)
            taken += 1

    sample(process)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    time.sleep(1.5)
    first, cpu, start = taken, time.process_time(), time.monotonic()
    time.sleep(seconds)
    used = (time.process_time() - cpu) * 1e6
    share = used / (time.monotonic() - start) / 1e4
    count = taken - first
    print(f"psutil {psutil.__version__}: {used / count:.0f} µs of CPU a sample, {share:.4f} % of a core, {count} samples")
    stop.set()
    thread.join()


if __name__ == "__main__":
    main()
