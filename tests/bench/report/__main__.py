"""Measures how long it takes to write the report of a large chain, and to show it.

The bench makes up a chain as an OCI layout: ten levels of tiers, three children per tier, and a few stale or failed
tiers. It writes the report several times, each time as a new process, and opens it in headless Chromium:

``cold``, ``warm``
    Seconds of the whole process with an empty cache, and with a cache of all layers. MB is its maximum resident memory.
``index``, ``tier``, …
    Seconds from the start of the navigation to the first and the largest contentful paint, measured by the browser, and
    kB of the page. ``phone`` is the first page on a screen of 360 pixels.

With ``--demo``, it is the report of the demo chain from the engine, including the archives of packages. The targets are
15 s for this, and 1 s for both paints of the first page with 1,000 tiers. The bench prints figures and never fails.
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

_FIRST = """new Promise(resolve => new PerformanceObserver(
  entries => entries.getEntriesByName("first-contentful-paint").forEach(paint => resolve(paint.startTime))
).observe({type: "paint", buffered: true}))"""
#: The last candidate counts. The browser reports all of them that are known so far.
_LARGEST = """new Promise(resolve => new PerformanceObserver(
  entries => resolve(entries.getEntries().at(-1).startTime)
).observe({type: "largest-contentful-paint", buffered: true}))"""
_WIDE, _PHONE = 1280, 360


def main() -> None:
    """Make the chain, measure, and print the tables."""
    parser = argparse.ArgumentParser(description="Measures how long `tierwright report` and its pages take.")
    parser.add_argument("--tiers", type=int, default=1000, help="number of tiers (default 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="number of measurements (default 3)")
    parser.add_argument("--demo", action="store_true", help="use the demo chain from the engine instead")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser (default /usr/bin/chromium)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tierwright-bench-") as folder:
        arguments = (
            ["wordpress"] if options.demo else ["--no-outdated", "--in", _make_chain(Path(folder), options.tiers)]
        )
        _write(Path(folder), arguments, options.rounds)
        _show(Path(folder) / "report", options)


def _make_chain(folder: Path, count: int) -> str:
    """Write a layout and the status of a chain with many tiers."""
    tiers = made_chain.large(count)
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    last_tiers = [f"tier{number:04}" for number in range(count - 20, count)]
    made_chain.write_status(
        tiers, failed=dict.fromkeys(last_tiers[:5], "it broke"), stale=dict.fromkeys(last_tiers[5:], "a file changed")
    )
    made_chain.write_tests(tiers, failed=dict.fromkeys(last_tiers[:5], "assert 500 == 200"))
    made_chain.write_matrices(dict(list(tiers.items())[:50]))
    return made_chain.write_layout(folder / "layout", tiers)


def _write(folder: Path, arguments: list[str], rounds: int) -> None:
    print(f"{'':14}{'median s':>10}{'min s':>8}{'max s':>8}{'MB':>7}")
    for name in ("cold", "warm"):
        times = []
        for number in range(rounds):
            cache = folder / f"cache{number if name == 'cold' else 0}"
            start = time.monotonic()
            command = [Path(sys.executable).parent / "tierwright", "report", "-o", folder / "report", *arguments]
            environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            times.append(time.monotonic() - start)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
        print(f"{name:14}{_seconds(times)}{memory:7.0f}", flush=True)


def _show(report: Path, options: argparse.Namespace) -> None:
    print(f"\n{'first paint':14}{'median s':>10}{'min s':>8}{'max s':>8}{'largest s':>11}{'kB':>7}")
    largest = max((report / "tiers").iterdir(), key=lambda path: path.stat().st_size)
    browser_options = ["--no-sandbox"] if os.geteuid() == 0 else []
    pages = [(path.stem, path, _WIDE) for path in sorted(report.glob("*.html"))]
    pages += [("phone", report / "index.html", _PHONE), ("tier", largest, _WIDE)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=browser_options)
        for name, path, width in pages:
            paints = []
            for _ in range(options.rounds):
                page = browser.new_page(viewport={"width": width, "height": 800})
                paints.append(_paint(page, path))
                page.close()
            first, last = ([paint[number] for paint in paints] for number in (0, 1))
            size = path.stat().st_size / 1e3
            print(f"{name:14}{_seconds(first)}{statistics.median(last):11.2f}{size:7.0f}", flush=True)
        browser.close()


def _paint(page: Page, path: Path) -> tuple[float, float]:
    """Return the seconds until the first and the largest contentful paint."""
    page.goto(path.as_uri())
    return float(page.evaluate(_FIRST)) / 1e3, float(page.evaluate(_LARGEST)) / 1e3


def _seconds(times: list[float]) -> str:
    return f"{statistics.median(times):10.2f}{min(times):8.2f}{max(times):8.2f}"


if __name__ == "__main__":
    main()
