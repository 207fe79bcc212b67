"""How long the suite takes: `durations.py run STAGE COMMAND...`, `durations.py show`, `durations.py keep`.

`run` adds a stage's time to reports/stages.tsv; `show` prints the stages, and the slowest of all tests and set-ups that
left a JUnit XML there; `keep` writes into tests/integration/durations.json how long each file took, by which the next
run begins with the longest.
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
COVERAGE = REPORTS / "coverage.json"
KEPT = Path("tests/integration/durations.json")
SLOWEST = 30


@dataclass(frozen=True)
class Timed:
    """A test that ran: all times in seconds."""

    report: str
    file: str
    name: str
    seconds: float
    #: How much of it was its fixtures' set-up.
    setup: float


def run(stage: str, *command: str) -> int:
    """Run a command, and keep how long that took."""
    began = time.time()
    code = subprocess.run(command, check=False).returncode
    REPORTS.mkdir(exist_ok=True)
    with STAGES.open("a") as file:
        file.write(f"{stage}\t{began:.1f}\t{time.time() - began:.1f}\t{code}\n")
    return code


def tests() -> Iterator[Timed]:
    """All tests of all reports."""
    for report in sorted(REPORTS.glob("*.xml")):
        for case in ET.parse(report).iter("testcase"):
            told = {each.get("name"): each.get("value", "") for each in case.iter("property")}
            file = case.get("classname", "").replace(".", "/") + ".py"
            setup = float(told.get("setup", 0))
            yield Timed(report.stem, file, case.get("name", ""), float(case.get("time", 0)), setup)


def show() -> int:
    """Print the table of stages, and that of the slowest tests and set-ups."""
    rows = [line.split("\t") for line in STAGES.read_text().splitlines()]
    begin = min(float(began) for _stage, began, *_ in rows)
    end = max(float(began) + float(seconds) for _stage, began, seconds, _code in rows)
    print(f"\n{'STAGE':24}{'BEGAN':>8}{'SECONDS':>9}  STATUS")
    for stage, began, lasted, code in rows:
        print(f"{stage:24}{float(began) - begin:8.0f}{float(lasted):9.0f}  {'passed' if code == '0' else 'failed'}")
    print(f"{'all':24}{'':8}{end - begin:9.0f}")
    found = list(tests())
    parts = [(each.setup, f"{each.name} (set-up)", each) for each in found]
    parts += [(each.seconds - each.setup, each.name, each) for each in found]
    print(f"\n{len(found)} tests took {sum(each.seconds for each in found):.0f} s; the slowest tests and set-ups:")
    for seconds, name, each in sorted(parts, key=lambda part: -part[0])[:SLOWEST]:
        print(f"{seconds:8.1f}  {each.report}: {Path(each.file).stem}::{name}")
    if COVERAGE.exists():
        covered = json.loads(COVERAGE.read_text())["totals"]["percent_covered_display"]
        print(f"\nunit tests run {covered} % of the library's lines; make coverage shows which, and branches")
    return int(any(code != "0" for *_, code in rows))


def keep() -> int:
    """Write how long each file of the integration tests took."""
    total: Counter[str] = Counter()
    for each in tests():
        if each.report == "integration":
            total[Path(each.file).name] += round(each.seconds)
    KEPT.write_text(json.dumps(dict(total.most_common()), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    verbs: dict[str, Callable[..., int]] = {"run": run, "show": show, "keep": keep}
    sys.exit(verbs[sys.argv[1]](*sys.argv[2:]))
