# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which tests an image must pass, and pytest run on it.

Which tests a tier's image has to pass: its own, and what its ancestors ask of every descendant.

Runs a tier's tests on an image: pytest, in processes of its own, within a time limit.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..build_key.file_digests import digest_path
from ..build_key.parts import digest_bytes
from ..chain import tags
from ..errors import ContractError
from ..text import printable_lines

#: Names of files that pytest looks for tests in, and the folder of a role that they are in.
_FILES = ("test_*.py", "*_test.py")
_FOLDER = "tests"


@dataclass(frozen=True, slots=True)
class RoleTests:
    """The tests of one tier's role."""

    #: The tier that they are of.
    tier: str
    #: The team that owns it.
    team: str
    #: The folder that they are in.
    folder: str


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests that one tier's image has to pass."""

    #: Its own; ``None`` where its role has none.
    own: RoleTests | None = None
    #: Those of its ancestors, of which the contracts count; its parent's first.
    contracts: tuple[RoleTests, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.all)

    @property
    def all(self) -> tuple[RoleTests, ...]:
        """All of them, its own first."""
        return (*([] if self.own is None else [self.own]), *self.contracts)

    def digest(self) -> str:
        """Digest of every file that has a part in the tests, the same wherever they lie.

        Raises:
            OSError: A file cannot be read.
        """
        return digest_bytes(repr([(each.tier, digest_path(Path(each.folder))) for each in self.all]).encode())

    def written(self) -> dict[str, Any]:
        """Its fields, as JSON holds them."""
        return asdict(self)

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Suite:
        """Read what :meth:`written` wrote."""
        own = fields["own"]
        return cls(None if own is None else RoleTests(**own), tuple(RoleTests(**each) for each in fields["contracts"]))


def find_tests(role: Path) -> Path | None:
    """Find the folder of a role's tests; ``None`` where it has none that pytest would run."""
    folder = role / _FOLDER
    return folder if any(next(folder.rglob(pattern), None) for pattern in _FILES) else None


def passed_tag(image: str, tests: str, neighbours: Mapping[str, str | None]) -> str:
    """Tag that says of an image that it passed these very tests.

    Args:
        image: Its ID.
        tests: Digest of the tests.
        neighbours: IDs of the images that they ran with, by tier; ``None`` where a tier has none.
    """
    beside = repr(sorted((name, other or "") for name, other in neighbours.items()))
    return tags.tested(digest_bytes(f"{image} {tests}".encode()), digest_bytes(beside.encode()))


#: Seconds that all tests of one image may take, unless the user says otherwise.
TIMEOUT = 600

#: Seconds to tell how far it was, and to clear up, for a pytest that is interrupted.
_GRACE_SECONDS = 30

#: Seconds between two looks at whether the run still is there that wanted the tests.
_POLL_SECONDS = 1.0

#: Lines of what pytest said that are shown where it did not get as far as to run tests.
_LINES = 20

_NEEDED = {"pytest": "pytest", "testinfra": "pytest-testinfra", "pytest_timeout": "pytest-timeout"}

_DONE = frozenset({0, 1, 5})  # all passed, some failed, there were none (pytest.ExitCode)


@dataclass(frozen=True, slots=True)
class Bench:
    """What is tested, and with what."""

    #: The tier.
    tier: str
    #: ID of its image.
    image: str
    #: IDs of its neighbours' images, by tier; a neighbour without an image is left out.
    neighbours: Mapping[str, str]
    #: The run that it is part of.
    run: str
    #: Neighbours that have no image: they failed, and were never released.
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FailedTest:
    """One test that failed."""

    #: Its name for pytest: ``/roles/web/tests/test_site.py::test_login``.
    test: str
    #: Whose test it is; ``None`` where no test was reached.
    owner: RoleTests | None
    #: Why, in its own words.
    message: str
    #: The last lines of its containers' logs.
    log: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an image did."""

    #: How many tests ran.
    tests: int
    seconds: float
    failed: tuple[FailedTest, ...]
    #: Names for pytest of the tests that passed, and the seconds that each took.
    ran: tuple[tuple[str, float], ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no test failed."""
        return not self.failed


