"""How long the report of a large chain takes to make, and to show.

A chain is made up as an OCI layout: as many tiers as asked for, ten levels, three tiers upon each, a few stale or
failed. Its report is written, each time as a process of its own, and opened in headless Chromium:

``cold``, ``warm``
    Seconds of the whole process where nothing was read before, and where every layer was. MB are its largest resident
    memory.
``index``, ``tier``, …
    Seconds from the start of the navigation to the first contentful paint, as the browser tells, and kB of the page.

With ``--demo`` the report is the demo chain's, from the engine, archives included. The targets are 15 s for that, and
2 s for the first paint with 1,000 tiers. The bench prints and fails nothing.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

import made_chain

_LEVELS, _UPON = 10, 3
_TEAMS = ("operations", "middleware", "development", "data", "security")
_PAINT = """new Promise(told => new PerformanceObserver(
  seen => seen.getEntriesByName("first-contentful-paint").forEach(paint => told(paint.startTime))
).observe({type: "paint", buffered: true}))"""


def main() -> None:
    """Make the chain, measure, and print."""
    parser = argparse.ArgumentParser(description="How long `tierwright report` takes, and its pages.")
    parser.add_argument("--tiers", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--demo", action="store_true", help="the demo chain instead, from the engine")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser (/usr/bin/chromium)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tierwright-bench-") as folder:
        asked = ["wordpress"] if options.demo else ["--no-outdated", "--in", _made(Path(folder), options.tiers)]
        _write(Path(folder), asked, options.rounds)
        _show(Path(folder) / "report", options)


def _made(folder: Path, count: int) -> str:
    """A layout of many tiers, and what was noted of them."""
    tiers: dict[str, tuple[str | None, str]] = {}
    depths: list[int] = []
    for number in range(count):
        parent = (number - 1) // _UPON if number else None
        while parent is not None and depths[parent] >= _LEVELS:
            parent = (parent - 1) // _UPON
        depths.append(0 if parent is None else depths[parent] + 1)
        above = None if parent is None else f"tier{parent:04}"
        tiers[f"tier{number:04}"] = (above, _TEAMS[depths[-1] % len(_TEAMS)])
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    some = [f"tier{number:04}" for number in range(count - 20, count)]
    made_chain.note(tiers, failed=dict.fromkeys(some[:5], "it broke"), stale=dict.fromkeys(some[5:], "a file changed"))
    made_chain.note_matrices(dict(list(tiers.items())[:50]))
    return made_chain.place(folder / "layout", tiers)


def _write(folder: Path, asked: list[str], rounds: int) -> None:
    print(f"{'':14}{'median s':>10}{'min s':>8}{'max s':>8}{'MB':>7}")
    for name in ("cold", "warm"):
        times = []
        for number in range(rounds):
            cache = folder / f"cache{number if name == 'cold' else 0}"
            start = time.monotonic()
            command = [Path(sys.executable).parent / "tierwright", "report", "-o", folder / "report", *asked]
            environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            times.append(time.monotonic() - start)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
        print(f"{name:14}{_seconds(times)}{memory:7.0f}", flush=True)


def _show(report: Path, options: argparse.Namespace) -> None:
    print(f"\n{'first paint':14}{'median s':>10}{'min s':>8}{'max s':>8}{'kB':>7}")
    largest = max((report / "tiers").iterdir(), key=lambda path: path.stat().st_size)
    rootless = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=rootless)
        for path in (*sorted(report.glob("*.html")), largest):
            times = []
            for _ in range(options.rounds):
                page = browser.new_page()
                times.append(_paint(page, path))
                page.close()
            name = "tier" if path == largest else path.stem
            print(f"{name:14}{_seconds(times)}{path.stat().st_size / 1e3:7.0f}", flush=True)
        browser.close()


def _paint(page: Page, path: Path) -> float:
    page.goto(path.as_uri())
    return float(page.evaluate(_PAINT)) / 1e3


def _seconds(times: list[float]) -> str:
    return f"{statistics.median(times):10.2f}{min(times):8.2f}{max(times):8.2f}"


if __name__ == "__main__":
    main()
