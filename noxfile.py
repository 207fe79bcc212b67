"""Lint, lock, and tests with other versions of ansible-core. ``make`` is the way in."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import nox

OLDEST_CORE = "2.19.0"
#: ansible-core 2.21 needs Python 3.12; the newest that lies here is taken.
NEWEST_PYTHONS = ("3.14", "3.13", "3.12")

#: Unit tests of rooms that never import ansible-core (``test_rooms.py``) and run none of its programs.
WITHOUT_CORE = [f"--ignore=tests/unit/{room}" for room in ("chain", "engine", "image", "inspect", "keys", "report")]

#: What an older patch of the same release could do otherwise, which all other tests ran with.
FOR_A_PATCH = [f"tests/integration/test_{name}.py" for name in ("bad_input", "build", "connection", "packaging")]

#: JavaScript of others that the report has, and where it comes from.
VENDORED = Path("plugins/plugin_utils/report/vendor")

nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint"]


def _pyenv() -> None:
    """Let all of pyenv's interpreters answer to their names, where there is pyenv."""
    if shutil.which("pyenv"):
        found = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=True)
        os.environ["PYENV_VERSION"] = ":".join(found.stdout.split())


def _newest_python() -> str | None:
    for version in NEWEST_PYTHONS:
        name = f"python{version}"
        if shutil.which(name) and subprocess.run([name, "--version"], capture_output=True, check=False).returncode == 0:
            return version
    return None


_pyenv()


def _install(session: nox.Session) -> None:
    session.install("--quiet", "--require-hashes", "--requirement", "requirements/dev.txt")
    session.install("--quiet", "--no-deps", "--no-build-isolation", "--editable", ".")


def _core(session: nox.Session) -> str:
    """Version of ansible-core that a session has."""
    asked = ("python", "-c", "from importlib.metadata import version; print(version('ansible-core'))")
    return str(session.run(*asked, silent=True)).strip()


def _test(session: nox.Session, unit: Sequence[str] = (), integration: Sequence[str] = ("tests/integration",)) -> None:
    """Run the tests of a session, or those that are named after ``--``."""
    session.run("ansible", "--version")
    pytest = ("python", "-m", "pytest", "-m", "not once")
    if session.posargs:
        session.run(*pytest, *session.posargs)
        return
    session.run(*pytest, "--numprocesses", "auto", *unit, "tests/unit")
    session.run(*pytest, "--numprocesses", "auto", "--dist", "loadfile", "--no-loadscope-reorder", *integration)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Everything that reads the project without running it."""
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy", "collections/ansible_collections/tierwright/chain/plugins")
    session.run("ansible-lint", "--offline", "--profile", "production")
    scripts = subprocess.run(["git", "grep", "-lE", "^#!/bin/(ba)?sh"], capture_output=True, text=True, check=True)
    session.run("shellcheck", *[path for path in scripts.stdout.split() if not path.endswith((".j2", ".py", ".md"))])


@nox.session
def oldest(session: nox.Session) -> None:
    """Unit and integration tests with the oldest supported ansible-core, but for those that say nothing of it."""
    _install(session)
    is_patch = _core(session).rpartition(".")[0] == OLDEST_CORE.rpartition(".")[0]
    session.install("--quiet", f"ansible-core=={OLDEST_CORE}")
    # Its Python is the locked version's, with which all unit tests run already.
    _test(session, WITHOUT_CORE, FOR_A_PATCH if is_patch else ["tests/integration"])


@nox.session(python=_newest_python() or False)
def newest(session: nox.Session) -> None:
    """The same with the newest ansible-core, which needs a newer Python than 3.11."""
    if _newest_python() is None:
        session.skip(f"none of Python {', '.join(NEWEST_PYTHONS)} is installed here")
    _install(session)
    _test(session)


@nox.session(reuse_venv=True)
def bench(session: nox.Session) -> None:
    """A bench of tests/bench: ``nox --session bench -- connection [options]``."""
    _install(session)
    name, *options = session.posargs or ("connection",)
    if name == "connection":
        _install_others(session)
    session.run("python", "-m", f"bench.{name}", *options, env={"PYTHONPATH": "tests"})


def _install_others(session: nox.Session) -> None:
    """Install what the connection is compared with, beside the ansible-core that is there."""
    core = _core(session)
    # `ansible` 12 is the collections of ansible-core 2.19, and so on.
    others = (f"ansible=={int(core.split('.')[1]) - 7}.*", "mitogen")
    session.install("--quiet", f"ansible-core=={core}", *others)


@nox.session
def lock(session: nox.Session) -> None:
    """Renew the lock from pyproject.toml."""
    session.install("--quiet", "uv>=0.9")
    session.run(
        "uv",
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--upgrade",
        "--no-emit-index-url",
        "--custom-compile-command",
        "make lock",
        "--group",
        "pyproject.toml:dev",
        "pyproject.toml",
        "--output-file",
        "requirements/dev.txt",
    )


@nox.session(venv_backend="none")
def vendor(session: nox.Session) -> None:
    """Fetch the report's JavaScript of others anew, by npm; ``-- VERSION`` takes another version and pins that."""
    pins = VENDORED / "pins.json"
    told = json.loads(pins.read_text())
    told["version"] = next(iter(session.posargs), told["version"])
    folder = session.create_tmp()
    session.run("npm", "pack", "--silent", "--pack-destination", folder, f"{told['package']}@{told['version']}")
    archive = Path(folder) / f"{told['package']}-{told['version']}.tgz"
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if not session.posargs and integrity != told["integrity"]:
        session.error(f"npm has another {archive.name} than {pins} says")
    told["integrity"] = integrity
    with tarfile.open(archive) as tar:
        for name, pin in told["files"].items():
            content = tar.extractfile(f"package/{pin['from']}").read()
            pin["sha256"] = hashlib.sha256(content).hexdigest()
            (VENDORED / name).write_bytes(content)
    pins.write_text(json.dumps(told, indent=2) + "\n")
