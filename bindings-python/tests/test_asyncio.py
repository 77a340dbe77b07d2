"""Sections in coroutines, which take turns on one thread."""

from __future__ import annotations

import asyncio
import time

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


def test_a_coroutine_without_a_section_of_its_own_finds_the_one_entered_last(supervisor):
    async def helper() -> None:
        haltline.check()

    async def main() -> None:
        with supervisor.start("main", "attack") as task:
            await asyncio.gather(helper(), helper())
            task.cancel("enough")
            with pytest.raises(haltline.Cancelled, match="enough"):
                await asyncio.gather(helper(), helper())

    asyncio.run(main())


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
