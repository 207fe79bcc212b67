"""Generates pictures and tables of the documentation from the files that they describe.

`python tests/pictures.py` writes them between the markers of their pages. A test checks that they are up to date.
GitHub draws the Mermaid diagrams.
"""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from bench.chain import chart, report

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "plugins/plugin_utils/_core"
INVENTORY = ROOT / "inventories/wordpress/chain.yml"
#: The measurements that docs/benchmarks.md shows. `make bench BENCH=chain OPTIONS=--keep` writes them.
BENCHMARKS = ROOT / "docs/benchmarks.json"
CHART = ROOT / "docs/pictures/benchmarks.svg"


@functools.cache
def imports(path: Path) -> set[str]:
    """The rooms (as ``room NAME``) and the top-level modules that a file of the library imports."""
    names = set()
    depth = len(path.relative_to(LIBRARY).parts) - 1
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == depth + 1:
            names.add(f"room {(node.module or '').split('.')[0]}")
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").split(".")[0])
    return names


def room_imports() -> dict[str, set[str]]:
    """The rooms of the library, each with the other rooms that it imports."""
    rooms = sorted(path.parent.name for path in LIBRARY.glob("*/__init__.py"))
    return {
        room: {
            name for name in rooms if any(f"room {name}" in imports(path) for path in (LIBRARY / room).rglob("*.py"))
        }
        for room in rooms
    }


def table_of_rooms() -> str:
    """A table of the rooms with their docstrings."""
    lines = ["| room | what it holds |", "|---|---|"]
    for init in sorted(LIBRARY.glob("*/__init__.py")):
        about = ast.get_docstring(ast.parse(init.read_text())) or ""
        lines.append(f"| `{init.parent.name}` | {about.rstrip('.').replace('``', '`')} |")
    return "\n".join(lines)


def picture_of_rooms() -> str:
    """The rooms, with an arrow to each imported room that is not also imported through a different room."""
    direct = room_imports()

    def reachable(room: str) -> set[str]:
        return direct[room].union(*map(reachable, direct[room]))

    lines = ["flowchart TD"]
    for room in direct:
        arrows = direct[room] - set().union(*map(reachable, direct[room]))
        lines += [f"  {room} --> {other}" for other in sorted(arrows)] or [f"  {room}"]
    return _diagram(lines)


def picture_of_chain() -> str:
    """The demo chain: a box for each team, an arrow from each parent to its child, a dotted arrow to each neighbour."""
    teams = yaml.safe_load(INVENTORY.read_text())["tiers"]["children"]
    lines = ["flowchart LR"]
    arrows = []
    for team, group in teams.items():
        lines += [f"  subgraph {team}", *(f"    {tier}" for tier in group["hosts"]), "  end"]
        for tier, variables in group["hosts"].items():
            arrows += _arrows(tier, variables or {})
    return _diagram(lines + arrows)


def _diagram(lines: list[str]) -> str:
    return "\n".join(["```mermaid", *lines, "```"])


def _arrows(tier: str, variables: dict[str, Any]) -> list[str]:
    parent = variables.get("tier_parent")
    arrows = [] if parent is None else [f"  {parent} --> {tier}"]
    return arrows + [f"  {tier} -. tested with .-> {other}" for other in variables.get("tier_neighbours", ())]


@functools.cache
def measured() -> dict[str, Any]:
    """The measurements of the benches that the documentation shows."""
    data: dict[str, Any] = json.loads(BENCHMARKS.read_text())
    return data


def table_of_builds() -> str:
    """The seconds of each builder in each scenario."""
    return report.markdown_table(measured()["runs"], measured()["order"])


def table_of_fan_out() -> str:
    """The same for a chain of many applications."""
    measured_there = measured()["fan-out"]
    return report.markdown_table(measured_there["runs"], measured_there["order"])


def table_of_scale() -> str:
    """The seconds and megabytes of chains of many small tiers."""
    columns = ("tiers", "kind", "s", "s/tier", "work", "engine", "MB", "load")
    heading = ("tiers", "run", "seconds", "seconds a tier", "Ansible's processor time", "the engine's", "MB", "load")
    rows = [heading, ("---", "---", *["---:"] * 6), *([row[key] for key in columns] for row in measured()["scale"])]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def chart_of_builds() -> str:
    """The same as an SVG picture."""
    return chart.draw(measured()["runs"], measured()["order"])


#: The functions that make them, by page and by the name in the markers.
PICTURES: dict[tuple[str, str], Callable[[], str]] = {
    ("README.md", "chain"): picture_of_chain,
    ("docs/benchmarks.md", "builds"): table_of_builds,
    ("docs/benchmarks.md", "fan-out"): table_of_fan_out,
    ("docs/benchmarks.md", "scale"): table_of_scale,
    ("docs/benchmarks.md", "conditions"): lambda: report.conditions(measured()),
    ("docs/benchmarks.md", "content"): lambda: report.compared(measured()),
    ("docs/development.md", "table of rooms"): table_of_rooms,
    ("docs/development.md", "rooms"): picture_of_rooms,
}


def with_picture(page: str, name: str, text: str) -> str:
    """The text of a page with the picture between its markers.

    Raises:
        ValueError: The page has no such markers.
    """
    start, end = f"<!-- picture: {name} -->\n", f"<!-- end of picture: {name} -->\n"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"{page} has no marker {start.strip()}")
    return pattern.sub(lambda _: f"{start}\n{PICTURES[page, name]()}\n\n{end}", text)


def keep(part: dict[str, Any]) -> None:
    """Replace a part of the measurements, and write all pictures."""
    kept = json.loads(BENCHMARKS.read_text()) if BENCHMARKS.exists() else {}
    BENCHMARKS.write_text(json.dumps({**kept, **part}, indent=1) + "\n")
    write()


def write() -> None:
    """Write all of them."""
    measured.cache_clear()
    for where, which in PICTURES:
        file = ROOT / where
        file.write_text(with_picture(where, which, file.read_text()))
    CHART.write_text(chart_of_builds())


if __name__ == "__main__":
    write()
