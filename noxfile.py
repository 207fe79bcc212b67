"""Sessions of nox: lint, lock, wheels, and tests with other versions of ansible-core. The Makefile runs them."""

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
#: Pythons for the newest ansible-core: version 2.21 needs Python 3.12. The newest installed one is used.
NEWEST_PYTHONS = ("3.14", "3.13", "3.12")

#: Unit tests of code that imports ansible-core or runs its modules. No other room does (``test_rooms.py``).
#: The other tests of agents do not need ansible-core.
WITH_CORE = (
    *(f"tests/unit/agent/test_{name}.py" for name in ("command_lines", "imports", "modules", "without_a_shell")),
    "tests/unit/inventory",
    "tests/unit/playbook",
)

#: Integration tests that concern the connection, and what it runs. A commit with the newest ansible-core runs either
#: these or all others.
OF_THE_CONNECTION = [
    f"tests/integration/test_{name}.py" for name in ("connection", "connection_dies", "engine", "interpreter", "keys")
]

#: With the locked version, properties are tested with 25 examples, and by `make soak` with 1,000. A few show whether a
#: different Python or ansible-core breaks a property.
FEW_EXAMPLES = {"EXAMPLES": "5"}

#: Tests that could fail with an older patch release, if the locked version is a later patch of the same release.
FOR_A_PATCH = [f"tests/integration/test_{name}.py" for name in ("bad_input", "build", "connection", "packaging")]
#: Tests of these files that take half their time. Other releases run them; `make soak` runs them with the patch too.
NOT_FOR_A_PATCH = [
    "test_build.py::test_a_partly_applied_role_is_built_again",
    "test_build.py::test_a_vaulted_secret_is_an_input_but_is_not_printed",
    "test_build.py::test_fewer_forks_than_tiers_never_deadlock",
    "test_connection.py::test_results_are_those_of_local_in_a_plain_container",
]

#: Tests of the demo chain. With the newest ansible-core, `test_other_engines.py` builds this chain. Layers and settings
#: must be those with the locked version, whose images these tests check.
OF_THE_DEMO = [
    "test_build.py::test_the_core_build_of_the_demo_is_built",
    "test_interpreter.py::test_no_image_of_the_demo_contains_python",
    "test_seal.py::test_images_of_the_demo_have_no_traces_of_the_build",
    "test_seal.py::test_images_of_the_demo_record_their_owner_and_time",
]

#: The folder of wheels for the role `watcher`, and the lock files of the role, with the versions that are tested here.
WHEELS = Path("dist/wheels")
WATCHER = Path("roles/watcher/files")
WATCHER_EXTRAS = {"requirements": ("watch", "ssh"), "requirements-kubernetes": ("watch", "ssh", "kubernetes")}

#: Folders of third-party JavaScript: that of the report, and that of the site. `pins.json` in each pins its version.
VENDORED = (Path("plugins/plugin_utils/_core/report/vendor"), Path("docs/site/vendor"))

#: The folder where ansible-test finds the collection, and keeps its virtual environments.
SANITY = Path(".nox/sanity").resolve()
#: The files that the archive of the collection contains, and the ignore files of ansible-test.
SHIPPED = ("changelogs/", "extensions/", "galaxy.yml", "meta/", "playbooks/", "plugins/", "roles/", "tests/sanity/")
#: docs/development.md gives the reasons.
NO_SANITY = ("ansible-doc", "changelog", "import", "pep8", "pslint", "pylint", "shellcheck", "yamllint")

#: Reference of modules and plugins. antsibull-docs writes it.
REFERENCE = Path("docs/reference")

#: The documentation as a site.
SITE = Path("dist/site")

nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint"]


def _pyenv() -> None:
    """Make all interpreters of pyenv available by their names, if pyenv is installed."""
    if shutil.which("pyenv"):
        versions = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=True)
        os.environ["PYENV_VERSION"] = ":".join(versions.stdout.split())


def _newest_python() -> str | None:
    for version in NEWEST_PYTHONS:
        name = f"python{version}"
        if shutil.which(name) and subprocess.run([name, "--version"], capture_output=True, check=False).returncode == 0:
            return version
    return None


_pyenv()


