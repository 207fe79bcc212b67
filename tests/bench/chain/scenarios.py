"""What is measured: each scenario is a change, and then a build."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .contenders import Contender

COLD = "cold"
UNCHANGED = "nothing changed"


@dataclass(frozen=True)
class Scenario:
    """A change and its name in the tables."""

    name: str
    #: The tier whose file gets a new line, if there is one.
    tier: str = ""


#: In the order in which they are measured. Each one starts with what the one before has left.
SCENARIOS = {
    "cold": Scenario(COLD),
    "unchanged": Scenario(UNCHANGED),
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

    The cold build always runs first, because the others need its images. It is yielded only if it is chosen.

    Raises:
        BuildError: A build failed.
    """
    contender.forget()
    for key, scenario in SCENARIOS.items():
        if key not in chosen and scenario.name != COLD:
            continue
        if scenario.tier:
            contender.edit(scenario.tier, f"round {round_} at {time.time()}")
        load, moment, start = os.getloadavg()[0], time.time(), time.monotonic()
        contender.build(cold=scenario.name == COLD)
        seconds = time.monotonic() - start
        if key in chosen:
            yield Run(contender.name, key, round_, seconds, load, moment)
