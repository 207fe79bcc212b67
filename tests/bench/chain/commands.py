"""Runs the programs of contenders, and builds tiers in the order of their parents, siblings in parallel."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

_TIMEOUT = 1800  # seconds
_LINES = 30


class BuildError(Exception):
    """A program of a contender failed. The message contains the end of its output."""


def run(
    words: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, text: str = ""
) -> str:
    """Run a program without a terminal, and return its output.

    Args:
        words: The program and its arguments.
        cwd: The working folder.
        env: Environment variables, in addition to those of this process that are not for Ansible or Python.
        text: The standard input.

    Raises:
        BuildError: It failed.
    """
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
    try:
        process = subprocess.run(
            words,
            cwd=cwd,
            env={**inherited, **(env or {})},
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_TIMEOUT,
        )
    except FileNotFoundError as error:
        raise BuildError(f"{words[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{words[0]} did not end within {_TIMEOUT} seconds") from error
    if process.returncode != 0:
        last = "\n".join(process.stdout.splitlines()[-_LINES:])
        raise BuildError(f"{' '.join(map(str, words))[:200]} ended with status {process.returncode}:\n{last}")
    return process.stdout


def in_order(parents: Mapping[str, str], build: Callable[[str], None]) -> None:
    """Build all tiers. Each one starts when its parent is ready.

    Args:
        parents: Each tier and its parent, parents first. A parent that is no tier is ready.
        build: Builds one tier.

    Raises:
        BuildError: A tier cannot be built.
    """
    futures: dict[str, Future[None]] = {}

    def after_parent(tier: str) -> None:
        parent = futures.get(parents[tier])
        if parent is not None:
            parent.result()
        build(tier)

    # A thread for each tier: one that waits for its parent must not keep the parent from starting.
    with ThreadPoolExecutor(len(parents)) as pool:
        for tier in parents:
            futures[tier] = pool.submit(after_parent, tier)
        for future in futures.values():
            future.result()
