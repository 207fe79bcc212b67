"""One process of a run is killed, or stopped for a while, at a given moment.

In each case, the run continues or ends soon afterwards, its exit status is correct, and the next run needs no repair.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

#: Within so many seconds after the end of the fault, a run continues or ends.
SOON = 30

#: How many seconds to look for a victim, which may exist only in some phases of a run.
_LOOK = 300

#: The tiers of the chain: name, parent, neighbours.
TIERS: tuple[tuple[str, str, list[str]], ...] = (("one", "base", []), ("two", "one", ["other"]), ("other", "base", []))

TASKS = """
- name: Write the version
  ansible.builtin.copy: {content: "VERSION\\n", dest: "/etc/{{ inventory_hostname }}", mode: "0644"}
- name: Take some time in the container
  ansible.builtin.command: sleep 2
  changed_when: false
- name: Write another file
  ansible.builtin.copy: {content: "VERSION\\n", dest: "/etc/{{ inventory_hostname }}-too", mode: "0644"}
"""

TESTS = """
def test_it_works_with_its_neighbour(start):
    other = start("other", command=["sleep", "60"])
    assert other.host.run("sleep 2").rc == 0
"""


@dataclass(frozen=True)
class Moment:
    """A fault: when it happens, and to which process."""

    #: A key of :data:`VICTIMS`.
    victim: str
    #: For how many seconds it is stopped; 0 kills it.
    pause: float
    #: Seconds from the run's start until the victim is looked for.
    after: float

    def __str__(self) -> str:
        fault = f"stopped for {self.pause:.0f} s" if self.pause else "killed"
        return f"{self.victim} {fault} after {self.after:.1f} s"


@dataclass(frozen=True)
class Outcome:
    """The result of a run with a fault."""

    moment: Moment
    #: Whether such a process existed before the run ended.
    victim_found: bool
    #: Exit status.
    code: int
    #: Seconds from the end of the fault to the end of the run.
    seconds: float
    output: str


def choose(count: int, seed: int, *, pause: float, longest: float) -> list[Moment]:
    """Choose moments at random times. All kinds of victims occur about equally often, both killed and stopped."""
    generator = random.Random(seed)
    kinds = [(victim, stop) for stop in (0.0, pause) for victim in VICTIMS]
    generator.shuffle(kinds)
    chosen = (kinds[number % len(kinds)] for number in range(count))
    return [Moment(victim, stop, generator.uniform(1, longest)) for victim, stop in chosen]


def run_with_fault(chain: Any, moment: Moment, *, cwd: Path, env: dict[str, str], usual: float) -> Outcome:
    """Build a chain, and cause the fault.

    Args:
        chain: A chain of integration tests that was changed since the last build.
        moment: The fault.
        cwd: The clone.
        env: The environment of the run.
        usual: Seconds that a run without a fault takes.
    """
    log = chain.folder / "output"
    with log.open("wb") as output:
        running = subprocess.Popen(
            ["ansible-playbook", "build-chain.yml", "-i", str(chain.write())],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(moment.after)
            victim_found = _strike(chain.engine, running, moment)
            fault_end = time.monotonic()
            code = running.wait(SOON + 2 * usual)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    return Outcome(moment, victim_found, code, time.monotonic() - fault_end, log.read_text(errors="replace"))


def _strike(engine: Any, running: subprocess.Popen[bytes], moment: Moment) -> bool:
    """Cause the fault. Return whether a victim was found."""
    deadline = time.monotonic() + _LOOK
    while running.poll() is None and time.monotonic() < deadline:
        for stop in VICTIMS[moment.victim](engine, running.pid):
            try:
                stop(moment.pause)
            except Exception:  # noqa: BLE001 - the victim has ended in the meantime
                continue
            return True
        time.sleep(0.05)
    return False


Stop = Callable[[float], None]


def _process(pid: int) -> Stop:
    def stop(seconds: float) -> None:
        os.kill(pid, signal.SIGSTOP if seconds else signal.SIGKILL)
        if seconds:
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    return stop


def _container(container: Any) -> Stop:
    """Stop all processes of a container, or kill it.

    The engine itself does not pause it: while it starts a command in a container, it could wait forever for the pause.
    """

    def stop(seconds: float) -> None:
        if not seconds:
            container.kill()
            return
        table = container.top()
        pids = [int(row[table["Titles"].index("PID")]) for row in table["Processes"]]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    return stop


def _main(_engine: Any, run: int) -> Iterator[Stop]:
    yield _process(run)


def _workers(_engine: Any, run: int) -> Iterator[Stop]:
    for pid in _children(run):
        if b"ansible-playbook" in _command(pid):
            yield _process(pid)


def _keepers(_engine: Any, run: int) -> Iterator[Stop]:
    for pid in _processes():
        words = _command(pid).split(b"\0")
        if any(word.endswith(b"agent.keeper") for word in words) and str(run).encode() in words:
            yield _process(pid)


def _agents(engine: Any, _run: int) -> Iterator[Stop]:
    for container in _build_containers(engine):
        titles = container.top()["Titles"]
        for row in container.top()["Processes"] or ():
            process = dict(zip(titles, row, strict=False))
            if "python" in process["CMD"] and "tierwright-agent" in process["CMD"]:
                yield _process(int(process["PID"]))


def _pytests(_engine: Any, run: int) -> Iterator[Stop]:
    for pid in _processes():
        if b"pytest" in _command(pid) and run in _ancestors(pid):
            yield _process(pid)


def _builds(engine: Any, _run: int) -> Iterator[Stop]:
    yield from map(_container, _build_containers(engine))


def _neighbours(engine: Any, _run: int) -> Iterator[Stop]:
    for container in engine.containers.list(ignore_removed=True):
        if container.attrs["Config"]["Cmd"] == ["sleep", "60"]:
            yield _container(container)


VICTIMS: dict[str, Callable[[Any, int], Iterator[Stop]]] = {
    "ansible-playbook": _main,
    "worker": _workers,
    "keeper": _keepers,
    "agent": _agents,
    "pytest": _pytests,
    "build container": _builds,
    "neighbour": _neighbours,
}


def _build_containers(engine: Any) -> list[Any]:
    containers = engine.containers.list(filters={"label": labels.RUN}, ignore_removed=True)
    return [container for container in containers if container.name.startswith("tierwright-")]


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _children(pid: int) -> list[int]:
    return [child for child in _processes() if _parent(child) == pid]


def _ancestors(pid: int) -> Iterator[int]:
    while (pid := _parent(pid)) > 1:
        yield pid


@dataclass
class Campaign:
    """Tries moments on one chain, one after the other, each followed by a run without a fault."""

    chain: Any
    cwd: Path
    env: dict[str, str]
    version: int = 0
    #: Seconds that a run without a fault takes.
    usual: float = 60.0

    def begin(self) -> None:
        """Build the chain, and measure a run that builds all tiers."""
        self._change()
        self.chain.build(env=self.env).expect()
        self._change()
        start = time.monotonic()
        self.chain.build(env=self.env).expect()
        self.usual = time.monotonic() - start

    def try_one(self, moment: Moment) -> Outcome:
        """Run with a fault, then without one, and check both results."""
        before = self._state()
        self._change()
        outcome = run_with_fault(self.chain, moment, cwd=self.cwd, env=self.env, usual=self.usual)
        all_built = all(image != before[tier] for tier, image in self._state().items())
        output = outcome.output
        assert "Traceback" not in output, output
        if outcome.code == 0:
            assert all_built, f"{moment}: the run succeeded, but did not build all tiers\n{output}"
        elif outcome.code > 0:
            late = "tier_promote" in output or "Move the release tags" in output
            assert not all_built or late, f"{moment}: the run failed, but built all tiers\n{output}"
            assert "\nTIER " in output or "Make the bases" not in output, f"{moment}: no table\n{output}"
        self.chain.build(env=self.env).expect()
        assert all(image != before[tier] for tier, image in self._state().items()), moment
        assert _build_containers(self.chain.engine) == []
        return outcome

    def _change(self) -> None:
        self.version += 1
        for tier, parent, neighbours in TIERS:
            tasks = TASKS.replace("VERSION", str(self.version))
            self.chain.tier(tier, tasks, parent=parent, neighbours=neighbours)
        self.chain.tests("two", TESTS)

    def _state(self) -> dict[str, str]:
        names = [tier for tier, _parent, _neighbours in TIERS]
        released = [name for name in names if name in self.chain.tiers and self.chain.released(name)]
        return {name: self.chain.image(name).id if name in released else "" for name in names}
