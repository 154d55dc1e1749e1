"""What all tests share: which event loop an asynchronous test runs on, and patience with busy machines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
from hypothesis import HealthCheck, settings

from virtual_loop import VirtualLoop

pytest_plugins = ("cluster.fixtures",)

# How long an example takes says something about the machine, and nothing about what is tested.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Function
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests that ask for `virtual_time` run on a loop whose clock jumps, all others on the normal one."""
    if "virtual_time" in item.fixturenames:
        return {"virtual": VirtualLoop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture
def virtual_time() -> Callable[[], float]:
    """Makes time virtual for this test, and tells it: `virtual_time()` is the running loop's clock."""
    return lambda: asyncio.get_running_loop().time()
