from __future__ import annotations

import inspect

import pytest
from conftest import until

import haltline


def test_a_call_is_a_task_and_returns_what_the_function_returns(supervisor):
    @supervisor.task("attack")
    def farm(rows, *, task):
        """Farms."""
        task.check()
        return rows, task.name, haltline.current_task() is task

    assert farm(3) == (3, "farm", True)
    assert (farm.__name__, farm.__doc__) == ("farm", "Farms.")
    assert "rows" in inspect.signature(farm).parameters
    assert supervisor.status()["finished"] == 1


def test_a_function_without_a_task_parameter_gets_none(supervisor):
    @supervisor.task(haltline.Profile("p"), name="named")
    def farm(rows):
        return rows, haltline.current_task().name

    assert farm(rows=3) == (3, "named")


def test_exceptions_and_cancellations_pass(supervisor):
    @supervisor.task("attack")
    def broken():
        raise KeyError("sword")

    @supervisor.task("quick")
    def endless():
        while True:
            haltline.check()

    with pytest.raises(KeyError):
        broken()
    with pytest.raises(haltline.Cancelled):
        endless()
    until(lambda: supervisor.active() == [])


def test_methods_are_bound(supervisor):
    class Hero:
        level = 7

        @supervisor.task("attack")
        def fight(self):
            return self.level

        @staticmethod
        @supervisor.task("attack")
        def rest():
            return haltline.current_task().name

    assert Hero().fight() == 7
    assert Hero.rest() == "rest"


def test_a_thread_task_is_returned_at_once(supervisor):
    @supervisor.task("attack", thread=True)
    def add(a, b, task):
        return a + b, task.name

    started = add(1, b=2)
    assert isinstance(started, haltline.ThreadTask)
    assert started.join(10) == (3, "add")


def test_recursion_nests_tasks(supervisor):
    @supervisor.task("attack")
    def down(n, task):
        return [task.id, *(down(n - 1) if n else [])]

    ids = down(3)
    assert sorted(set(ids)) == ids


def test_what_does_not_run_when_called_is_refused(supervisor):
    async def coroutine():
        pass

    def generator():
        yield

    async def asynchronous_generator():
        yield

    for function in (coroutine, generator, asynchronous_generator):
        with pytest.raises(TypeError, match="not supported"):
            supervisor.task("attack")(function)
        with pytest.raises(TypeError, match="not supported"):
            supervisor.monitor.time()(function)
    with pytest.raises(TypeError, match="expected a function"):
        supervisor.task("attack")(3)
    with pytest.raises(TypeError, match="profile"):
        supervisor.task(lambda: None)


def test_a_call_that_gives_a_task_of_its_own_keeps_it(supervisor):
    @supervisor.task("attack")
    def section(task, n=0):
        return task, n

    @supervisor.task("attack", thread=True)
    def thread(task, n=0):
        return task, n

    assert section("mine", 5) == ("mine", 5)
    assert section(task="mine") == ("mine", 0)
    assert thread("mine", 5).join(10) == ("mine", 5)
    assert thread(task="mine").join(10) == ("mine", 0)
    started = thread()
    assert started.join(10) == (started, 0)
