"""Lint, lock, and tests with other versions of ansible-core. ``make`` is the way in."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata, util
from pathlib import Path

import nox

OLDEST_CORE = "2.19.0"
#: ansible-core 2.21 needs Python 3.12; the newest that lies here is taken.
NEWEST_PYTHONS = ("3.14", "3.13", "3.12")

#: Unit tests of what imports ansible-core, and of what runs its modules; no other room does (``test_rooms.py``).
WITH_CORE = ("tests/unit/agent", "tests/unit/inventory", "tests/unit/playbook")

#: What an older patch of the same release could do otherwise, which all other tests ran with.
FOR_A_PATCH = [f"tests/integration/test_{name}.py" for name in ("bad_input", "build", "connection", "packaging")]

#: JavaScript of others that the report has, and where it comes from.
VENDORED = Path("plugins/plugin_utils/_core/report/vendor")

#: Where ansible-test sees the collection, and keeps its virtual environments.
SANITY = Path(".nox/sanity").resolve()
#: What of the collection its archive has, and where ansible-test looks up what it has to ignore.
SHIPPED = ("changelogs/", "galaxy.yml", "meta/", "playbooks/", "plugins/", "roles/", "tests/sanity/")
#: docs/development.md says why.
NO_SANITY = ("ansible-doc", "changelog", "import", "pep8", "pslint", "pylint", "shellcheck", "yamllint")

#: Reference of modules and plugins, which antsibull-docs writes.
REFERENCE = Path("docs/reference")

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


def _install(session: nox.Session, *others: str) -> None:
    """Install the locked packages, then others in place of some; nothing where the last time did just that."""
    stamp = Path(session.virtualenv.location, ".installed")
    files = [Path(name).read_bytes() for name in ("requirements/dev.txt", "pyproject.toml")]
    wanted = hashlib.sha256(b"\0".join([*files, *map(str.encode, others)])).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    session.install("--quiet", "--require-hashes", "--requirement", "requirements/dev.txt")
    session.install("--quiet", "--no-deps", "--no-build-isolation", "--editable", ".")
    if others:
        session.install("--quiet", *others)
    stamp.write_text(wanted)


def _locked_core() -> str:
    """Version of ansible-core that this very environment has."""
    return metadata.version("ansible-core")


def _test(
    session: nox.Session,
    unit: Sequence[str] = ("tests/unit",),
    integration: Sequence[str] = ("tests/integration",),
    env: Mapping[str, str] | None = None,
    *,
    measures: bool = False,
) -> None:
    """Run a session's tests; ``-- unit`` or ``-- integration`` leaves the others out, anything else is pytest's.

    Args:
        session: The session.
        unit: Unit tests to run.
        integration: Integration tests to run.
        env: Variables of their environment.
        measures: Whether to measure which lines unit tests run; branches cost next to nothing from Python 3.14 on only.
    """
    session.run("ansible", "--version")
    asked = session.posargs or ("unit", "integration")
    coverage = ("--cov", "--cov-report=json:reports/coverage.json") if measures else ()
    kinds = {"unit": ("--numprocesses", "auto", *coverage, *unit), "integration": integration}
    if not set(asked) <= kinds.keys():
        session.run("python", "-m", "pytest", *asked)
        return
    for kind in asked:
        report = f"--junitxml=reports/{session.name}-{kind}.xml"
        session.run("python", "-m", "pytest", "-m", "not once", report, *kinds[kind], env=env)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Everything that reads the project without running it; ``-- changed``: ansible-lint for what Git has not got."""
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy", "collections/ansible_collections/tierwright/chain/plugins")
    session.run("mypy", *_helpers())
    files = _changed() if "changed" in session.posargs else []
    if files or "changed" not in session.posargs:
        session.run("ansible-lint", "--offline", "--profile", "production", *files)
    session.run("antsibull-changelog", "lint")
    session.run("shellcheck", *[path for path in _scripts() if not path.endswith((".j2", ".py", ".md"))])
    with tempfile.TemporaryDirectory() as folder:
        _write_reference(session, Path(folder, "reference"))
        session.run("git", "diff", "--no-index", "--exit-code", REFERENCE, Path(folder, "reference"), external=True)
    _copy_what_is_shipped()
    with session.chdir(SANITY / "ansible_collections/tierwright/chain"):
        _sanity(session)
        session.run("antsibull-changelog", "release")  # of the copy: shows that the fragments become a changelog


@nox.session(venv_backend="none")
def reference(session: nox.Session) -> None:
    """Write docs/reference from the documentation of modules and plugins."""
    _write_reference(session, REFERENCE)


