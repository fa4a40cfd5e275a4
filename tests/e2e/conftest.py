# SPDX-License-Identifier: Apache-2.0
"""A whole system a worker, and phones that leave no process behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from softswitch.phone import Phone, PhoneSettings, ladder
from tests.e2e.baresip import Baresip
from tests.e2e.programs import need_phone
from tests.e2e.system import DOMAIN, System
from tests.relays import rtpengine

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from tests.e2e.tenant import Subscriber

LOG_START = pytest.StashKey[int]()
"""Where in the system's log a test begins."""


@pytest.fixture(scope="session")
def running_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The system that all tests of a worker share; its books must be right when they are done."""
    yield from _running(System(tmp_path_factory.mktemp("softswitch")))


@pytest.fixture(scope="session")
def rtpengine_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The same with rtpengine in the place of our relay."""
    with rtpengine() as (host, port):
        yield from _running(System(tmp_path_factory.mktemp("rtpengine"), relay=f"[udp:{host}:{port}]"))


def _running(system: System) -> Iterator[System]:
    try:
        system.start()
        system.load_tenant()
        yield system
        assert system.rows("audit") == []
    finally:
        system.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """To the report of a test that failed belong what the system logged meanwhile and what the phones sent."""
    report = yield
    if report.failed and report.when == "call" and isinstance(item, pytest.Function):
        system, phones, baresip = map(item.funcargs.get, ("system", "phones", "baresip"))
        if isinstance(system, System):
            report.sections.append(("softswitch", system.log[item.stash.get(LOG_START, 0) :]))
        if isinstance(phones, Phones):
            report.sections.append(("phones", phones.ladders()))
        if isinstance(baresip, Baresip):
            report.sections.append(("baresip", baresip.log))
    return report


@pytest.fixture
def system(request: pytest.FixtureRequest) -> System:
    """A shared system, for one test: with our relay, or with the one that the test's parameter names."""
    name = "rtpengine_system" if getattr(request, "param", "builtin") == "rtpengine" else "running_system"
    system = request.getfixturevalue(name)
    assert isinstance(system, System)
    request.node.stash[LOG_START] = len(system.log)
    return system


class Phones:
    """Makes phones for one test."""

    def __init__(self, system: System, directory: Path) -> None:
        self._system = system
        self._directory = directory
        self.all: list[Phone] = []

    def make(self, subscriber: Subscriber, **settings: Any) -> Phone:
        """A phone that has not registered."""
        chosen = {
            "number": subscriber.number,
            "password": subscriber.password,
            "proxy": self._system.proxy,
            "domain": DOMAIN,
            **settings,
        }
        phone = Phone(PhoneSettings(**chosen), self._directory / f"phone-{len(self.all) + 1}")
        self.all.append(phone)
        return phone

    def registered(self, subscriber: Subscriber | None = None, **settings: Any) -> Phone:
        """A registered phone, of a new subscriber if none is named."""
        phone = self.make(subscriber or self._system.subscriber(), **settings)
        assert phone.register() == 200, phone.messages[-1].text if phone.messages else "no answer"
        return phone

    def gateway(self, number: int = 1, name: str = "carrier") -> Phone:
        """A phone that plays a gateway at the address of that number."""
        host = f"{self._system.network}.{number}"
        settings = PhoneSettings(number=name, proxy=self._system.proxy, host=host, port=self._system.gateway_port)
        phone = Phone(settings, self._directory / f"gateway-{number}")
        self.all.append(phone)
        return phone

    def close(self) -> None:
        """Ends all phones at the same time."""
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(Phone.close, self.all))

    def ladders(self) -> str:
        """What every phone sent and received."""
        return "\n\n".join(
            ladder((phone.settings.number, phone.messages), ("", ()), "softswitch") for phone in self.all
        )


@pytest.fixture
def phones(system: System, tmp_path: Path) -> Iterator[Phones]:
    """Phones of the shared system; all are ended after the test."""
    need_phone()
    phones = Phones(system, tmp_path)
    try:
        yield phones
    finally:
        phones.close()
