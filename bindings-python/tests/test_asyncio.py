"""Sections in coroutines, which take turns on one thread."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Iterator
from contextvars import copy_context

import pytest
from conftest import until

import haltline


def work(seconds: float) -> None:
    """Keeps this thread busy."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def cpu_of(supervisor: haltline.Supervisor, name: str) -> float | None:
    return next(t.get("cpu_s") for t in supervisor.active() if t["name"] == name)


def test_a_coroutine_is_not_cancelled_for_what_another_uses():
    tight = haltline.Profile("tight", max_duration="1h", task={"max_cpu_seconds": 0.2})
    roomy = haltline.Profile("roomy", max_duration="1h")

    async def hog(supervisor: haltline.Supervisor) -> None:
        with supervisor.start("hog", roomy):
            while (cpu_of(supervisor, "around") or 0) < 0.6:
                work(0.01)
                await asyncio.sleep(0)

    async def healthy(supervisor: haltline.Supervisor) -> None:
        with supervisor.start("healthy", tight) as task:
            while True:
                task.check()
                await asyncio.sleep(0.01)

    async def both(supervisor: haltline.Supervisor) -> None:
        hogs = asyncio.create_task(hog(supervisor))
        await asyncio.sleep(0)
        waits = asyncio.create_task(healthy(supervisor))
        done, _ = await asyncio.wait([hogs, waits], timeout=20, return_when=asyncio.FIRST_COMPLETED)
        assert done == {hogs}, waits.exception()
        waits.cancel()

    with haltline.Supervisor(monitor=haltline.Monitor(interval=0.02)) as supervisor:
        with supervisor.start("around", roomy):
            asyncio.run(both(supervisor))
        assert supervisor.incidents() == []


def test_a_check_in_a_coroutine_looks_at_its_own_sections_and_those_around_the_loop(supervisor):
    async def coroutine(name: str) -> str:
        with supervisor.start(name, "attack") as task:
            await asyncio.sleep(0)
            if name == "ill":
                task.cancel("only this one")
            await asyncio.sleep(0)
            assert haltline.current_task() is task
            try:
                haltline.check()
            except haltline.Cancelled as cancelled:
                return str(cancelled)
            return "well"

    async def several() -> list[str]:
        return await asyncio.gather(*(coroutine(name) for name in ("well", "ill", "well too")))

    with supervisor.start("around", "attack") as around:
        ends = asyncio.run(several())
        assert [ends[0], ends[2]] == ["well", "well"]
        assert "only this one" in ends[1]
        around.cancel("everything")
        ends = asyncio.run(several())
        assert all("everything" in end for end in ends)


async def polls() -> None:
    """Work of a library that looks now and then whether it is to stop."""
    haltline.check()
    await asyncio.sleep(0)
    haltline.check()


async def waits_for() -> None:
    await asyncio.wait_for(polls(), 20)


async def gathers() -> None:
    await asyncio.gather(polls(), polls())


async def creates_a_task() -> None:
    await asyncio.create_task(polls())


async def uses_a_thread() -> None:
    await asyncio.to_thread(haltline.check)


@pytest.mark.parametrize("work", [polls, waits_for, gathers, creates_a_task, uses_a_thread])
@pytest.mark.parametrize("ill", ["first", "second"])
def test_what_a_section_starts_sees_its_cancellation_and_no_other(supervisor, work, ill):
    async def request(name: str) -> str:
        with supervisor.start(name, "attack") as task:
            # All are open before one is cancelled.
            await asyncio.sleep(0)
            if name == ill:
                task.cancel(f"{name} only")
            await asyncio.sleep(0)
            try:
                await work()
            except haltline.Cancelled as cancelled:
                return cancelled.cause["reason"]
            return "well"

    async def several() -> list[str]:
        return await asyncio.gather(request("first"), request("second"))

    ends = asyncio.run(several())
    assert ends == [f"{name} only" if name == ill else "well" for name in ("first", "second")]


