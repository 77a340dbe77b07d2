from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from conftest import until

import haltline


def test_a_task_runs_from_start_to_the_end_of_its_block(supervisor):
    with supervisor.start("farm", "attack") as task:
        assert (task.name, task.is_finished, task.is_cancelled) == ("farm", False, False)
        assert task.profile == haltline.Profile.built_in("attack")
        task.check()
        task.progress()
        assert [t["id"] for t in supervisor.active()] == [task.id]
    assert task.is_finished
    assert supervisor.active() == []
    assert supervisor.status()["finished"] == 1


def test_a_cancelled_task_raises_and_the_exception_leaves_its_block(supervisor):
    with pytest.raises(haltline.Cancelled) as caught, supervisor.start("farm", "quick") as task:
        task.sleep(30)
    assert caught.value.task_id == task.id
    assert caught.value.cause["kind"] == "breach"
    assert caught.value.cause["limit"] == "max_duration"
    assert "farm" in str(caught.value)
    assert task.wait_outcome(10) == "stopped"
    assert task.cause == caught.value.cause


def test_except_exception_does_not_swallow_a_cancellation(supervisor):
    task = supervisor.start("stubborn", "attack")
    assert task.cancel("enough")
    assert not task.cancel("again")
    with pytest.raises(haltline.Cancelled, match="enough"):
        try:
            task.check()
        except Exception:
            pytest.fail("swallowed")
    assert task.cause == {"kind": "asked", "reason": "enough", "message": "stop requested: enough"}
    assert not task.finish()


def test_check_and_progress_and_sleep_all_raise_once_cancelled(supervisor):
    with supervisor.start("farm", "attack") as task:
        supervisor.stop(task.id, "by id")
        for call in (task.check, task.progress, lambda: task.sleep(5), haltline.check):
            with pytest.raises(haltline.Cancelled, match="by id"):
                call()


def test_nested_code_finds_the_innermost_task_of_its_thread(supervisor):
    assert haltline.current_task() is None
    haltline.check()
    with supervisor.start("outer", "attack") as outer:
        with supervisor.start("inner", "attack") as inner:
            assert haltline.current_task() is inner
            seen = []
            thread = threading.Thread(target=lambda: seen.append(haltline.current_task()))
            thread.start()
            thread.join()
            assert seen == [None]
        assert haltline.current_task() is outer
    assert haltline.current_task() is None


def test_a_check_sees_the_cancellation_of_every_section_around_it(supervisor):
    with supervisor.start("outer", "attack") as outer:
        with (
            pytest.raises(haltline.Cancelled, match="the whole macro"),
            supervisor.start("middle", "attack"),
            supervisor.start("inner", "attack") as inner,
        ):
            haltline.check()
            outer.cancel("the whole macro")
            inner.check()
            inner.cancel("the helper")
            haltline.check()
        with pytest.raises(haltline.Cancelled, match="the whole macro"):
            haltline.check()
    haltline.check()


def test_sections_need_not_end_in_order(supervisor):
    first = supervisor.start("first", "attack")
    second = supervisor.start("second", "attack")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert haltline.current_task() is second
    second.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert haltline.current_task() is None


def test_a_section_that_was_left_on_another_thread_is_forgotten_by_its_own(supervisor):
    """As a generator that a pool of threads iterates, each time on another one."""
    tasks = []

    def stream():
        with supervisor.start("stream", "attack") as task:
            tasks.append(task)
            yield
            yield

    def request():
        assert haltline.current_task() is None
        haltline.check()
        with supervisor.start("request", "attack") as task:
            assert haltline.current_task() is task
            haltline.check()
        assert haltline.current_task() is None

    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        generator = stream()
        first.submit(next, generator).result()
        tasks[0].cancel("the client has gone")
        assert second.submit(list, generator).result() == [None]
        assert tasks[0].is_finished
        held = sys.getrefcount(tasks[0])
        for worker in (first, second, first):
            worker.submit(request).result()
        held -= sys.getrefcount(tasks[0])
        assert held == 1


