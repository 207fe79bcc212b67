"""Something happens to one process of a run, at some moment: it is killed, or stopped for a while.

Whatever it was, the run goes on or ends soon after, its exit status says what was built, and the next run needs no
help.
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

#: Seconds after the end of the cause within which a run goes on or ends.
SOON = 30

#: Seconds to look for something that does not exist in all phases of a run.
_LOOK = 300

#: What a chain for moments consists of: tier, parent, neighbours.
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
    """What happens when to what."""

    #: A key of :data:`VICTIMS`.
    victim: str
    #: Seconds that it is stopped for; 0 kills it.
    pause: float
    #: Seconds from the run's start until the victim is looked for.
    after: float

    def __str__(self) -> str:
        what = f"stopped for {self.pause:.0f} s" if self.pause else "killed"
        return f"{self.victim} {what} after {self.after:.1f} s"


@dataclass(frozen=True)
class End:
    """What became of a run to which something happened."""

    moment: Moment
    #: Whether there was such a process before the run ended.
    met: bool
    #: Exit status.
    code: int
    #: Seconds from the end of the cause to that of the run.
    seconds: float
    output: str


def choose(count: int, seed: int, *, pause: float, longest: float) -> list[Moment]:
    """Choose moments: each kind of victim about as often, killed and stopped in turn, at random times."""
    chance = random.Random(seed)
    kinds = [(victim, stop) for stop in (0.0, pause) for victim in VICTIMS]
    chance.shuffle(kinds)
    chosen = (kinds[number % len(kinds)] for number in range(count))
    return [Moment(victim, stop, chance.uniform(1, longest)) for victim, stop in chosen]


def happen(chain: Any, moment: Moment, *, cwd: Path, env: dict[str, str], usual: float) -> End:
    """Build a chain, and let it happen.

    Args:
        chain: A chain of integration tests, changed since it was built last.
        moment: What happens.
        cwd: The clone.
        env: The run's environment.
        usual: Seconds that a run takes to which nothing happens.
    """
    said = chain.folder / "said"
    with said.open("wb") as output:
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
            met = _act(chain.engine, running, moment)
            since = time.monotonic()
            code = running.wait(SOON + 2 * usual)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    return End(moment, met, code, time.monotonic() - since, said.read_text(errors="replace"))


def _act(engine: Any, running: subprocess.Popen[bytes], moment: Moment) -> bool:
    until = time.monotonic() + _LOOK
    while running.poll() is None and time.monotonic() < until:
        for stop in VICTIMS[moment.victim](engine, running.pid):
            try:
                stop(moment.pause)
            except Exception:  # noqa: BLE001 - it had ended by then
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
    """All its processes: an engine that pauses a container in which it starts a command may wait for it for ever."""

    def stop(seconds: float) -> None:
        if not seconds:
            container.kill()
            return
        told = container.top()
        processes = [int(row[told["Titles"].index("PID")]) for row in told["Processes"]]
        for each in processes:
            os.kill(each, signal.SIGSTOP)
        time.sleep(seconds)
        for each in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT)

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
    for container in _of_build(engine):
        titles = container.top()["Titles"]
        for row in container.top()["Processes"] or ():
            told = dict(zip(titles, row, strict=False))
            if "python" in told["CMD"] and "tierwright-agent" in told["CMD"]:
                yield _process(int(told["PID"]))


def _pytests(_engine: Any, run: int) -> Iterator[Stop]:
    for pid in _processes():
        if b"pytest" in _command(pid) and run in _ancestors(pid):
            yield _process(pid)


def _builds(engine: Any, _run: int) -> Iterator[Stop]:
    yield from map(_container, _of_build(engine))


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


def _of_build(engine: Any) -> list[Any]:
    found = engine.containers.list(filters={"label": labels.RUN}, ignore_removed=True)
    return [each for each in found if each.name.startswith("tierwright-")]


def _processes() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]


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
    return [each for each in _processes() if _parent(each) == pid]


def _ancestors(pid: int) -> Iterator[int]:
    while (pid := _parent(pid)) > 1:
        yield pid


@dataclass
class Campaign:
    """Moments of one chain, one after the other, and the next run after each."""

    chain: Any
    cwd: Path
    env: dict[str, str]
    version: int = 0
    #: Seconds that a run takes to which nothing happens.
    usual: float = 60.0

    def begin(self) -> None:
        """Build the chain once, and see how long a run takes in which all is built."""
        self._change()
        self.chain.build(env=self.env).expect()
        self._change()
        began = time.monotonic()
        self.chain.build(env=self.env).expect()
        self.usual = time.monotonic() - began

    def try_one(self, moment: Moment) -> End:
        """Let something happen, and check all that has to hold."""
        before = self._state()
        self._change()
        end = happen(self.chain, moment, cwd=self.cwd, env=self.env, usual=self.usual)
        new = all(image != before[tier] for tier, image in self._state().items())
        assert "Traceback" not in end.output, end.output
        if end.code == 0:
            assert new, f"{moment}: a success that did not build all\n{end.output}"
        elif end.code > 0:
            late = "tier_promote" in end.output or "Move the release tags" in end.output
            assert not new or late, f"{moment}: a failure that built all\n{end.output}"
            assert "\nTIER " in end.output or "Make the bases" not in end.output, f"{moment}: no table\n{end.output}"
        self.chain.build(env=self.env).expect()
        assert all(image != before[tier] for tier, image in self._state().items()), moment
        assert _of_build(self.chain.engine) == []
        return end

    def _change(self) -> None:
        self.version += 1
        for tier, parent, neighbours in TIERS:
            said = TASKS.replace("VERSION", str(self.version))
            self.chain.tier(tier, said, parent=parent, neighbours=neighbours)
        self.chain.tests("two", TESTS)

    def _state(self) -> dict[str, str]:
        names = [tier for tier, _parent, _neighbours in TIERS]
        known = [name for name in names if name in self.chain.tiers and self.chain.released(name)]
        return {name: self.chain.image(name).id if name in known else "" for name in names}
