"""Durations of the test suite: `durations.py run STAGE COMMAND...`, `durations.py show`, `durations.py keep`.

`run` adds the time of a stage to reports/stages.tsv. `show` prints the stages, and the slowest tests and set-ups in the
JUnit XML files of that folder. `keep` stores the time of each file in tests/integration/durations.json; the next run
starts with the longest files.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

REPORTS = Path("reports")
STAGES = REPORTS / "stages.tsv"
KEPT = Path("tests/integration/durations.json")
SLOWEST = 30


@dataclass(frozen=True)
class Timed:
    """A test that ran. All times are in seconds."""

    report: str
    file: str
    name: str
    seconds: float
    #: The part of it that the set-up of fixtures took.
    setup: float


def run(stage: str, *command: str) -> int:
    """Run a command, and store its duration."""
    start = time.time()
    code = subprocess.run(command, check=False).returncode
    REPORTS.mkdir(exist_ok=True)
    with STAGES.open("a") as file:
        file.write(f"{stage}\t{start:.1f}\t{time.time() - start:.1f}\t{code}\n")
    return code


def tests() -> Iterator[Timed]:
    """All tests of all reports."""
    for report in sorted(REPORTS.glob("*.xml")):
        for case in ET.parse(report).iter("testcase"):
            properties = {entry.get("name"): entry.get("value", "") for entry in case.iter("property")}
            file = case.get("classname", "").replace(".", "/") + ".py"
            setup = float(properties.get("setup", 0))
            yield Timed(report.stem, file, case.get("name", ""), float(case.get("time", 0)), setup)


def show() -> int:
    """Print a table of the stages, and a table of the slowest tests and set-ups."""
    rows = [line.split("\t") for line in STAGES.read_text().splitlines()]
    begin = min(float(start) for _stage, start, *_ in rows)
    end = max(float(start) + float(seconds) for _stage, start, seconds, _code in rows)
    print(f"\n{'STAGE':24}{'BEGAN':>8}{'SECONDS':>9}  STATUS")
    for stage, start, seconds, code in rows:
        print(f"{stage:24}{float(start) - begin:8.0f}{float(seconds):9.0f}  {'passed' if code == '0' else 'failed'}")
    print(f"{'all':24}{'':8}{end - begin:9.0f}")
    all_tests = list(tests())
    parts = [(test.setup, f"{test.name} (set-up)", test) for test in all_tests]
    parts += [(test.seconds - test.setup, test.name, test) for test in all_tests]
    print(
        f"\n{len(all_tests)} tests took {sum(test.seconds for test in all_tests):.0f} s; the slowest tests and set-ups:"
    )
    for duration, name, test in sorted(parts, key=lambda part: -part[0])[:SLOWEST]:
        print(f"{duration:8.1f}  {test.report}: {Path(test.file).stem}::{name}")
    return int(any(code != "0" for *_, code in rows))


def keep() -> int:
    """Store the time of each file of the integration tests. A file that a sample left out keeps its time."""
    total: Counter[str] = Counter()
    for test in tests():
        if test.report == "integration":
            total[Path(test.file).name] += round(test.seconds)
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    KEPT.write_text(json.dumps(dict(Counter({**kept, **total}).most_common()), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    verbs: dict[str, Callable[..., int]] = {"run": run, "show": show, "keep": keep}
    sys.exit(verbs[sys.argv[1]](*sys.argv[2:]))