def test_a_task_that_is_entered_is_not_entered_again(supervisor):
    with supervisor.start("farm", "attack") as task:
        with pytest.raises(haltline.InvalidArgumentError, match='"farm" is entered already'), task:
            pytest.fail("the rest of the outer block would be unsupervised")
        assert not task.is_finished
        assert haltline.current_task() is task


def test_a_finished_task_is_not_entered_again(supervisor):
    task = supervisor.start("farm", "attack")
    task.finish()
    with pytest.raises(haltline.UnknownTaskError, match='"farm" has finished'), task:
        pytest.fail("unsupervised")
    with supervisor.start("farm", "attack") as task:
        pass
    with pytest.raises(haltline.UnknownTaskError, match="start another one"), task:
        pytest.fail("unsupervised")
    assert haltline.current_task() is None


def test_an_exception_of_the_body_passes_and_the_task_ends(supervisor):
    with pytest.raises(ZeroDivisionError), supervisor.start("farm", "attack") as task:
        1 / 0  # noqa: B018
    assert task.is_finished
    assert not task.is_cancelled


def test_a_task_that_nothing_refers_to_has_ended(supervisor):
    task = supervisor.start("farm", "attack")
    del task
    assert supervisor.active() == []


def test_handlers_run_once_with_the_outcome_and_only_after_a_cancellation(supervisor):
    seen = []
    with supervisor.start("well", "attack") as task:
        task.on_cancel(lambda outcome: seen.append("never"))
    task = supervisor.start("ill", "attack")
    task.on_cancel(lambda outcome: seen.append(("first", outcome)))
    task.on_cancel(lambda outcome: seen.append(("second", outcome)))
    task.cancel("now")
    task.finish()
    assert task.wait_outcome(10) == "stopped"
    until(lambda: len(seen) == 2)
    assert seen == [("first", "stopped"), ("second", "stopped")]
    task.on_cancel(lambda outcome: seen.append(("late", outcome)))
    assert seen[2:] == [("late", "stopped")]


def test_a_handler_that_raises_is_reported_and_does_not_stop_the_others(supervisor, monkeypatch):
    reported, seen = [], []
    monkeypatch.setattr("threading.excepthook", lambda report: reported.append(repr(report.exc_value)))
    task = supervisor.start("ill", "attack")

    def broken(outcome):
        raise ValueError("out of mana")

    task.on_cancel(broken)
    task.on_cancel(seen.append)
    task.cancel("now")
    task.finish()
    until(lambda: seen and reported)
    assert seen == ["stopped"]
    assert reported == ["ValueError('out of mana')"]
    with pytest.raises(ValueError, match="mana"):
        task.on_cancel(broken)


def test_a_task_that_does_not_leave_is_still_running_and_may_stop_later(supervisor):
    supervisor = haltline.Supervisor(verify=0.05)
    task = supervisor.start("deaf", haltline.Profile("deaf", grace=0.05))
    task.cancel("leave")
    assert task.wait_outcome(10) == "still_running"
    assert supervisor.status()["still_running"] == 1
    task.finish()
    until(lambda: task.outcome == "stopped")


def test_names_may_be_of_any_script(supervisor):
    name = "Überfall ⚔ 攻撃"
    with supervisor.start(name, "attack") as task:
        assert task.name == name
        assert name in repr(task)
        assert supervisor.active()[0]["name"] == name


@pytest.mark.parametrize("time", [0, 0.001, "1ms", timedelta(milliseconds=1)])
def test_times_are_seconds_texts_or_timedeltas(supervisor, time):
    with supervisor.start("farm", "attack") as task:
        task.sleep(time)


HUGE = 10**400


@pytest.mark.parametrize(
    "time",
    [
        *(-1, float("nan"), float("inf"), 1e30, "soon", "-5s", timedelta(seconds=-1)),
        *(pytest.param(HUGE, id="huge"), pytest.param(-HUGE, id="-huge")),
    ],
)
def test_times_that_make_no_sense_are_refused(supervisor, time):
    with (
        supervisor.start("farm", "attack") as task,
        pytest.raises(haltline.InvalidArgumentError, match="seconds"),
    ):
        task.sleep(time)


