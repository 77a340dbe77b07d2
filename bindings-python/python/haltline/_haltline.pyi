"""The compiled part of haltline. Import from `haltline`. The docstrings are on the classes themselves."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from os import PathLike
from types import GenericAlias, TracebackType
from typing import IO, Any, ClassVar, Generic, Literal, Protocol, TypeAlias, TypedDict, final, overload

from typing_extensions import ParamSpec, Self, TypeVar, Unpack, disjoint_base

_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T", default=Any)

# Seconds, a text such as "5m", or a timedelta.
_Time: TypeAlias = float | str | timedelta
_Text: TypeAlias = str | bytes | PathLike[str] | PathLike[bytes]
_Level: TypeAlias = Literal["safe", "risky", "dangerous"]
_Blame: TypeAlias = Literal["culprit", "any"]
_Outcome: TypeAlias = Literal["stopped", "killed", "still_running"]
_Executor: TypeAlias = Literal["cooperative", "future", "thread", "process", "custom"]
_Policy: TypeAlias = Literal["drop_oldest", "drop_newest"]
_Source: TypeAlias = Literal[
    "cpu",
    "memory",
    "load",
    "pressure",
    "disk",
    "network",
    "process",
    "open_files",
    "limits",
    "probe",
]
# None, PIPE, DEVNULL, for stderr STDOUT, a descriptor, or an open file.
_Stream: TypeAlias = int | _HasFileno | None

__version__: str
PIPE: int
STDOUT: int
DEVNULL: int

class _HasFileno(Protocol):
    def fileno(self) -> int: ...

class _Stopper(Protocol):
    def request(self) -> object: ...
    def force(self) -> object: ...
    def is_gone(self) -> object: ...

class _HostLimits(TypedDict, total=False):
    max_cpu_percent: float | None
    max_memory_percent: float | None
    min_fps: float | None
    max_latency_ms: float | None
    max_response_ms: float | None

class _TaskLimits(TypedDict, total=False):
    max_cpu_percent: float | None
    max_cpu_seconds: float | None
    max_memory_mib: float | None
    max_processes: int | None
    max_output_mib: float | None
    max_idle: _Time | None

class _Settings(TypedDict, total=False):
    extends: str | Profile
    level: _Level
    max_duration: _Time | None
    sustain: _Time
    grace: _Time
    auto_cancel: bool
    blame: _Blame
    notify: Sequence[str]
    host: _HostLimits
    task: _TaskLimits
    advisory: Sequence[str]

class _Cause(TypedDict, total=False):
    kind: Literal["breach", "asked", "shutdown", "guardian_killed", "leftovers", "other"]
    message: str
    reason: str
    limit: str
    bound: float
    observed: float
    sustained_s: float

class _FullCpu(TypedDict, total=False):
    demand_percent: float

class _Cpu(_FullCpu):
    percent: float
    capacity: float
    busy: float
    per_core: list[float]

class _Memory(TypedDict):
    percent: float
    used_bytes: int
    limit_bytes: int
    swap_used_bytes: int
    swap_total_bytes: int

class _Pressure(TypedDict):
    cpu: float
    memory: float
    io: float

class _Rates(TypedDict):
    inward: float
    outward: float

class _ProcessUse(TypedDict):
    cpu_percent: float
    memory_bytes: int
    threads: int
    open_files: int

class _Signals(TypedDict, total=False):
    fps: float
    frame_p99_ms: float
    stall_ms: float
    latency_ms: float
    response_ms: float
    gauges: dict[str, float]

class _Sample(TypedDict, total=False):
    at: float
    wall: float
    cpu: _Cpu
    memory: _Memory
    load: list[float]
    pressure: _Pressure
    disk: _Rates
    network: _Rates
    process: _ProcessUse
    signals: _Signals

class _FrameTimes(TypedDict):
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float

class _Summary(TypedDict):
    count: int
    mean: float
    min: float
    max: float
    p50: float
    p95: float
    p99: float

class _Degraded(TypedDict):
    source: _Source
    reason: str
    since: float

class _TopProcess(TypedDict):
    pid: int
    name: str
    cpu_percent: float
    memory_bytes: int

class _TaskSummary(TypedDict, total=False):
    id: int
    name: str
    profile: str
    level: _Level
    executor: _Executor
    age_s: float
    cancelling: bool
    cpu_percent: float
    cpu_s: float
    memory_bytes: int
    output_bytes: int
    pids: list[int]
    command: list[str]
    env: list[list[str]]
    outcome: _Outcome

class _Status(TypedDict, total=False):
    started: int
    finished: int
    active: int
    stopped: int
    killed: int
    still_running: int
    recorded: int
    observing: bool
    incident_file_failure: str
    incidents_lost: int

class _SessionName(TypedDict):
    id: str
    name: str

class _Changes(TypedDict):
    added: list[str]
    changed: list[str]
    removed: list[str]

class _Report(TypedDict):
    started: int
    finished: int
    active: int
    outcomes: dict[str, int]
    rules: dict[str, int]
    recorded: int
    lines: list[str]

class Error(Exception):
    kind: ClassVar[str]
    number: ClassVar[int]

class InvalidArgumentError(Error, ValueError): ...
class InvalidProfileError(Error, ValueError): ...
class UnknownProfileError(Error, LookupError): ...
class UnknownTaskError(Error, LookupError): ...
class LimitRefusedError(Error, ValueError): ...
class UnsupportedError(Error, NotImplementedError): ...
class CommandNotFoundError(Error, FileNotFoundError): ...
class CommandNotExecutableError(Error, PermissionError): ...
class SpawnFailedError(Error, OSError): ...
class IoError(Error, OSError): ...
class ShutDownError(Error, RuntimeError): ...
class TimedOutError(Error, TimeoutError): ...
class PanickedError(Error, RuntimeError): ...
class BufferTooSmallError(Error, ValueError): ...

class Cancelled(BaseException):
    kind: ClassVar[str]
    number: ClassVar[int]
    task_id: int | None
    cause: _Cause

@final
class Profile:
    def __new__(cls, name: str, /, **settings: Unpack[_Settings]) -> Self: ...
    @staticmethod
    def built_in(name: str) -> Profile: ...
    @staticmethod
    def parse(name: str, text: str) -> Profile: ...
    @property
    def name(self) -> str: ...
    @property
    def level(self) -> _Level: ...
    @property
    def max_duration(self) -> float | None: ...
    @property
    def sustain(self) -> float: ...
    @property
    def grace(self) -> float: ...
    @property
    def auto_cancel(self) -> bool: ...
    @property
    def blame(self) -> _Blame: ...
    @property
    def notify(self) -> list[str]: ...
    @property
    def host(self) -> _HostLimits: ...
    @property
    def task(self) -> _TaskLimits: ...
    @property
    def advisory(self) -> list[str]: ...
    def accepts(self, executor: _Executor) -> None: ...
    def to_dict(self) -> _Settings: ...
    def __getnewargs_ex__(self) -> tuple[tuple[str], _Settings]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@disjoint_base
class Token:
    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def profile(self) -> Profile: ...
    def replace_profile(self, profile: str | Profile) -> None: ...
    @property
    def is_cancelled(self) -> bool: ...
    @property
    def is_finished(self) -> bool: ...
    @property
    def cause(self) -> _Cause | None: ...
    @property
    def outcome(self) -> _Outcome | None: ...
    def check(self) -> None: ...
    def progress(self) -> None: ...
    def sleep(self, seconds: _Time) -> None: ...
    def cancel(self, reason: str = "asked by the host") -> bool: ...
    def kill(self, reason: str = "asked by the host") -> bool: ...
    def on_cancel(self, handler: Callable[[_Outcome], object]) -> None: ...
    def wait_outcome(self, timeout: _Time | None = None) -> _Outcome | None: ...
    def wait_finished(self, timeout: _Time | None = None) -> bool: ...

@final
class Task(Token):
    def finish(self) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _raised: BaseException | None,
        _traceback: TracebackType | None,
        /,
    ) -> None: ...

@final
class ThreadTask(Token, Generic[_T]):
    def join(self, timeout: _Time | None = None) -> _T: ...
    @classmethod
    def __class_getitem__(cls, item: Any) -> GenericAlias: ...

@final
class CustomTask(Token):
    def finish(self) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _raised: BaseException | None,
        _traceback: TracebackType | None,
        /,
    ) -> None: ...

@final
class ProcessTask(Token):
    @property
    def pid(self) -> int: ...
    @property
    def guardian_pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    @property
    def pids(self) -> list[int]: ...
    @property
    def stdin(self) -> IO[bytes] | None: ...
    @property
    def stdout(self) -> IO[bytes] | None: ...
    @property
    def stderr(self) -> IO[bytes] | None: ...
    def signal(self, signal: int) -> None: ...
    def wait(self, timeout: _Time | None = None) -> Finished[None]: ...
    def wait_cleared(self, timeout: _Time | None = None) -> bool: ...

@final
class Finished(Generic[_T]):
    @property
    def args(self) -> Any: ...
    @property
    def returncode(self) -> int | None: ...
    @property
    def stdout(self) -> _T: ...
    @property
    def stderr(self) -> _T: ...
    @property
    def cpu_seconds(self) -> float: ...
    @property
    def max_rss_bytes(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def output_error(self) -> str | None: ...
    @property
    def task_id(self) -> int: ...
    @property
    def cancelled(self) -> _Cause | None: ...
    @property
    def outcome(self) -> _Outcome | None: ...
    @property
    def leftovers(self) -> list[tuple[int, str]]: ...
    def check_returncode(self) -> None: ...
    @classmethod
    def __class_getitem__(cls, item: Any) -> GenericAlias: ...

@final
class Event:
    @property
    def id(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def topic(self) -> str: ...
    @property
    def subject(self) -> str | None: ...
    @property
    def time(self) -> float: ...
    @property
    def data(self) -> Any: ...
    def to_dict(self) -> dict[str, Any]: ...

@final
class Gap:
    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def lost(self) -> int: ...

@final
class Subscription:
    @property
    def has_ended(self) -> bool: ...
    @property
    def pattern(self) -> str: ...
    @property
    def waiting(self) -> int: ...
    @property
    def lost(self) -> int: ...
    def get(self, timeout: _Time | None = None) -> Event | Gap | None: ...
    def close(self) -> None: ...
    def __iter__(self) -> Iterator[Event | Gap]: ...
    def __next__(self) -> Event | Gap: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _raised: BaseException | None,
        _traceback: TracebackType | None,
        /,
    ) -> None: ...

@final
class Incident:
    @staticmethod
    def read_file(path: str | PathLike[str]) -> list[Incident]: ...
    @property
    def schema(self) -> int: ...
    @property
    def id(self) -> str: ...
    @property
    def time(self) -> str: ...
    @property
    def session(self) -> _SessionName | None: ...
    @property
    def task(self) -> _TaskSummary | None: ...
    @property
    def cause(self) -> _Cause: ...
    @property
    def action(self) -> Literal["cancel", "record"]: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def blame(self) -> list[dict[str, Any]]: ...
    @property
    def samples(self) -> list[dict[str, float]]: ...
    @property
    def top(self) -> list[_TopProcess]: ...
    @property
    def outcome(self) -> Literal["stopped", "killed", "still_running", "unenforceable"] | None: ...
    @property
    def forced_after_ms(self) -> float | None: ...
    @property
    def verified_after_ms(self) -> float | None: ...
    @property
    def unproved(self) -> bool: ...
    @property
    def alive(self) -> list[int]: ...
    @property
    def summary(self) -> str: ...
    def to_dict(self) -> dict[str, Any]: ...

@final
class Report:
    def to_dict(self) -> _Report: ...

@final
class Session:
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    def incidents(self) -> list[Incident]: ...
    def report(self) -> Report | None: ...
    def end(self) -> Report | None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _raised: BaseException | None,
        _traceback: TracebackType | None,
        /,
    ) -> None: ...

class _Timer:
    def __enter__(self) -> Self: ...
    def __exit__(self, *raised: object) -> None: ...
    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]: ...

@final
class Monitor:
    def __new__(
        cls,
        interval: _Time | None = None,
        *,
        history: int = 300,
        stall_after: _Time | None = None,
        sources: Iterable[_Source] | None = None,
        probe: tuple[str, _Time, _Time] | None = None,
        proc_root: str | PathLike[str] | None = None,
        cgroup_root: str | PathLike[str] | None = None,
    ) -> Self: ...
    @property
    def interval(self) -> float: ...
    @property
    def is_running(self) -> bool: ...
    def latest(self) -> _Sample | None: ...
    def recent(self, count: int) -> list[_Sample]: ...
    def window(self, window: _Time) -> list[_Sample]: ...
    def sample_now(self) -> _Sample: ...
    def summary(self, metric: str, window: _Time) -> _Summary | None: ...
    def degraded(self) -> list[_Degraded]: ...
    def top_processes(self, count: int) -> list[_TopProcess]: ...
    def top_processes_by_memory(self, count: int) -> list[_TopProcess]: ...
    def subscribe(
        self, pattern: str, *, bound: int = 1024, policy: _Policy = "drop_oldest"
    ) -> Subscription: ...
    def stop(self) -> None: ...
    def frame(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    @property
    def is_paused(self) -> bool: ...
    def fps(self) -> float | None: ...
    def frame_times(self) -> _FrameTimes | None: ...
    def stalled(self) -> float | None: ...
    def latency(self, seconds: _Time) -> None: ...
    def response(self, seconds: _Time) -> None: ...
    def time(self) -> _Timer: ...
    def gauge(self, name: str, value: float) -> None: ...
    def clear_gauge(self, name: str) -> bool: ...

@final
class ProcessTable:
    def __new__(cls) -> Self: ...
    def by_cpu(self, before: ProcessTable, count: int) -> list[_TopProcess]: ...
    def by_memory(self, count: int) -> list[_TopProcess]: ...
    def __len__(self) -> int: ...

@final
class Supervisor:
    def __new__(
        cls,
        profiles: Iterable[Profile] | None = None,
        profile_folder: str | PathLike[str] | None = None,
        incident_file: str | PathLike[str] | None = None,
        monitor: Monitor | None = None,
        observe_only: bool = False,
        min_share: float | None = None,
        settle: _Time | None = None,
        *,
        verify: _Time | None = None,
        max_cancellations_per_minute: int | None = None,
    ) -> Self: ...
    @property
    def monitor(self) -> Monitor: ...
    def start(self, name: str, profile: str | Profile, *, coroutine: int | None = None) -> Task: ...
    @overload
    def task(
        self, profile: str | Profile, *, name: str | None = None, thread: Literal[False] = False
    ) -> Callable[[Callable[_P, _R]], Callable[..., _R]]: ...
    @overload
    def task(
        self, profile: str | Profile, *, name: str | None = None, thread: Literal[True]
    ) -> Callable[[Callable[_P, _R]], Callable[..., ThreadTask[_R]]]: ...
    def thread(
        self,
        target: Callable[..., _R],
        profile: str | Profile,
        args: Iterable[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        *,
        name: str | None = None,
    ) -> ThreadTask[_R]: ...
    def start_with(self, name: str, profile: str | Profile, stopper: _Stopper) -> CustomTask: ...
    @overload
    def run(
        self,
        args: Sequence[_Text],
        profile: str | Profile,
        *,
        stdin: _Stream = None,
        input: str | bytes | bytearray | None = None,
        stdout: None = None,
        stderr: None = None,
        capture_output: Literal[False] = False,
        text: bool = False,
        cwd: _Text | None = None,
        env: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
        check: bool = False,
        timeout: _Time | None = None,
        name: str | None = None,
        own_group: bool = False,
        keep_leftovers: bool = False,
        without_cgroup: bool = False,
    ) -> Finished[None]: ...
    @overload
    def run(
        self,
        args: Sequence[_Text],
        profile: str | Profile,
        *,
        stdin: _Stream = None,
        input: bytes | bytearray | None = None,
        stdout: None = None,
        stderr: None = None,
        capture_output: Literal[True],
        text: Literal[False] = False,
        cwd: _Text | None = None,
        env: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
        check: bool = False,
        timeout: _Time | None = None,
        name: str | None = None,
        own_group: bool = False,
        keep_leftovers: bool = False,
        without_cgroup: bool = False,
    ) -> Finished[bytes]: ...
    @overload
    def run(
        self,
        args: Sequence[_Text],
        profile: str | Profile,
        *,
        stdin: _Stream = None,
        input: str | bytes | bytearray | None = None,
        stdout: None = None,
        stderr: None = None,
        capture_output: Literal[True],
        text: Literal[True],
        cwd: _Text | None = None,
        env: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
        check: bool = False,
        timeout: _Time | None = None,
        name: str | None = None,
        own_group: bool = False,
        keep_leftovers: bool = False,
        without_cgroup: bool = False,
    ) -> Finished[str]: ...
    @overload
    def run(
        self,
        args: Sequence[_Text],
        profile: str | Profile,
        *,
        stdin: _Stream = None,
        input: str | bytes | bytearray | None = None,
        stdout: _Stream = None,
        stderr: _Stream = None,
        capture_output: bool = False,
        text: bool = False,
        cwd: _Text | None = None,
        env: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
        check: bool = False,
        timeout: _Time | None = None,
        name: str | None = None,
        own_group: bool = False,
        keep_leftovers: bool = False,
        without_cgroup: bool = False,
    ) -> Finished[Any]: ...
    def popen(
        self,
        args: Sequence[_Text],
        profile: str | Profile,
        *,
        stdin: _Stream = None,
        stdout: _Stream = None,
        stderr: _Stream = None,
        cwd: _Text | None = None,
        env: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
        name: str | None = None,
        own_group: bool = False,
        keep_leftovers: bool = False,
        without_cgroup: bool = False,
    ) -> ProcessTask: ...
    def token(self, id: int) -> Token: ...
    def stop(self, id: int, reason: str = "asked by the host") -> Token: ...
    def stop_all(self, reason: str = "asked by the host") -> list[Token]: ...
    def active(self) -> list[_TaskSummary]: ...
    def incidents(self, most: int = 1024) -> list[Incident]: ...
    def export_incidents(self, path: str | PathLike[str]) -> int: ...
    def status(self) -> _Status: ...
    def report(self) -> Report: ...
    def session(self, name: str) -> Session: ...
    def subscribe(
        self, pattern: str, *, bound: int = 1024, policy: _Policy = "drop_oldest"
    ) -> Subscription: ...
    def publish(self, topic: str, data: Any = None, *, subject: str | None = None) -> int: ...
    def profile(self, name: str) -> Profile: ...
    def parse_profile(self, name: str, text: str) -> Profile: ...
    def profile_names(self) -> list[str]: ...
    def insert_profile(self, profile: Profile) -> Profile | None: ...
    def reload_profiles(self) -> _Changes: ...
    def flush(self, timeout: _Time | None = None) -> None: ...
    def shutdown(self, timeout: _Time | None = None) -> list[_TaskSummary]: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _raised: BaseException | None,
        _traceback: TracebackType | None,
        /,
    ) -> None: ...

def current_task() -> Token | None: ...
def check() -> None: ...
def _error_kinds() -> list[tuple[str, int, str, int]]: ...
def _become_errand() -> None: ...
def _close() -> None: ...
