"""Something is killed at a random moment of a roll-out. The site comes back, and nothing that it acknowledged is lost.

Each moment is a new release of the site, which the watcher rolls out while visitors use the site and an author writes
posts. `KILLS` is the number of moments, `SEED` decides about all of them, and `VICTIMS` says what is killed in turn.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.docker_config import engine_address
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from blog import TITLE, Blog, picture
from sdk_client import sdk_client
from visitors import Visitors

ADDRESS = "http://127.0.0.1:8080"
SITE = "kills"
SERVICES = ("mariadb", "wordpress", "haproxy")
SECRETS = {"database_password": "p" * 20, "database_root_password": "r" * 20, "phrase": "s" * 40}

VICTIMS = tuple(os.environ.get("VICTIMS", "watcher replica proxy entry database engine").split())
#: Nothing of what visitors see depends on these.
UNNOTICED = {"watcher", "replica", "proxy"}
#: The longest time in which no visitor may get an answer, in seconds.
LONGEST = 30
#: Kills happen in this time after a release, in seconds. A roll-out takes about as long.
SPAN = 45.0
#: The time after which a site must run a release, in seconds.
PATIENCE = 300

SEED = os.environ.get("SEED", "1")
MOMENTS = int(os.environ.get("KILLS", "20"))


@dataclass(frozen=True)
class Moment:
    """What is released, and what is killed when."""

    number: int
    victim: str
    seconds: float
    services: tuple[str, ...]


def moments() -> list[Moment]:
    chance = random.Random(SEED)
    order = [VICTIMS[number % len(VICTIMS)] for number in range(MOMENTS)]
    return [
        Moment(number, victim, chance.uniform(0, SPAN), (*chance.sample(SERVICES, chance.randint(1, 3)),))
        for number, victim in enumerate(order, 1)
    ]


class Author:
    """Writes a post every second, and remembers those that the site acknowledged."""

    def __init__(self, blog: Blog) -> None:
        self._blog, self._end = blog, threading.Event()
        self.posts: dict[str, str] = {}
        self.refused = 0
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join()

    def _write(self) -> None:
        number = 0
        while not self._end.wait(1):
            number += 1
            text = f"This is post {number}."
            try:
                self.posts[self._blog.write_post(f"Post {number}", text)] = text
            except (OSError, AssertionError, ValueError, KeyError):
                self.refused += 1


class Machine:
    """The engine and the watcher, which the test kills and starts again."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder, self._environment = folder, environment
        self._log = (folder / "watcher.log").open("ab")
        self._watcher: subprocess.Popen[bytes] | None = None
        #: Engines that were started again; they end with the machine.
        self._engines: list[subprocess.Popen[bytes]] = []

    @property
    def log(self) -> str:
        """What the watcher said, and how the services and their containers are."""
        parts = [(self._folder / "watcher.log").read_text()]
        with contextlib.suppress(docker.errors.DockerException, EngineError, OSError), sdk() as client:
            for service in client.services.list(filters={"label": f"io.tierwright.site={SITE}"}):
                parts.append(f"{service.name}: {service.attrs.get('UpdateStatus')}")
                tasks = sorted(service.tasks(), key=lambda task: str(task["CreatedAt"]))
                parts += [f"  {task['DesiredState']} {task['Status']}" for task in tasks[-6:]]
            for container in client.containers.list(all=True, ignore_removed=True):
                tail = container.logs(tail=4).decode(errors="replace")
                parts.append(f"{container.name} {container.status}:\n{tail}")
        return "\n".join(parts)

    def start_watcher(self) -> None:
        self._watcher = subprocess.Popen(
            [Path(sys.executable).with_name("tierwright"), "watch", "-i", self._folder / "site.yml"],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env=self._environment,
        )  # fmt: skip

    def stop_watcher(self) -> None:
        if self._watcher:
            self._watcher.terminate()
            self._watcher.wait(60)
        self._log.close()
        for engine in self._engines:
            engine.returncode = engine.poll() or 0  # so that Python does not wonder about a process that goes on

    def runs(self) -> list[dict[str, Any]]:
        words = [Path(sys.executable).with_name("tierwright"), "runs", "--json"]
        done = subprocess.run(words, env=self._environment, capture_output=True, text=True, check=True)
        answer: list[dict[str, Any]] = json.loads(done.stdout)["runs"]
        return answer

    def kill(self, victim: str) -> str:
        """Kill a victim, and start again what nothing else starts. Returns what was killed."""
        if victim == "watcher":
            assert self._watcher
            killed = self._watcher.pid
            self._watcher.kill()
            self._watcher.wait()
            self.start_watcher()
            return f"process {killed}"
        if victim == "engine":
            subprocess.run(["pkill", "-KILL", "-x", "dockerd"], check=True)
            time.sleep(1)  # systemd would wait as well
            self._engines.append(start_engine(self._folder / "engine.log"))
            return "dockerd"
        names = {"replica": "wordpress", "proxy": "haproxy", "entry": "entry", "database": "mariadb"}
        return kill_container(f"{SITE}_{names[victim]}")