def judge(suite: Suite, bench: Bench, timeout: float = TIMEOUT) -> Verdict:
    """Run all tests of a suite: the tier's own, and its ancestors' contracts beside them.

    Args:
        suite: The tests.
        bench: What they run on.
        timeout: Seconds that they may take.

    Raises:
        ContractError: pytest, or what it needs, is not installed; or the process that wanted to know was killed, by
            which this one, its child, is not ended: ansible-core 2.20 and later give each worker a session of its own.
    """
    parent = os.getppid()
    missing = [name for module, name in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ContractError(
            f"tier {bench.tier!r} has tests, but {', '.join(missing)} cannot be imported by {sys.executable}; "
            f"{shlex.join(['pip', 'install', *missing])}"
        )
    began = time.monotonic()
    parts: list[tuple[Sequence[RoleTests], list[str]]] = [([suite.own], [])] if suite.own else []
    parts += [(suite.contracts, ["--contract"])] if suite.contracts else []
    with tempfile.TemporaryDirectory(prefix="tierwright-") as scratch, ThreadPoolExecutor() as pool:
        runs = [
            pool.submit(
                _run, tests, [*options, *arguments(bench)], Path(scratch, str(number)), bench.run, timeout, parent
            )
            for number, (tests, options) in enumerate(parts)
        ]
        ends = [run.result() for run in runs]
    failed = tuple(_failure(suite, each) for end in ends for each in end["failed"])
    ran = tuple((name, seconds) for end in ends for name, seconds in end.get("ran", ()))
    return Verdict(sum(end["tests"] for end in ends), round(time.monotonic() - began, 1), failed, ran)


def arguments(bench: Bench) -> list[str]:
    """Options of pytest that say what is tested."""
    images = {**bench.neighbours, **dict.fromkeys(bench.lacking, "")}
    neighbours = [word for name, image in images.items() for word in ("--neighbour", f"{name}={image}")]
    return ["--tier", bench.tier, "--image", bench.image, *neighbours]


def _run(
    tests: Sequence[RoleTests], options: list[str], scratch: Path, run: str, timeout: float, parent_pid: int
) -> dict[str, Any]:
    """Run one pytest to its end.

    Returns:
        What :mod:`.fixtures` wrote.

    Raises:
        ContractError: This process has another parent than ``parent_pid``.
    """
    result, said = scratch.with_suffix(".json"), scratch.with_suffix(".log")
    library = Path(__file__).parents[1]
    command = [
        *(sys.executable, "-m", "pytest", "--color=no", "--import-mode=importlib"),
        # The plugin of this very library, and no other version of it that may be installed.
        *(
            "-p",
            "no:cacheprovider",
            "-p",
            "no:tierwright",
            "-p",
            f"{library.name}.{Path(__file__).parent.name}.pytest_plugin",
        ),
        *("--tier-run", run, "--tier-result", str(result), *options),
        *(each.folder for each in tests),
    ]
    with said.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(library.parent),
            process_group=0,
        )
        late = _wait(process, timeout, parent_pid)
    if os.getppid() != parent_pid:
        raise ContractError(f"run {run} is gone; its tests were ended")
    told = _read(result)
    if late:
        running = told["failed"].pop() if told.get("interrupted") else _nothing("")
        limit = f"the tests took longer than {timeout:g} s (tier_test_timeout) and were ended"
        told["failed"].append({**running, "message": limit})
    elif process.returncode not in _DONE and not told["failed"]:
        last = "\n".join(said.read_text(errors="replace").splitlines()[-_LINES:])
        told["failed"] = [_nothing(f"pytest ended with {process.returncode}:\n{last}")]
    return told


def _read(result: Path) -> dict[str, Any]:
    """What a pytest wrote of its end; nothing where it was killed before, or while, it did."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        told: dict[str, Any] = json.loads(result.read_text())
        return told
    return {"tests": 0, "failed": []}


def _wait(process: subprocess.Popen[bytes], timeout: float, parent_pid: int) -> bool:
    """Wait for a pytest's end, and see to it that it comes: in time, and where this process loses its parent.

    Returns:
        Whether it had to be ended.
    """
    until = time.monotonic() + timeout
    while os.getppid() == parent_pid and (left := until - time.monotonic()) > 0:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(left, _POLL_SECONDS))
            return False
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return True


def _environment(path: Path) -> dict[str, str]:
    """The environment without what a person set for pytests of their own; nothing is written beside the tests."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    paths = [str(path), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}


def _nothing(message: str) -> dict[str, Any]:
    return {"test": "", "message": message, "log": ""}


def _failure(suite: Suite, told: Mapping[str, Any]) -> FailedTest:
    path = Path(told["test"].partition("::")[0])
    owner = next((each for each in suite.all if path.is_relative_to(each.folder)), None)
    # A test's words, its name and its containers' logs are the image's: nothing of them may steer a terminal.
    test, message, log = (printable_lines(told[key]) for key in ("test", "message", "log"))
    return FailedTest(test, owner, message, log)
