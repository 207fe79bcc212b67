"""Samples of long campaigns: `--sample SEED` runs one case of each test that is marked `sampled`.

Tests that are marked `sampled("GROUP")` show similar things in different ways. Of each group, those of one file run; a
second argument divides the tests of a file.

The seed of `make integration` is the commit, so all cases run over several commits. `make soak` runs all cases. At the
end, a run lists the cases that it left out.

With a sample, only the session with the newest ansible-core runs a test that is marked `by_newest`. A similar test runs
with the locked version.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

#: The environment with the newest ansible-core. It does not exist if no Python here is new enough for it.
NEWEST_CORE = Path(__file__).parents[1] / ".nox/newest/bin"
#: What the sessions of a run left out, by node ID.
LEFT_OUT = pytest.StashKey[set[str]]()
#: The name under which a worker of pytest-xdist sends it.
_OUTPUT = "left_out"


def choose(groups: Mapping[str, tuple[str, ...]], seed: str) -> set[str]:
    """Choose one case of each test, and one part of each group. All processes choose alike.

    Args:
        groups: By the name of each case (`file::test[case]`), the arguments of its mark: its group, and its part of the
            group, by default its file. Without arguments, a case is chosen among those of its test.
        seed: The seed.

    Returns:
        The names of the chosen cases.
    """
    alternatives: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, marks in groups.items():
        whole, member = (*marks, name.partition("::")[0])[:2] if marks else (name.partition("[")[0], name)
        alternatives[whole][member].add(name)
    return {
        name
        for whole, members in alternatives.items()
        for name in members[random.Random(f"{seed} {whole}").choice(sorted(members))]
    }


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that samples."""
    parser.addoption("--sample", metavar="SEED", help="run one case of each test that is marked 'sampled'")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the other cases."""
    if not (seed := config.getoption("sample")):
        return
    marked = {item.nodeid: item.get_closest_marker("sampled") for item in items}
    groups = {name: mark.args for name, mark in marked.items() if mark}
    left_out = groups.keys() - choose(groups, seed)
    if NEWEST_CORE.exists():
        left_out |= {item.nodeid for item in items if item.get_closest_marker("by_newest")}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
    items[:] = [item for item in items if item.nodeid not in left_out]
    config.stash[LEFT_OUT] = left_out
    if hasattr(config, "workeroutput"):
        config.workeroutput[_OUTPUT] = sorted(left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker left out."""
    node.config.stash.setdefault(LEFT_OUT, set()).update(getattr(node, "workeroutput", {}).get(_OUTPUT, ()))


def pytest_report_header(config: pytest.Config) -> str | None:
    """Report the seed."""
    seed = config.getoption("sample")
    return (
        f"sampled tests: one case each, one part of each group, seed {seed} (make SAMPLE=SEED; make soak runs all)"
        if seed
        else None
    )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """List what was left out."""
    if left_out := config.stash.get(LEFT_OUT, set()):
        terminalreporter.section(f"left out of the sample with the seed {config.getoption('sample')}")
        for name in sorted(left_out):
            terminalreporter.write_line(name)
