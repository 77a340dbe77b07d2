from __future__ import annotations

import haltline
from haltline import _haltline


def test_every_kind_of_the_core_has_its_class_and_no_class_is_without_a_kind():
    table = _haltline._error_kinds()
    assert [number for _, number, _, _ in table] == list(range(1, len(table) + 1))
    for name, number, slug, status in table:
        kind = getattr(haltline, name)
        assert (kind.number, kind.kind, kind.__module__, kind.__name__) == (number, slug, "haltline", name)
        assert slug in kind.__doc__ or kind is haltline.Cancelled
        assert name in haltline.__all__
        assert 400 <= status < 600
        assert issubclass(kind, haltline.Error) != (kind is haltline.Cancelled)
    named = {name for name, *_ in table}
    public = (getattr(haltline, name) for name in haltline.__all__)
    classes = {c.__name__ for c in public if isinstance(c, type) and issubclass(c, BaseException)}
    assert classes - {"Error"} == named


def test_errors_are_what_a_python_user_would_catch():
    expected = {
        "BufferTooSmallError": ValueError,
        "InvalidArgumentError": ValueError,
        "InvalidProfileError": ValueError,
        "LimitRefusedError": ValueError,
        "UnknownProfileError": LookupError,
        "UnknownTaskError": LookupError,
        "UnsupportedError": NotImplementedError,
        "CommandNotFoundError": FileNotFoundError,
        "CommandNotExecutableError": PermissionError,
        "SpawnFailedError": OSError,
        "IoError": OSError,
        "ShutDownError": RuntimeError,
        "PanickedError": RuntimeError,
        "TimedOutError": TimeoutError,
        "Cancelled": BaseException,
    }
    assert set(expected) == {name for name, *_ in _haltline._error_kinds()}
    for name, base in expected.items():
        assert issubclass(getattr(haltline, name), base)
    assert not issubclass(haltline.Cancelled, Exception)


def test_a_cancellation_can_be_made_and_raised_by_hand():
    made = haltline.Cancelled("enough")
    assert (made.task_id, made.cause, str(made), made.kind) == (None, {}, "enough", "cancelled")


def test_every_public_thing_is_documented():
    for name in haltline.__all__:
        thing = getattr(haltline, name)
        if isinstance(thing, (int, str)):
            continue
        assert thing.__doc__, name
        if isinstance(thing, type) and not issubclass(thing, BaseException):
            for attribute, value in vars(thing).items():
                assert attribute.startswith("_") or value.__doc__, f"{name}.{attribute}"
