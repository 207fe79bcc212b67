"""Measures a run of ansible-playbook with one task list and one contender."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.confinement import REMOTE_TMP

from .containers import Containers
from .contenders import Contender, Place, strategy_environment
from .lists import FOLDER, play
from .report import Run

ROOT = Path(__file__).parents[3]
_TIMEOUT = 900  # seconds


class RunError(Exception):
    """Not all tasks of a run succeeded. The message is the output of the run."""


class Runner:
    """Runs contenders, with files in a private folder."""

    def __init__(self, folder: Path, containers: Containers, tasks: int) -> None:
        self._folder = folder
        self._containers = containers
        self._tasks = tasks
        self._clock = folder / "clock.json"
        self._settings = folder / "ansible.cfg"
        self._settings.write_text("[defaults]\n")  # instead of the user's file

    def measure(self, contender: Contender, name: str, round_: int) -> Run:
        """Run a list through a contender.

        Raises:
            RunError: Not all tasks succeeded.
            EngineError: The container cannot be started.
        """
        work = self._work(contender.place)
        # The folder must be empty: copying a file that already exists is less work.
        self._shell(contender.place, f"rm -rf {work} && mkdir {work}")
        playbook = self._write(f"{name}.yml", play(name, self._tasks))
        inventory = self._write("inventory.yml", {"all": {"hosts": {"bench": self._host(contender)}}})
        self._clock.unlink(missing_ok=True)
        start_time = time.monotonic()
        code, output = self._play(contender, inventory, playbook)
        wall = time.monotonic() - start_time
        times = json.loads(self._clock.read_text()) if self._clock.exists() else []
        if code != 0 or len(times) != self._tasks:
            raise RunError(output)
        if name == "copy" and (files := int(self._shell(contender.place, f"ls {work} | wc -l"))) != self._tasks:
            raise RunError(f"{files} files exist after {self._tasks} tasks that copy one file each")
        return Run(contender.name, name, round_, tuple((start, end) for start, end in times), wall)

    def _play(self, contender: Contender, inventory: Path, playbook: Path) -> tuple[int, str]:
        try:
            process = subprocess.run(
                [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, playbook],
                cwd=self._folder,
                env=self._environment(contender),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=_TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            raise RunError(f"no end after {_TIMEOUT} seconds") from error
        return process.returncode, process.stdout.strip()

    def _host(self, contender: Contender) -> dict[str, object]:
        host = {"ansible_connection": contender.connection, **contender.variables, FOLDER: self._work(contender.place)}
        if contender.place is Place.CONTROLLER:
            local = {"ansible_python_interpreter": sys.executable, "ansible_remote_tmp": str(self._folder / "remote")}
            return {**host, **local}
        container = self._containers.container(contender.place)
        inside = {"ansible_host": container, "ansible_python_interpreter": self._containers.python(contender.place)}
        if contender.place.build:
            return {**host, **inside, "tier_container": container, "ansible_remote_tmp": REMOTE_TMP}
        # The others use Ansible's default: docker_api copies files with the archive API, which does not see a tmpfs.
        return {**host, **inside}

    def _work(self, place: Place) -> str:
        """The folder for the files of a run."""
        return str(self._folder / "work") if place is Place.CONTROLLER else "/srv/bench"

    def _shell(self, place: Place, command: str) -> str:
        """The output of a command at a place."""
        argv = ["/bin/sh", "-c", command]
        if place is Place.CONTROLLER:
            return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        container = self._containers.client.containers.get(self._containers.container(place))
        code, output = container.exec_run(argv)
        if code != 0:
            raise RunError(output.decode(errors="replace"))
        return str(output.decode())

    def _environment(self, contender: Contender) -> dict[str, str]:
        """The user's environment without settings for Ansible and Python. The collection is that of this clone."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
        # These do for all tasks what the playbooks of Tierwright do.
        callbacks = ["bench_clock", *(["tierwright.chain.chain", "bench_build"] if contender.place.build else [])]
        return {
            **inherited,
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": ",".join(callbacks),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_CONFIG": str(self._settings),
            "ANSIBLE_DEPRECATION_WARNINGS": "false",  # mitogen's strategy is a third-party one
            "ANSIBLE_HOME": str(self._folder / "home"),
            "ANSIBLE_NOCOLOR": "true",
            "DOCKER_HOST": self._containers.address(contender.place),
            "TIERWRIGHT_BENCH_CLOCK": str(self._clock),
            "XDG_CACHE_HOME": str(self._folder / "cache"),
            **strategy_environment(contender),
        }

    def _write(self, name: str, content: object) -> Path:
        path = self._folder / name
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path
