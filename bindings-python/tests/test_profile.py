from __future__ import annotations

import json
import pickle
from datetime import timedelta

import pytest

import haltline
from haltline import Profile


def test_the_built_in_profiles_are_there(supervisor):
    assert {"attack", "buff", "craft", "dance", "heal", "travel"} <= set(supervisor.profile_names())
    attack = Profile.built_in("attack")
    assert (attack.name, attack.level, attack.max_duration, attack.blame) == (
        "attack",
        "risky",
        300.0,
        "culprit",
    )
    assert attack.host == {
        "max_cpu_percent": 80.0,
        "max_memory_percent": 85.0,
        "min_fps": 15.0,
        "max_latency_ms": 500.0,
        "max_response_ms": 1000.0,
    }
    assert attack == supervisor.profile("attack")
    with pytest.raises(haltline.UnknownProfileError):
        Profile.built_in("atack")


def test_keywords_are_the_keys_of_a_file():
    raid = Profile(
        "raid",
        extends="attack",
        level="dangerous",
        max_duration=5.0,
        sustain="2s",
        grace=timedelta(seconds=1),
        auto_cancel=False,
        blame="any",
        notify=["discord"],
        host={"max_cpu_percent": 70, "min_fps": None},
        task={"max_memory_mib": 512, "max_idle": timedelta(seconds=30)},
        advisory=["task.max_memory_mib"],
    )
    assert (raid.level, raid.max_duration, raid.sustain, raid.grace) == ("dangerous", 5.0, 2.0, 1.0)
    assert (raid.auto_cancel, raid.blame, raid.notify) == (False, "any", ["discord"])
    assert raid.host["max_cpu_percent"] == 70
    assert "min_fps" not in raid.host
    assert raid.host["max_memory_percent"] == 85
    assert raid.task["max_memory_mib"] == 512
    assert raid.advisory == ["task.max_memory_mib"]


def test_a_profile_extends_another_object():
    base = Profile("base", max_duration=9, task={"max_cpu_percent": 50})
    child = Profile("child", extends=base, max_duration=None)
    assert child.max_duration is None
    assert child.task == {"max_cpu_percent": 50.0}


def test_a_profile_survives_its_dictionary_its_text_and_pickle():
    raid = Profile("raid", extends="attack", task={"max_idle": "30s"})
    assert Profile(raid.name, **raid.to_dict()) == raid
    assert Profile.parse("raid", json.dumps(raid.to_dict())) == raid
    assert pickle.loads(pickle.dumps(raid)) == raid
    assert len({raid, pickle.loads(pickle.dumps(raid)), Profile("other")}) == 2
    assert raid != Profile("raid")


def test_the_older_format_is_read():
    old = {
        "safety_level": "risky",
        "max_duration": 300,
        "thresholds": {"cpu_usage": 80, "fps": 15},
        "auto_cancel": True,
    }
    assert Profile.parse("old", json.dumps(old)).host["max_cpu_percent"] == 80
    assert Profile("old", **old).blame == "any"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"max_durations": 5}, "max_durations"),
        ({"host": {"max_cpu": 5}}, "max_cpu_percent"),
        ({"max_duration": -1}, "max_duration"),
        ({"task": {"max_memory_mib": 0}}, "max_memory_mib"),
        ({"level": "wild"}, "wild"),
        ({"extends": "nobody"}, "nobody"),
        ({"advisory": ["host.min_fps"]}, "host.min_fps"),
        ({"host": []}, "host"),
    ],
)
def test_bad_settings_name_key_and_value(settings, named):
    with pytest.raises(haltline.InvalidProfileError, match=named) as caught:
        Profile("bad", **settings)
    assert isinstance(caught.value, ValueError)
    assert "bad" in str(caught.value)


def test_values_that_no_profile_can_hold_are_refused():
    for value in (float("nan"), float("inf")):
        with pytest.raises(haltline.InvalidProfileError, match=r'"bad".*max_cpu_percent'):
            Profile("bad", host={"max_cpu_percent": value})
    with pytest.raises(TypeError, match="max_duration"):
        Profile("bad", max_duration=object())
    with pytest.raises(TypeError):
        Profile("bad", host={1: 2})
    with pytest.raises(TypeError):
        Profile(3)
    with pytest.raises(ValueError, match="name"):
        Profile("a\0b")
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="nested"):
        Profile("bad", notify=loop)