def test_a_coroutine_outside_of_all_sections_sees_nothing_of_others(supervisor):
    async def background(cancelled: asyncio.Event) -> None:
        await cancelled.wait()
        assert haltline.current_task() is None
        haltline.check()

    async def main() -> None:
        cancelled = asyncio.Event()
        other = asyncio.create_task(background(cancelled))
        with supervisor.start("main", "attack") as task:
            task.cancel("not the other")
            cancelled.set()
            await other

    asyncio.run(main())


def test_a_section_that_was_left_is_not_around_what_it_started(supervisor):
    async def outlives(left: asyncio.Event) -> None:
        assert haltline.current_task().name == "main"
        await left.wait()
        assert haltline.current_task() is None
        haltline.check()
        with supervisor.start("own", "attack") as own:
            assert haltline.current_task() is own
            haltline.check()

    async def main() -> None:
        left = asyncio.Event()
        with supervisor.start("main", "attack") as task:
            other = asyncio.create_task(outlives(left))
            await asyncio.sleep(0)
            task.cancel("only until it is left")
        left.set()
        await other

    asyncio.run(main())


def test_sections_of_one_coroutine_nest_and_need_not_end_in_order(supervisor):
    async def main() -> None:
        first, second = supervisor.start("first", "attack"), supervisor.start("second", "attack")
        first.__enter__()
        second.__enter__()
        second.cancel("the inner one")
        assert haltline.current_task() is second
        with pytest.raises(haltline.Cancelled, match="the inner one"):
            haltline.check()
        first.cancel("the outer one")
        with pytest.raises(haltline.Cancelled, match="the outer one"):
            haltline.check()
        first.__exit__(None, None, None)
        assert haltline.current_task() is second
        second.__exit__(None, None, None)
        assert haltline.current_task() is None
        haltline.check()

    asyncio.run(main())


def test_a_section_may_be_left_by_another_coroutine(supervisor):
    async def leaves(task: haltline.Task) -> None:
        task.__exit__(None, None, None)

    async def main() -> None:
        task = supervisor.start("session", "attack").__enter__()
        task.cancel("enough")
        await asyncio.create_task(leaves(task))
        assert task.is_finished
        assert haltline.current_task() is None
        haltline.check()

    asyncio.run(main())


def test_a_thread_of_a_section_nests_sections_of_its_own(supervisor):
    def inner(outer: haltline.Task) -> None:
        assert haltline.current_task() is outer
        with supervisor.start("inner", "attack") as task:
            assert haltline.current_task() is task
            outer.cancel("all of it")
            with pytest.raises(haltline.Cancelled, match="all of it"):
                haltline.check()
        assert haltline.current_task() is outer

    async def main() -> None:
        with supervisor.start("outer", "attack") as outer:
            await asyncio.to_thread(inner, outer)

    asyncio.run(main())


def test_a_coroutine_never_has_the_number_of_an_open_section_of_another():
    """An asyncio task that has ended leaves its address to the next one."""
    tight = haltline.Profile("tight", max_duration="1h", task={"max_cpu_seconds": 0.2})
    roomy = haltline.Profile("roomy", max_duration="1h")
    addresses = []

    async def login(supervisor: haltline.Supervisor) -> haltline.Task:
        addresses.append(id(asyncio.current_task()))
        return supervisor.start("session", tight)

    async def request(supervisor: haltline.Supervisor) -> None:
        addresses.append(id(asyncio.current_task()))
        with supervisor.start("request", roomy):
            work(0.02)
            await asyncio.sleep(0)

    async def main(supervisor: haltline.Supervisor) -> None:
        session = await asyncio.create_task(login(supervisor))
        end = time.monotonic() + 20
        while addresses.count(addresses[0]) < 30 and time.monotonic() < end and not session.is_cancelled:
            await asyncio.create_task(request(supervisor))
        assert session.cause is None
        assert addresses.count(addresses[0]) == 30
        session.finish()

    with haltline.Supervisor(monitor=haltline.Monitor(interval=0.02)) as supervisor:
        asyncio.run(main(supervisor))


