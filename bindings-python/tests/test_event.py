from __future__ import annotations

import threading

import pytest

import haltline


def test_the_life_of_a_task_is_told(supervisor):
    with supervisor.subscribe("task.*") as events:
        with supervisor.start("farm", "attack") as task:
            task.cancel("enough")
        first, second = events.get(20), events.get(20)
        assert (first.topic, first.subject, first.data["name"]) == ("task.started", str(task.id), "farm")
        assert second.topic == "task.cancelled"
        assert second.data["outcome"] == "stopped"
        assert second.to_dict()["specversion"] == "1.0"
        assert second.time > 1.5e9
        assert events.get(0.01) is None
        assert not events.has_ended
    assert list(events) == []
    assert events.has_ended


def test_what_was_lost_is_told_as_a_gap(supervisor):
    events = supervisor.subscribe("task.started", bound=2)
    for n in range(5):
        supervisor.start(str(n), "attack").finish()
    gap = events.get(1)
    assert isinstance(gap, haltline.Gap)
    assert (gap.first, gap.last, gap.lost) == (1, 3, 3)
    assert [events.get(1).data["name"] for _ in range(2)] == ["3", "4"]
    assert events.lost == 3


def test_iterating_ends_when_another_thread_closes(supervisor):
    events = supervisor.subscribe(">")
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(events))
    thread.start()
    supervisor.start("farm", "attack").finish()
    events.close()
    thread.join(20)
    assert not thread.is_alive()
    assert {"task.started", "task.finished"} <= {e.topic for e in seen}


@pytest.mark.parametrize("pattern", ["", ".", "a..b", "a b", ">.a"])
def test_malformed_patterns_are_refused(supervisor, pattern):
    with pytest.raises(haltline.InvalidArgumentError):
        supervisor.subscribe(pattern)
    with pytest.raises(haltline.InvalidArgumentError):
        supervisor.subscribe("a", bound=0)


def test_a_host_publishes_events_of_its_own(supervisor):
    with supervisor.subscribe("host.>", policy="drop_newest", bound=1) as events:
        assert (events.pattern, events.waiting) == ("host.>", 0)
        assert supervisor.publish("host.level.up", {"level": 7}, subject="hero") == 1
        assert supervisor.publish("other") == 0
        assert supervisor.publish("host.lost") == 1
        assert (events.waiting, events.lost) == (1, 1)
        event = events.get(1)
        assert (event.topic, event.subject, event.data) == ("host.level.up", "hero", {"level": 7})
        assert isinstance(events.get(1), haltline.Gap)
    with pytest.raises(haltline.InvalidArgumentError, match=r"a\.\.b"):
        supervisor.publish("a..b")
    with pytest.raises(TypeError, match="data"):
        supervisor.publish("a", object())
    with pytest.raises(ValueError, match="drop_oldest"):
        supervisor.subscribe("a", policy="block")


def test_an_event_is_shown_in_words_of_its_own(supervisor):
    events = supervisor.subscribe("farm.*")
    supervisor.publish("farm.began", {"field": 1}, subject="5")
    supervisor.publish("farm.ended")
    assert [repr(events.get(20)) for _ in range(2)] == [
        '<haltline.Event farm.began "5" {"field":1}>',
        "<haltline.Event farm.ended null>",
    ]
