"""One measured run: one ansible-playbook, one task list, one contender."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.confinement import REMOTE_TMP

from .containers import Ground
from .contenders import Contender, Place, strategy_environment
from .lists import FOLDER, play
from .report import Run

ROOT = Path(__file__).parents[3]
_LONGEST = 900  # seconds


class RunError(Exception):
    """A run did not do all of its tasks; the message is what it printed."""


class Runner:
    """Runs contenders, with files in a private folder."""

    def __init__(self, folder: Path, ground: Ground, tasks: int) -> None:
        self._folder = folder
        self._ground = ground
        self._tasks = tasks
        self._clock = folder / "clock.json"
        self._settings = folder / "ansible.cfg"
        self._settings.write_text("[defaults]\n")  # in the place of the user's own

    def measure(self, contender: Contender, name: str, round_: int) -> Run:
        """Run a list through a contender.

        Raises:
            RunError: Not all tasks went well.
            EngineError: The container that they need cannot be had.
        """
        work = self._work(contender.place)
        # A file that is there already would be less work.
        self._shell(contender.place, f"rm -rf {work} && mkdir {work}")
        playbook = self._write(f"{name}.yml", play(name, self._tasks))
        inventory = self._write("inventory.yml", {"all": {"hosts": {"bench": self._host(contender)}}})
        self._clock.unlink(missing_ok=True)
        started = time.monotonic()
        code, output = self._play(contender, inventory, playbook)
        wall = time.monotonic() - started
        times = json.loads(self._clock.read_text()) if self._clock.exists() else []
        if code != 0 or len(times) != self._tasks:
            raise RunError(output)
        if name == "copy" and (files := int(self._shell(contender.place, f"ls {work} | wc -l"))) != self._tasks:
            raise RunError(f"{files} files are there after {self._tasks} tasks that each copied one")
        return Run(contender.name, name, round_, tuple((start, end) for start, end in times), wall)

    def _play(self, contender: Contender, inventory: Path, playbook: Path) -> tuple[int, str]:
        try:
            done = subprocess.run(
                [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, playbook],
                cwd=self._folder,
                env=self._environment(contender),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=_LONGEST,
            )
        except subprocess.TimeoutExpired as error:
            raise RunError(f"not done after {_LONGEST} seconds") from error
        return done.returncode, done.stdout.strip()

    def _host(self, contender: Contender) -> dict[str, object]:
        host = {"ansible_connection": contender.connection, **contender.variables, FOLDER: self._work(contender.place)}
        if contender.place is Place.CONTROLLER:
            own = {"ansible_python_interpreter": sys.executable, "ansible_remote_tmp": str(self._folder / "remote")}
            return {**host, **own}
        container = self._ground.container(contender.place)
        inside = {"ansible_host": container, "ansible_python_interpreter": self._ground.python(contender.place)}
        if contender.place.build:
            return {**host, **inside, "tier_container": container, "ansible_remote_tmp": REMOTE_TMP}
        # Ansible's own default for the others: docker_api puts files through the archive API, which sees no tmpfs.
        return {**host, **inside}

    def _work(self, place: Place) -> str:
        """The folder for the files of a run."""
        return str(self._folder / "work") if place is Place.CONTROLLER else "/srv/bench"

    def _shell(self, place: Place, command: str) -> str:
        """What a command says where the contenders of a place work."""
        argv = ["/bin/sh", "-c", command]
        if place is Place.CONTROLLER:
            return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        container = self._ground.client.containers.get(self._ground.container(place))
        code, said = container.exec_run(argv)
        if code != 0:
            raise RunError(said.decode(errors="replace"))
        return str(said.decode())

    def _environment(self, contender: Contender) -> dict[str, str]:
        """The user's environment without settings for Ansible and Python; the collection is that of this clone."""
        theirs = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
        # Our playbooks bring this callback along, which loads the connection once for all tasks.
        callbacks = ["bench_clock", *(["tierwright.chain.chain"] if contender.place.build else [])]
        return {
            **theirs,
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": ",".join(callbacks),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_CONFIG": str(self._settings),
            "ANSIBLE_DEPRECATION_WARNINGS": "false",  # mitogen's strategy is a third-party one
            "ANSIBLE_HOME": str(self._folder / "home"),
            "ANSIBLE_NOCOLOR": "true",
            "DOCKER_HOST": self._ground.address(contender.place),
            "TIERWRIGHT_BENCH_CLOCK": str(self._clock),
            **strategy_environment(contender),
        }

    def _write(self, name: str, content: object) -> Path:
        path = self._folder / name
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path