@pytest.mark.parametrize("time", [None, [], True, b"5s", object()])
def test_what_is_no_time_is_a_type_error(supervisor, time):
    with supervisor.start("farm", "attack") as task, pytest.raises(TypeError, match="seconds"):
        task.sleep(time)


def test_wrong_arguments_say_what_was_expected(supervisor):
    with pytest.raises(TypeError, match="profile: expected a Profile or the name of one, not int"):
        supervisor.start("farm", 3)
    with pytest.raises(TypeError):
        supervisor.start(3, "attack")
    with pytest.raises(UnicodeEncodeError):
        supervisor.start("\udcff", "attack")
    with pytest.raises(haltline.UnknownProfileError, match='did you mean "attack"'):
        supervisor.start("farm", "atack")
    with pytest.raises(TypeError, match="handler"):
        supervisor.start("farm", "attack").on_cancel(3)
    with pytest.raises(haltline.UnknownTaskError):
        supervisor.stop(10**9)
    with pytest.raises(haltline.LimitRefusedError, match="max_memory_mib"):
        supervisor.start("farm", haltline.Profile("p", task={"max_memory_mib": 5}))


def test_nothing_starts_after_a_shutdown(supervisor):
    assert supervisor.shutdown() == []
    with pytest.raises(haltline.ShutDownError):
        supervisor.start("late", "heal")


def test_stop_all_stops_every_task_and_names_them(supervisor):
    tasks = [supervisor.start(str(n), "attack") for n in range(5)]
    stopped = supervisor.stop_all("evacuate")
    assert sorted(t.id for t in stopped) == [t.id for t in tasks]
    assert supervisor.stop_all() == []
    assert supervisor.token(tasks[0].id).is_cancelled


def test_an_observing_supervisor_cancels_nobody():
    with haltline.Supervisor(observe_only=True) as supervisor:
        with supervisor.start("long", haltline.Profile("p", max_duration=0.02)) as task:
            until(lambda: supervisor.status()["recorded"] == 1)
            task.check()
        assert supervisor.status()["observing"]
        assert supervisor.incidents()[0].reason == "observing"


def test_the_end_of_a_task_can_be_waited_for(supervisor):
    task = supervisor.start("farm", "attack")
    assert not task.wait_finished(0.01)
    threading.Timer(0.02, task.finish).start()
    assert task.wait_finished(20)
    assert task.wait_finished()
    with pytest.raises(ValueError, match="timeout"):
        task.wait_finished(-1)


def test_a_section_cannot_be_forced_so_a_kill_only_asks(supervisor):
    task = supervisor.start("deaf", haltline.Profile("patient", grace=1000))
    assert task.kill("now")
    assert not task.kill()
    assert task.wait_outcome(20) == "still_running"
    with pytest.raises(haltline.Cancelled, match="now"):
        task.check()
    task.finish()
    until(lambda: task.outcome == "stopped")


def test_a_handler_waits_until_a_thread_can_be_had(supervisor, no_thread):
    seen = []
    task = supervisor.start("ill", "attack")
    task.on_cancel(lambda outcome: seen.append(("first", outcome)))
    task.on_cancel(lambda outcome: seen.append(("second", outcome)))
    task.cancel("now")
    task.finish()
    assert task.wait_outcome(20) == "stopped"
    until(lambda: len(no_thread.refused) >= 3)
    assert seen == []
    no_thread.end()
    until(lambda: len(seen) == 2)
    assert seen == [("first", "stopped"), ("second", "stopped")]


def test_times_need_no_module_that_cannot_be_loaded(run_python):
    done = run_python("""
import sys
sys.modules["datetime"] = None  # As where no further file can be opened.
import haltline
s = haltline.Supervisor()
s.flush(3)
s.publish("farm.began", {"field": 1})
try:
    s.flush(object())
except ImportError as refused:
    print(refused)
""")
    assert (done.returncode, done.stderr) == (0, "")
    assert "datetime" in done.stdout


def test_a_handler_that_shuts_down_does_not_wait_for_itself(supervisor):
    left = []

    def end(outcome):
        try:
            left.append(supervisor.shutdown(3))
        except haltline.Error as raised:
            left.append(raised)

    task = supervisor.start("ill", "attack")
    task.on_cancel(end)
    task.cancel("now")
    task.finish()
    until(lambda: left)
    assert left == [[]]