def start_engine(log: Path) -> subprocess.Popen[bytes]:
    """Start the engine of this machine again, as with_engine.sh started it."""
    clean = {"PATH": os.environ["PATH"]}
    Path("/var/run/docker.pid").unlink(missing_ok=True)
    with log.open("ab") as file:
        return subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=clean)


def kill_container(service: str) -> str:
    with sdk() as client:
        found = client.containers.list(filters={"label": f"com.docker.swarm.service.name={service}"})
        if not found:
            return f"nothing, because no container of {service} runs"
        with contextlib.suppress(docker.errors.APIError):  # it may end by itself at this moment
            found[0].kill("KILL")
        return str(found[0].name)


@contextlib.contextmanager
def sdk() -> Iterator[docker.DockerClient]:
    with contextlib.closing(sdk_client()) as client:
        yield client


def release(service: str, number: int) -> str:
    """Make a new image of a service, and move the tag that the site runs. Returns its ID."""
    with sdk() as client:
        container = client.containers.create(f"{service}:latest")
        try:
            image = container.commit(changes=f"LABEL number={number}")
        finally:
            container.remove(v=True)
        assert image.tag(f"{SITE}/{service}", "current")
        return str(image.id)


def running(wanted: dict[str, str]) -> bool:
    """Whether all replicas of all services run what they shall."""
    with sdk() as client:
        for service in client.services.list(filters={"label": f"io.tierwright.site={SITE}"}):
            name = service.name.removeprefix(f"{SITE}_")
            image = wanted["haproxy" if name == "entry" else name]
            replicas = service.attrs["Spec"]["Mode"]["Replicated"]["Replicas"]
            tasks = service.tasks({"desired-state": "running"})
            fine = [
                task
                for task in tasks
                if task["Status"]["State"] == "running" and task["Spec"]["ContainerSpec"]["Image"] == image
            ]
            if len(fine) != replicas or len(tasks) != replicas:
                return False
            if (service.attrs.get("UpdateStatus") or {}).get("State") not in {None, "completed"}:
                return False
    return True


def wait_until(condition: Callable[[], bool], seconds: float, what: str, log: Callable[[], str] = str) -> float:
    start = time.monotonic()
    while True:
        with contextlib.suppress(docker.errors.DockerException, EngineError, OSError, AssertionError):
            if condition():
                return time.monotonic() - start
        assert time.monotonic() - start < seconds, f"{what} took more than {seconds:.0f} s\n{log()}"
        time.sleep(0.25)


def longest_outage(outcomes: list[Any], begun: float, ended: float) -> float:
    """The longest time without an answer to any visitor that was as it should be."""
    answered = sorted(each.begun + each.seconds for each in outcomes if not each.problem)
    times = [begun, *(each for each in answered if begun <= each <= ended), ended]
    return max(after - before for before, after in itertools.pairwise(times))


@pytest.fixture(scope="module")
def wanted() -> dict[str, str]:
    assert engine_address().startswith("unix:")
    return {service: release(service, 0) for service in SERVICES}