def _write_reference(session: nox.Session, target: Path) -> None:
    """Let antsibull-docs write; it sees no roles, whose defaults are templates that it takes for errors."""
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        collection = Path(folder, "ansible_collections/tierwright/chain")
        collection.mkdir(parents=True)
        for name in ("galaxy.yml", "meta", "plugins"):
            (collection / name).symlink_to(Path(name).resolve())
        asked = ("--use-current", "--fail-on-error", "--no-add-antsibull-docs-version", "--cleanup", "everything")
        where = ("--output-format", "simplified-rst", "--dest-dir", str(target))
        env = {"ANSIBLE_COLLECTIONS_PATH": folder}
        session.run("antsibull-docs", "collection-plugins", *asked, *where, "tierwright.chain", env=env)


def _copy_what_is_shipped() -> None:
    """Copy the collection as it is now, to a folder with the name that ansible-test asks for."""
    collection = SANITY / "ansible_collections/tierwright/chain"
    shutil.rmtree(collection, ignore_errors=True)
    for name in _said("git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate").splitlines():
        if name.startswith(SHIPPED) and os.path.lexists(name):
            (collection / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, collection / name, follow_symlinks=False)
    _said("git", "init", "--quiet", str(collection))  # else ansible-test takes all of it for ignored


def _sanity(session: nox.Session) -> None:
    """Run ansible-test without a container. It needs PyPI, but only before the first run.

    ansible-test makes virtual environments in the home folder and downloads pip for them from Ansible's own server.
    Here the home folder is another one, and what it takes for the downloaded script uses the pip that Python brings.
    """
    home = SANITY / "home"
    cache = home / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    folder = util.find_spec("ansible_test").submodule_search_locations[0]
    pip = re.search(r"pip='([\d.]+)'", Path(folder, "_internal/python_requirements.py").read_text())[1]
    (cache / f"get_pip_{pip.replace('.', '_')}.py").write_text("import ensurepip\n\nensurepip.bootstrap()\n")
    if not (home / ".config").exists():
        (home / ".config").symlink_to(Path.home() / ".config")  # pip's settings
    skipped = [f"--skip-test={name}" for name in NO_SANITY]
    python = f"--python={sys.version_info.major}.{sys.version_info.minor}"
    session.run("ansible-test", "sanity", "--local", python, *skipped, env={"HOME": str(home)})


def _helpers() -> list[str]:
    """Python of tests that is not a test itself."""
    places = ("tests/*.py", "tests/engines/*.py", "tests/fake_engine/*.py", "tests/integration/*.py")
    return [path for place in places for path in map(str, Path().glob(place)) if "/test_" not in path]


def _scripts() -> list[str]:
    return _said("git", "grep", "-lE", "^#!/bin/(ba)?sh").split()


def _changed() -> list[str]:
    """YAML files that differ from the last commit, or are new."""
    asked = ("git", "ls-files", "--modified", "--others", "--exclude-standard", "--deduplicate", "--", "*.yml")
    return [path for path in _said(*asked).split() if Path(path).exists()]


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@nox.session(venv_backend="uv|virtualenv", reuse_venv=True)
def oldest(session: nox.Session) -> None:
    """Tests that say something of ansible-core, with the oldest that is supported."""
    _install(session, f"ansible-core=={OLDEST_CORE}")
    is_patch = _locked_core().rpartition(".")[0] == OLDEST_CORE.rpartition(".")[0]
    # Its Python is the locked version's, with which all unit tests run already.
    _test(session, WITH_CORE, FOR_A_PATCH if is_patch else ["tests/integration"])


@nox.session(venv_backend="uv|virtualenv", reuse_venv=True, python=_newest_python() or False)
def newest(session: nox.Session) -> None:
    """The same with the newest ansible-core, which needs a newer Python than 3.11, and all unit tests."""
    if _newest_python() is None:
        session.skip(f"none of Python {', '.join(NEWEST_PYTHONS)} is installed here")
    _install(session)
    _test(session, env={"AGENT_PYTHONS": "all", "COVERAGE_CORE": "sysmon"}, measures=True)


@nox.session(venv_backend="uv|virtualenv", reuse_venv=True)
def bench(session: nox.Session) -> None:
    """A bench of tests/bench: ``nox --session bench -- connection [options]``."""
    name, *options = session.posargs or ("connection",)
    core = _locked_core()
    # What the connection is compared with. `ansible` 12 is the collections of ansible-core 2.19, and so on.
    others = (f"ansible=={int(core.split('.')[1]) - 7}.*", "mitogen", f"ansible-core=={core}")
    _install(session, *(others if name == "connection" else ()))
    session.run("python", "-m", f"bench.{name}", *options, env={"PYTHONPATH": "tests"})


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