def _install(session: nox.Session, *others: str) -> None:
    """Install the locked packages, then others that replace some of them, unless they are already installed."""
    stamp = Path(session.virtualenv.location, ".installed")
    files = [Path(name).read_bytes() for name in ("requirements/dev.txt", "pyproject.toml")]
    digest = hashlib.sha256(b"\0".join([*files, *map(str.encode, others)])).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    session.install("--quiet", "--require-hashes", "--requirement", "requirements/dev.txt")
    session.install("--quiet", "--no-deps", "--no-build-isolation", "--editable", ".")
    if others:
        session.install("--quiet", *others)
    stamp.write_text(digest)


def _unit_tests(seed: str) -> list[str]:
    """All unit tests; with a seed, those that need ansible-core, and half of the others."""
    if not seed:
        return ["tests/unit"]
    others = [str(path) for path in sorted(Path("tests/unit").glob("[!_]*")) if str(path) not in WITH_CORE]
    others = [path for path in others if Path(path).is_dir() or Path(path).name.startswith("test_")]
    others.sort(key=lambda path: hashlib.sha256(f"{seed} {path}".encode()).digest())
    return [*WITH_CORE, *others[: len(others) // 2]]


def _deselect(names: Sequence[str]) -> list[str]:
    return [f"--deselect=tests/integration/{name}" for name in names]


def _locked_core() -> str:
    """Version of ansible-core in the environment that runs nox."""
    return metadata.version("ansible-core")


def _test(
    session: nox.Session,
    unit: Sequence[str] = ("tests/unit",),
    integration: Sequence[str] = ("tests/integration",),
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a session's tests.

    ``-- unit`` or ``-- integration`` runs only these, ``-- connection`` or ``-- others`` only a part of the integration
    tests. Any other arguments are passed to pytest.

    Args:
        session: The session.
        unit: Unit tests to run.
        integration: Integration tests to run.
        env: Variables of their environment.
    """
    session.run("ansible", "--version")
    arguments = session.posargs or ("unit", "integration")
    kinds = {
        "unit": ("--numprocesses", "auto", *unit),
        "integration": integration,
        "connection": (*OF_THE_CONNECTION, *(word for word in integration if word.startswith("--"))),
        "others": (*integration, *(f"--ignore={file}" for file in OF_THE_CONNECTION)),
    }
    if not set(arguments) <= kinds.keys():
        session.run("python", "-m", "pytest", *arguments)
        return
    for kind in arguments:
        report = f"--junitxml=reports/{session.name}-{kind}.xml"
        session.run("python", "-m", "pytest", "-m", "not once", report, *kinds[kind], env=env)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Run all static checks; with ``-- changed``, ansible-lint checks only files that are not committed."""
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
    _copy_shipped_files()
    with session.chdir(SANITY / "ansible_collections/tierwright/chain"):
        _sanity(session)
        session.run("antsibull-changelog", "release")  # of the copy: shows that the fragments become a changelog


@nox.session(venv_backend="none")
def reference(session: nox.Session) -> None:
    """Write docs/reference from the documentation of modules and plugins."""
    _write_reference(session, REFERENCE)


@nox.session(venv_backend="none")
def docs(session: nox.Session) -> None:
    """Write the documentation as a site to dist/site. Warnings are errors: for example, a link without a target."""
    shutil.rmtree(SITE, ignore_errors=True)
    session.run("python", "docs/site/build.py", str(SITE))


def _write_reference(session: nox.Session, target: Path) -> None:
    """Run antsibull-docs without the roles, because it rejects defaults that are templates."""
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        collection = Path(folder, "ansible_collections/tierwright/chain")
        collection.mkdir(parents=True)
        for name in ("galaxy.yml", "meta", "plugins"):
            (collection / name).symlink_to(Path(name).resolve())
        options = ("--use-current", "--fail-on-error", "--no-add-antsibull-docs-version", "--cleanup", "everything")
        output = ("--output-format", "simplified-rst", "--dest-dir", str(target))
        env = {"ANSIBLE_COLLECTIONS_PATH": folder}
        session.run("antsibull-docs", "collection-plugins", *options, *output, "tierwright.chain", env=env)
    (target / "README.md").write_text(_reference_index(target))


def _reference_index(folder: Path) -> str:
    """A page that lists those of antsibull-docs, by kind. Their titles are `tierwright.chain.NAME KIND -- WHAT`."""
    kinds: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.rst")):
        name, kind, what = re.search(
            r"^tierwright\.chain\.(\S+) (\w+) -- (.+)$", path.read_text(), re.MULTILINE
        ).groups()
        kinds.setdefault(kind, []).append(f"- [`{name}`]({path.name}): {what}")
    order = sorted(kinds, key=lambda kind: (kind != "module", kind))
    titles = {"module": "Modules"}
    parts = [f"## {titles.get(kind, f'{kind.capitalize()} plugins')}\n\n" + "\n".join(kinds[kind]) for kind in order]
    about = "`ansible-doc tierwright.chain.NAME` prints the same. `make reference` writes these pages."
    return "\n\n".join(["# Modules and plugins", about, *parts]) + "\n"


def _copy_shipped_files() -> None:
    """Copy the current files of the collection to a folder with the name that ansible-test requires."""
    collection = SANITY / "ansible_collections/tierwright/chain"
    shutil.rmtree(collection, ignore_errors=True)
    for name in _output("git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate").splitlines():
        if name.startswith(SHIPPED) and os.path.lexists(name):
            (collection / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, collection / name, follow_symlinks=False)
    _output("git", "init", "--quiet", str(collection))  # otherwise, ansible-test treats all files as ignored


def _sanity(session: nox.Session) -> None:
    """Run ansible-test without a container. It needs PyPI, but only before the first run.

    ansible-test makes virtual environments in the home folder and downloads pip for them from Ansible's own server.
    This session sets a different home folder, and replaces the downloaded script by one that uses the bundled pip.
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
    patterns = ("tests/*.py", "tests/engines/*.py", "tests/fake_engine/*.py", "tests/integration/*.py")
    return [path for pattern in patterns for path in map(str, Path().glob(pattern)) if "/test_" not in path]


def _scripts() -> list[str]:
    return _output("git", "grep", "-lE", "^#!/bin/(ba)?sh").split()


def _changed() -> list[str]:
    """YAML files that differ from the last commit, or are new."""
    command = ("git", "ls-files", "--modified", "--others", "--exclude-standard", "--deduplicate", "--", "*.yml")
    return [path for path in _output(*command).split() if Path(path).exists()]


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@nox.session(venv_backend="uv|virtualenv", reuse_venv=True)
def oldest(session: nox.Session) -> None:
    """Run the tests that depend on ansible-core, with the oldest supported version."""
    _install(session, f"ansible-core=={OLDEST_CORE}")
    is_patch = _locked_core().rpartition(".")[0] == OLDEST_CORE.rpartition(".")[0]
    # It runs on the same Python as the locked version, so the other unit tests would only repeat.
    for_a_patch = [*FOR_A_PATCH, *_deselect(NOT_FOR_A_PATCH)]
    _test(session, WITH_CORE, for_a_patch if is_patch else ["tests/integration"], FEW_EXAMPLES)


@nox.session(venv_backend="uv|virtualenv", reuse_venv=True, python=_newest_python() or False)
def newest(session: nox.Session) -> None:
    """Run all unit and integration tests with the newest ansible-core, which needs a newer Python than 3.11.

    If the variable ``SAMPLE`` is set, half of the unit tests that do not need ansible-core are left out.
    """
    if _newest_python() is None:
        session.skip(f"none of Python {', '.join(NEWEST_PYTHONS)} is installed here")
    _install(session)
    others = ["tests/integration", *_deselect(OF_THE_DEMO)]
    env = {**FEW_EXAMPLES, "AGENT_PYTHONS": "others"}
    _test(session, _unit_tests(os.environ.get("SAMPLE", "")), others, env)


@nox.session(venv_backend="uv|virtualenv", reuse_venv=True)
def bench(session: nox.Session) -> None:
    """Run a benchmark of tests/bench: ``nox --session bench -- connection [options]``."""
    name, *options = session.posargs or ("connection",)
    core = _locked_core()
    # The bench compares the connection with those of these packages. ansible 12 is the package for ansible-core 2.19.
    others = {
        "connection": (f"ansible=={int(core.split('.')[1]) - 7}.*", "mitogen", f"ansible-core=={core}"),
        "publish": ("deflate==0.9.0", "isal==1.9.1", "zlib-ng==1.1.0"),
    }
    _install(session, *others.get(name, ()))
    session.run("python", "-m", f"bench.{name}", *options, env={"PYTHONPATH": "tests"})


@nox.session
def lock(session: nox.Session) -> None:
    """Update the lock files in requirements/ from pyproject.toml."""
    session.install("--quiet", "uv>=0.9")
    options = [
        "--quiet",
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--upgrade",
        "--no-emit-index-url",
    ]
    compiler = ("uv", "pip", "compile", *options, "--custom-compile-command", "make lock")
    for group, sources in {"dev": ["pyproject.toml"], "kubernetes": [], "ssh": [], "pip": [], "uv": []}.items():
        session.run(
            *compiler, "--group", f"pyproject.toml:{group}", *sources, "--output-file", f"requirements/{group}.txt"
        )
    for name, extras in WATCHER_EXTRAS.items():
        chosen = [f"--extra={extra}" for extra in extras]
        output = ("--constraints", "requirements/dev.txt", "--output-file", str(WATCHER / f"{name}.txt"))
        session.run(*compiler, "pyproject.toml", *chosen, *output)


@nox.session(venv_backend="none")
def wheels(session: nox.Session) -> None:
    """Fill dist/wheels for the role `watcher`; ``-- kubernetes`` adds what a roll-out to Kubernetes needs.

    The wheels are for this Python and this processor.
    """
    shutil.rmtree(WHEELS, ignore_errors=True)
    names = ["requirements-kubernetes"] if "kubernetes" in session.posargs else ["requirements"]
    files = [f"--requirement={path}" for path in ("requirements/pip.txt", *(WATCHER / f"{name}.txt" for name in names))]
    options = ("--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", str(WHEELS))
    session.run("python", "-m", "pip", "download", "--quiet", *options, *files)
    session.run("hatchling", "build", "--target", "wheel", "--directory", str(WHEELS))


@nox.session(venv_backend="uv|virtualenv", reuse_venv=True)
def ssh(session: nox.Session) -> None:
    """Docker's SDK with paramiko, for the test of an engine behind ssh (tests/integration/test_engine_elsewhere.py)."""
    session.install("--quiet", "--require-hashes", "--requirement", "requirements/ssh.txt")


@nox.session(venv_backend="uv|virtualenv", reuse_venv=True)
def kubernetes(session: nox.Session) -> None:
    """The client and the schemas of Kubernetes, for tests/integration/test_kubernetes.py."""
    session.install("--quiet", "--require-hashes", "--requirement", "requirements/kubernetes.txt")


@nox.session(venv_backend="none")
def vendor(session: nox.Session) -> None:
    """Download third-party JavaScript with npm; ``-- PACKAGE@VERSION`` downloads and pins a different version."""
    for folder in VENDORED:
        _vendor(session, folder)


def _vendor(session: nox.Session, folder: Path) -> None:
    """Fill one folder of ``VENDORED``."""
    pins_file = folder / "pins.json"
    pins = json.loads(pins_file.read_text())
    chosen = [version for name, _, version in (it.rpartition("@") for it in session.posargs) if name == pins["package"]]
    pins["version"] = next(iter(chosen), pins["version"])
    downloads = session.create_tmp()
    command = ("npm", "pack", "--silent", "--pack-destination", downloads, f"{pins['package']}@{pins['version']}")
    session.run(*command, external=True)
    archive = Path(downloads, f"{pins['package'].lstrip('@').replace('/', '-')}-{pins['version']}.tgz")
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if not chosen and integrity != pins["integrity"]:
        session.error(f"the digest of {archive.name} from npm differs from the one in {pins_file}")
    pins["integrity"] = integrity
    with tarfile.open(archive) as tar:
        for name, pin in pins["files"].items():
            content = tar.extractfile(f"package/{pin['from']}").read()
            pin["sha256"] = hashlib.sha256(content).hexdigest()
            (folder / name).write_bytes(content)
    pins_file.write_text(json.dumps(pins, indent=2) + "\n")