@pytest.fixture(scope="module")
def machine(tmp_path_factory, wanted) -> Iterator[Machine]:  # noqa: ARG001 - the images must exist
    folder = tmp_path_factory.mktemp("kills")
    images = {service: f"{SITE}/{service}:current" for service in SERVICES}
    variables = {
        "deploy_name": SITE,
        "deploy_images": images,
        "deploy_secrets": SECRETS,
        "watch_deploy": True,
        "watch_interval": 20,
        "watch_debounce": 1,
        "watch_listen": "127.0.0.1:8405",
    }
    (folder / "site.yml").write_text(yaml.safe_dump({"all": {"hosts": {"localhost": None}, "vars": variables}}))
    made = Machine(folder, {**os.environ, "XDG_STATE_HOME": str(folder / "state")})
    made.start_watcher()
    yield made
    made.stop_watcher()


@pytest.fixture(scope="module")
def blog(machine, wanted) -> Blog:
    wait_until(
        lambda: len(services()) == len(SERVICES) + 1 and running(wanted),
        PATIENCE,
        "the first roll-out",
        lambda: machine.log,
    )
    blog = Blog(ADDRESS)
    blog.install()
    blog.log_in()
    return blog


def services() -> list[Any]:
    with sdk() as client:
        return list(client.services.list(filters={"label": f"io.tierwright.site={SITE}"}))


@pytest.mark.timeout(7200)
def test_a_site_survives_kills_at_any_moment_of_a_roll_out(machine, blog, wanted):
    image = blog.upload("blue.png", picture())
    counts: Counter[str] = Counter()
    for moment in moments():
        author = Author(blog)
        with Visitors(ADDRESS, user=blog.user, password=blog.password, title=TITLE) as visitors:
            begun = time.time()
            wanted.update({service: release(service, moment.number) for service in moment.services})
            time.sleep(moment.seconds)
            what = machine.kill(moment.victim)
            took = wait_until(lambda: running(wanted), PATIENCE, f"after {moment}", lambda: machine.log)
            time.sleep(3)
            ended = time.time()
        author.stop()
        visits = visitors.so_far()
        outage = longest_outage(visits.outcomes, begun, ended)
        counts.update({"requests": len(visits.outcomes), "failed": len(visits.failed), "posts": len(author.posts)})
        print(  # noqa: T201 - output for docs/soak.md
            f"{moment.number}: {moment.victim} ({what}) {moment.seconds:.1f} s after a release of "
            f"{', '.join(moment.services)}; all replaced {took:.1f} s later; longest outage {outage:.1f} s; "
            f"{len(author.posts)} posts, {author.refused} refused; {visits.report()}",
            flush=True,
        )
        assert outage <= LONGEST
        if moment.victim in UNNOTICED:
            assert visits.failed == [], visits.report()
        wait_until(lambda: bool(blog.get("/")), LONGEST, "the front page")  # an engine that was killed may be that slow
        lost = {path for path, text in author.posts.items() if text not in blog.get(path)}
        assert lost == set(), f"the site acknowledged these posts, and lost them: {lost}"
    assert blog.read(image) == picture()
    settle(machine)
    print(dict(counts), flush=True)  # noqa: T201


def settle(machine: Machine) -> None:
    """After all of that, nothing is left to do, and nothing was done twice.

    A new container that is killed looks like one of a bad image. Then Swarm goes back, the run counts as rejected, and
    the watcher tries the release once more. So a rejected run must be followed by a successful one.
    """
    time.sleep(25)  # the watcher compares again
    runs = sorted(machine.runs(), key=lambda run: run["id"])
    outcomes = [run["outcome"] for run in runs]
    print(f"runs of the watcher: {dict(Counter(outcomes))}")  # noqa: T201 - output for docs/soak.md
    told = "\n".join(f"{run['id']} {run['outcome']} {run['reason']} {run['subject']}" for run in runs)
    assert set(outcomes) <= {"succeeded", "interrupted", "failed", "rejected"}, told
    assert outcomes[-1] == "succeeded", told
    succeeded = [run["subject"] for run in runs if run["outcome"] == "succeeded"]
    assert max(Counter(map(json.dumps, succeeded)).values()) == 1, told
    assert not any(run["ended"] is None for run in runs), told
