"""Supervise tasks, cancel the one that hurts the machine, and prove that it stopped.

    import haltline

    with haltline.Supervisor() as supervisor:
        with supervisor.start("farm", "attack") as task:
            while True:
                task.check()

Wherever a time is taken, it is seconds as a number, a text such as "5m", or a timedelta. What waits releases
the interpreter lock, and Ctrl-C works.
"""

from haltline._haltline import (
    DEVNULL,
    PIPE,
    STDOUT,
    BufferTooSmallError,
    Cancelled,
    CommandNotExecutableError,
    CommandNotFoundError,
    CustomTask,
    Error,
    Event,
    Finished,
    Gap,
    Incident,
    InvalidArgumentError,
    InvalidProfileError,
    IoError,
    LimitRefusedError,
    Monitor,
    PanickedError,
    ProcessTable,
    ProcessTask,
    Profile,
    Report,
    Session,
    ShutDownError,
    SpawnFailedError,
    Subscription,
    Supervisor,
    Task,
    ThreadTask,
    TimedOutError,
    Token,
    UnknownProfileError,
    UnknownTaskError,
    UnsupportedError,
    __version__,
    check,
    current_task,
)

__all__ = [
    "DEVNULL",
    "PIPE",
    "STDOUT",
    "BufferTooSmallError",
    "Cancelled",
    "CommandNotExecutableError",
    "CommandNotFoundError",
    "CustomTask",
    "Error",
    "Event",
    "Finished",
    "Gap",
    "Incident",
    "InvalidArgumentError",
    "InvalidProfileError",
    "IoError",
    "LimitRefusedError",
    "Monitor",
    "PanickedError",
    "ProcessTable",
    "ProcessTask",
    "Profile",
    "Report",
    "Session",
    "ShutDownError",
    "SpawnFailedError",
    "Subscription",
    "Supervisor",
    "Task",
    "ThreadTask",
    "TimedOutError",
    "Token",
    "UnknownProfileError",
    "UnknownTaskError",
    "UnsupportedError",
    "__version__",
    "check",
    "current_task",
]
