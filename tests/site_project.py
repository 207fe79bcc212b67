"""A clone of this project in which teams work: they change files, commit, and type commands.

It keeps what they typed and what they saw, for readers of docs/patching.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass
class SiteProject:
    """A clone, with the environment of its users."""

    folder: Path
    environment: Mapping[str, str]
    #: File that gets everything that was typed and seen.
    transcript: Path
    #: Seconds of each step, by its title.
    times: dict[str, float] = field(default_factory=dict)

    @classmethod
    def clone(cls, folder: Path, environment: Mapping[str, str], transcript: Path) -> SiteProject:
        """Clone what is committed of this project."""
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
        transcript.parent.mkdir(exist_ok=True)
        transcript.write_text("")
        return cls(folder, environment, transcript)

    def note(self, text: str) -> None:
        """Add lines to the transcript."""
        with self.transcript.open("a") as file:
            file.write(f"{text}\n")

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commit(self, team: str, message: str) -> str:
        """Commit all changes as a member of a team. Returns the short ID of the commit."""
        identity = ["-c", f"user.name={team.capitalize()}", "-c", f"user.email={team}@example.org"]
        self._git("add", "--all")
        self._git(*identity, "commit", "--quiet", "--message", message)
        self.note(f"{team}$ git commit --message '{message}'")
        return self._git("rev-parse", "--short=12", "HEAD").strip()

    def playbook(self, name: str, *options: str, inventory: str = "chain", code: int = 0) -> str:
        """Run a playbook with an inventory of `inventories/shop`."""
        return self.run("ansible-playbook", "-i", f"inventories/shop/{inventory}.yml", name, *options, code=code)

    def tierwright(self, *words: str, code: int = 0) -> str:
        return self.run("tierwright", *words, code=code)

    def answer(self, *words: str) -> Any:
        """The answer of `tierwright` as JSON; it is not part of the transcript."""
        return json.loads(self._start("tierwright", *words, "--json").stdout)

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command in the clone. Returns its output, errors included."""
        process = self._start(*words)
        output = process.stdout + process.stderr
        self.note(f"$ {' '.join(words)}\n{output.rstrip()}")
        assert process.returncode == code, output
        assert "Traceback" not in output, output
        return output

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Measure a step of the walk-through."""
        self.note(f"\n=== {title}")
        start = time.monotonic()
        yield
        self.times[title] = time.monotonic() - start

    def report(self) -> str:
        """A line for each step."""
        return "\n".join(f"{seconds:6.1f} s  {title}" for title, seconds in self.times.items())

    def _start(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.folder,
            env={**self.environment, "COLUMNS": "140"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )

    def _git(self, *words: str) -> str:
        return subprocess.run(["git", *words], cwd=self.folder, check=True, capture_output=True, text=True).stdout


def user_environment(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """The environment of a user with a home of its own, without what pytest sets."""
    home.mkdir(exist_ok=True)
    kept = {key: value for key, value in {**os.environ, **environment}.items() if not key.startswith("PYTEST_")}
    folders = {f"XDG_{name.upper()}_HOME": str(home / name) for name in ("state", "cache")}
    return {**kept, **folders, "HOME": str(home)}
