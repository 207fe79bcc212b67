"""What is measured: each scenario is a change, and then a build."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the pictures of the documentation need neither the contenders nor an engine
    from .contenders import Contender

COLD = "cold"
#: The key of the build without downloaded packages.
FRESH = "fresh"


@dataclass(frozen=True)
class Scenario:
    """A change and its name in the tables."""

    name: str
    #: The tier whose file gets a new line, if there is one.
    tier: str = ""


#: In the order in which they are measured. Each one starts with what the one before has left.
SCENARIOS = {
    FRESH: Scenario("cold, no package downloaded before"),
    COLD: Scenario("cold"),
    "unchanged": Scenario("nothing changed"),
    "last": Scenario("a line in the last tier", "wordpress"),
    "middle": Scenario("a line in the middle", "httpd-php"),
    "core": Scenario("a line in the core build", "corebuild"),
}


@dataclass(frozen=True)
class Run:
    """One measured build."""

    contender: str
    scenario: str
    round: int
    #: Seconds.
    seconds: float
    #: The load of the machine in the last minute before the build.
    load: float
    #: Seconds since the epoch.
    time: float


def measure(contender: Contender, chosen: Collection[str], round_: int) -> Iterator[Run]:
    """Measure the chosen scenarios with a contender, one after the other.

    The others need the images of the cold build, and that one needs the packages of the build without packages. So
    these run if they are needed, and are yielded if they are chosen.

    Raises:
        BuildError: A build failed.
    """
    for key, scenario in SCENARIOS.items():
        if not _is_needed(contender, key, chosen):
            continue
        if key in {FRESH, COLD}:
            contender.forget()
        if key == FRESH and key in chosen:
            contender.drop_packages()
        contender.note_replaced()
        if scenario.tier:
            contender.edit(scenario.tier, f"round {round_} at {time.time()}")
        load, moment, start = os.getloadavg()[0], time.time(), time.monotonic()
        contender.build(cold=key in {FRESH, COLD})
        seconds = time.monotonic() - start
        if key == FRESH:
            contender.has_packages = True
        if key in chosen:
            yield Run(contender.name, key, round_, seconds, load, moment)


def _is_needed(contender: Contender, key: str, chosen: Collection[str]) -> bool:
    if key == FRESH:
        return contender.keeps_packages and (key in chosen or not contender.has_packages)
    return key in chosen or (key == COLD and set(chosen) != {FRESH})