TEXTS = {
    "start": (lambda s: s.start(5, "attack"), "name"),
    "session": (lambda s: s.session(5), "name"),
    "run": (lambda s: s.run(["true"], "attack", name=5), "name"),
    "popen": (lambda s: s.popen(["true"], "attack", name=5), "name"),
    "thread": (lambda s: s.thread(print, "attack", name=5), "name"),
    "task": (lambda s: s.task("attack", name=5), "name"),
    "cancel": (lambda s: s.start("farm", "attack").cancel(5), "reason"),
    "kill": (lambda s: s.start("farm", "attack").kill(5), "reason"),
    "stop": (lambda s: s.stop(1, 5), "reason"),
    "stop_all": (lambda s: s.stop_all(5), "reason"),
    "publish": (lambda s: s.publish(5), "topic"),
    "subject": (lambda s: s.publish("a", subject=5), "subject"),
    "subscribe": (lambda s: s.subscribe(5), "pattern"),
    "policy": (lambda s: s.subscribe("a", policy=5), "policy"),
    "profile": (lambda s: s.profile(5), "name"),
    "parse_profile": (lambda s: s.parse_profile("a", 5), "text"),
    "Profile": (lambda s: haltline.Profile(5), "name"),
    "built_in": (lambda s: haltline.Profile.built_in(5), "name"),
    "parse": (lambda s: haltline.Profile.parse("a", 5), "text"),
    "accepts": (lambda s: haltline.Profile("a").accepts(5), "executor"),
    "summary": (lambda s: s.monitor.summary(5, 1), "metric"),
    "gauge": (lambda s: s.monitor.gauge(5, 1), "name"),
    "clear_gauge": (lambda s: s.monitor.clear_gauge(5), "name"),
    "sources": (lambda s: haltline.Monitor(sources=[5]), "sources"),
}


@pytest.mark.parametrize("call", TEXTS)
def test_an_argument_that_is_no_text_is_named(supervisor, call):
    wrong, name = TEXTS[call]
    with pytest.raises(TypeError, match=f"{name}: expected a text, not int"):
        wrong(supervisor)


NUMBERS = {
    "incidents": (lambda s: s.incidents(HUGE), "most"),
    "negative": (lambda s: s.incidents(-1), "most"),
    "subscribe": (lambda s: s.subscribe("a", bound=HUGE), "bound"),
    "monitor": (lambda s: s.monitor.subscribe("a", bound=-1), "bound"),
    "history": (lambda s: haltline.Monitor(history=HUGE), "history"),
    "recent": (lambda s: s.monitor.recent(HUGE), "count"),
    "token": (lambda s: s.token(-1), "id"),
    "stop": (lambda s: s.stop(-1), "id"),
    "signal": (lambda s: s.popen(["true"], "attack").signal(HUGE), "signal"),
    "min_share": (lambda s: haltline.Supervisor(min_share=HUGE), "min_share"),
    "settle": (lambda s: haltline.Supervisor(settle=HUGE), "settle"),
    "verify": (lambda s: haltline.Supervisor(verify=-HUGE), "verify"),
    "gauge": (lambda s: s.monitor.gauge("a", HUGE), "gauge"),
}


@pytest.mark.parametrize("call", NUMBERS)
def test_a_number_out_of_range_is_an_invalid_argument_that_is_named(supervisor, call):
    wrong, name = NUMBERS[call]
    with pytest.raises(haltline.InvalidArgumentError, match=name):
        wrong(supervisor)


def test_what_is_no_number_is_named(supervisor):
    for wrong, name in (
        (lambda: supervisor.incidents("all"), "most: expected a whole number, not str"),
        (lambda: supervisor.stop("farm"), "id: expected a whole number, not str"),
        (lambda: haltline.Supervisor(min_share="most"), "min_share: expected a number, not str"),
        (lambda: supervisor.monitor.gauge("a", "b"), "value: expected a number, not str"),
    ):
        with pytest.raises(TypeError, match=name):
            wrong()