def test_an_abandoned_coroutine_is_collected_with_its_section(supervisor):
    async def main() -> None:
        async def waits() -> None:
            with supervisor.start("abandoned", "attack"):
                await asyncio.get_running_loop().create_future()

        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        assert len(supervisor.active()) == 1
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        seen = weakref.ref(task)
        del task
        gc.collect()
        assert seen() is None

    asyncio.run(main())
    assert supervisor.active() == []


def test_asyncio_may_be_loaded_again(run_python):
    done = run_python("""
import asyncio, importlib, sys
import haltline

with haltline.Supervisor() as supervisor:
    async def request(name):
        with supervisor.start(name, "attack") as task:
            await asyncio.sleep(0)
            if name == "ill":
                task.cancel("only this one")
            await asyncio.sleep(0)
            try:
                haltline.check()
            except haltline.Cancelled as cancelled:
                print(cancelled.cause["reason"])

    async def main():
        await asyncio.gather(request("well"), request("ill"), request("well"))

    asyncio.run(main())
    for module in [name for name in sys.modules if name.partition(".")[0] == "asyncio"]:
        del sys.modules[module]
    first, asyncio = asyncio, importlib.import_module("asyncio")
    assert asyncio is not first
    asyncio.run(main())
""")
    assert (done.stdout, done.stderr, done.returncode) == ("only this one\n" * 2, "", 0)


def test_a_loop_without_weak_references_will_do(supervisor):
    class Loop:
        __slots__ = ()

    asyncio._set_running_loop(Loop())
    try:
        with supervisor.start("farm", "attack") as task:
            assert haltline.current_task() is task
    finally:
        asyncio._set_running_loop(None)


def test_coroutines_of_another_library_are_told_apart_by_their_numbers():
    tight = haltline.Profile("tight", max_duration="1h", task={"max_cpu_seconds": 0.2})
    roomy = haltline.Profile("roomy", max_duration="1h")

    def waits(supervisor: haltline.Supervisor, number: int) -> Iterator[haltline.Task]:
        with supervisor.start("waits", tight, coroutine=number) as task:
            yield task
            # Without a number both are of the thread.
            assert number == 0 or haltline.current_task() is task
            haltline.check()

    def hog(supervisor: haltline.Supervisor, number: int) -> Iterator[bool]:
        with supervisor.start("hog", roomy, coroutine=number):
            while (cpu_of(supervisor, "around") or 0) < 0.6:
                work(0.01)
                yield True

    def turns(supervisor: haltline.Supervisor, first: int, second: int) -> None:
        # As greenlets and the tasks of trio do, each has a context.
        contexts = copy_context(), copy_context()
        one, two = waits(supervisor, first), hog(supervisor, second)
        contexts[0].run(next, one)
        with supervisor.start("around", roomy):
            while contexts[1].run(next, two, False):
                pass
        contexts[0].run(next, one, None)

    with haltline.Supervisor(monitor=haltline.Monitor(interval=0.02)) as supervisor:
        turns(supervisor, 1, 2)
        assert supervisor.incidents() == []
        with pytest.raises(haltline.Cancelled, match="max_cpu_seconds"):
            turns(supervisor, 0, 0)


@pytest.mark.parametrize("number", [-1, 2**64])
def test_the_number_of_a_coroutine_has_a_range(supervisor, number):
    with pytest.raises(haltline.InvalidArgumentError, match="coroutine"):
        supervisor.start("farm", "attack", coroutine=number)
    supervisor.start("farm", "attack", coroutine=2**64 - 1)


def test_a_section_alone_in_its_loop_is_charged():
    tight = haltline.Profile("tight", max_duration="1h", task={"max_cpu_seconds": 0.2})

    async def hog(supervisor: haltline.Supervisor) -> None:
        with supervisor.start("hog", tight) as task:
            until(lambda: work(0.01) or task.is_cancelled)
            task.check()

    with (
        haltline.Supervisor(monitor=haltline.Monitor(interval=0.02)) as supervisor,
        pytest.raises(haltline.Cancelled, match="max_cpu_seconds"),
    ):
        asyncio.run(hog(supervisor))