def test_profiles_can_be_replaced_while_tasks_run(supervisor):
    with supervisor.start("farm", "attack") as task:
        before = supervisor.insert_profile(Profile("attack", max_duration=1))
        assert before == Profile.built_in("attack")
        assert task.profile == before
    assert supervisor.insert_profile(Profile("new")) is None
    assert "new" in supervisor.profile_names()


def test_a_running_task_takes_another_profile_when_asked(supervisor):
    with supervisor.start("farm", "attack") as task:
        task.replace_profile("travel")
        assert task.profile == Profile.built_in("travel")
        task.replace_profile(Profile("mine", max_duration=3600))
        assert [t["profile"] for t in supervisor.active()] == ["mine"]
        with pytest.raises(haltline.UnknownProfileError, match="travel"):
            task.replace_profile("trafel")
        with pytest.raises(haltline.LimitRefusedError, match="max_memory_mib"):
            task.replace_profile(Profile("large", task={"max_memory_mib": 5}))
        with pytest.raises(TypeError, match="profile"):
            task.replace_profile(5)
        assert task.profile.name == "mine"
        # The hundredth of a second has passed by the time anybody looks.
        task.replace_profile(Profile("short", max_duration=0.01))
        with pytest.raises(haltline.Cancelled, match="max_duration"):
            task.sleep(20)
        with pytest.raises(haltline.UnknownTaskError, match="was cancelled"):
            task.replace_profile("attack")
    with pytest.raises(haltline.UnknownTaskError):
        task.replace_profile("attack")


def test_a_cap_of_no_cancellations_is_refused():
    with pytest.raises(
        haltline.InvalidArgumentError, match="settle: 1e300 is longer than 100 years, the longest"
    ):
        haltline.Supervisor(settle=1e300)
    with pytest.raises(haltline.InvalidArgumentError, match="max_cancellations_per_minute is 0"):
        haltline.Supervisor(max_cancellations_per_minute=0)
    for wrong in (-1, 10**30):
        with pytest.raises(
            haltline.InvalidArgumentError, match=f"max_cancellations_per_minute: {wrong} is out"
        ):
            haltline.Supervisor(max_cancellations_per_minute=wrong)
    with pytest.raises(TypeError, match="max_cancellations_per_minute: expected a whole number, not str"):
        haltline.Supervisor(max_cancellations_per_minute="ten")


def test_a_folder_is_read_and_reloaded(tmp_path):
    (tmp_path / "mining.json").write_text('{"extends": "attack", "max_duration": "5m"}')
    with haltline.Supervisor(profile_folder=tmp_path, profiles=[Profile("coded")]) as supervisor:
        assert supervisor.profile("mining").max_duration == 300
        assert supervisor.profile("coded")
        (tmp_path / "mining.json").write_text('{"max_duration": "6m"}')
        (tmp_path / "fishing.json").write_text("{}")
        assert supervisor.reload_profiles() == {"added": ["fishing"], "changed": ["mining"], "removed": []}
        (tmp_path / "fishing.json").write_text('{"max_duratoin": 1}')
        with pytest.raises(haltline.InvalidProfileError, match=r"fishing\.json.*max_duration"):
            supervisor.reload_profiles()
        assert supervisor.profile("mining").max_duration == 360
    with pytest.raises(haltline.IoError) as caught:
        haltline.Supervisor(profile_folder=tmp_path / "missing")
    assert caught.value.errno == 2


def test_a_profile_says_which_executors_can_keep_it():
    small = Profile("small", task={"max_memory_mib": 64})
    small.accepts("process")
    with pytest.raises(haltline.LimitRefusedError, match="max_memory_mib"):
        small.accepts("thread")
    Profile("small", extends=small, advisory=["task.max_memory_mib"]).accepts("thread")
    with pytest.raises(ValueError, match="cooperative"):
        small.accepts("wizard")


def test_a_text_is_read_against_the_profiles_of_a_supervisor(supervisor):
    supervisor.insert_profile(Profile("base", max_duration=7))
    assert supervisor.parse_profile("deep", '{"extends": "base"}').max_duration == 7
    assert "deep" not in supervisor.profile_names()
    with pytest.raises(haltline.InvalidProfileError, match="base"):
        Profile.parse("deep", '{"extends": "base"}')


def test_settings_that_are_no_keywords_are_refused_with_what_would_be_right():
    with pytest.raises(TypeError, match=r'as keywords: Profile\("request", \*\*settings\)'):
        Profile("request", {"max_duration": 5})


def test_a_bound_that_no_float_can_hold_is_refused():
    with pytest.raises(haltline.InvalidProfileError, match="max_memory_mib"):
        Profile("huge", task={"max_memory_mib": 10**400})
