"""The command as users and scripts see it, on images that the tests make."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from click.testing import CliRunner

import schemas
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command import tree as command_tree
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.matrix_store import save_matrix
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.variant_matrix import (
    Cell,
    CellState,
    Matrix,
    Variant,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.build_memory import note_built
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.records import encode
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import state_folder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.run_log import TaskResult, TierLog
from made_images import config, digest, docker_save, layer, layout, pack, step, tier_step, write
from measured import MEASURED
from served import http_server

DOCS = Path(__file__).parents[3] / "docs"
#: A report of a scanner about the package of these images.
SCAN = Path(__file__).parent / "scan.json"
COMMAND = Path(sys.executable).parent / "tierwright"
#: The verbs that inspect images. The other files of this folder test the other verbs.
VERBS = [verb for verb in schemas.ANSWERS if verb not in {"update", "deployed", "runs", "custody", "verify"}]
STATUS = b"Package: ssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: %d\n"
BASE = layer(("var/lib/dpkg/status", STATUS % 1), ("etc/motd", b"one"), ("srv/a", b"twice"), ("srv/b", b"twice"))
WEB = layer(("var/lib/dpkg/status", STATUS % 2), ("etc/motd", b"two"), ("srv/evil\x1b[31m", b""))
OURS = [tier_step("base", "ops"), tier_step("web", "mid")]
IMAGES = {
    "base:latest": (config([BASE], OURS[:1], Env=["A=1"]), [BASE]),
    "web:latest": (config([BASE, WEB], OURS, Env=["A=2"]), [BASE, WEB]),
    "web:release-20260102T000000Z": (config([BASE, WEB], OURS, Env=["A=3"]), [BASE, WEB]),
    "foreign:latest": (config([BASE], [step("RUN apt-get install everything")], Env=["A=4"]), [BASE]),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return f"oci:{write(tmp_path_factory.mktemp('layout'), layout(IMAGES))}"


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    """The state folder of a user, with a compatibility matrix of one chain."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    variant = Variant(
        "debian-13", "Debian 13", [Cell("base", CellState.PASSED), Cell("web", CellState.FAILED, "test_php")]
    )
    folder = state_folder("demo") / "logs/web"
    folder.mkdir(parents=True)
    said = TaskResult("2026-01-02T03:04:05+00:00", "failed", "Install", "web", "web/tasks/main.yml:3", ["no\x1b[31m"])
    moment = "2026-01-02T03:04:05+00:00"
    log = TierLog("demo", "web", "20260102T030405Z-1b2c3d4e", moment, moment, "failed", "no", [said], 0, ["why"], None)
    (folder / f"{log.run}.json").write_text(encode(log))
    save_matrix(state_folder("demo"), Matrix(1, "demo", None, "2026-01-02T03:04:05Z", [variant]))


@pytest.fixture
def run(monkeypatch, tmp_path):
    """A function that runs the command in this process, and returns its exit code, output and errors."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def run_(*arguments):
        result = CliRunner().invoke(tierwright, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result.exit_code, result.stdout, result.stderr

    return run_


@pytest.fixture
def program(monkeypatch, tmp_path):
    """The same in a process of its own, as from a shell."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def run_(*arguments, prefix=(), **options):
        process = subprocess.run([*prefix, COMMAND, *arguments], capture_output=True, text=True, check=False, **options)
        assert "Traceback" not in process.stderr, process.stderr
        return process.returncode, process.stdout, process.stderr

    return run_


def example_arguments(place):
    """Arguments for one call of each verb."""
    return {
        "tree": ["--in", place],
        "layers": [f"{place}:web"],
        "diff": [f"{place}:base", f"{place}:web"],
        "blame": [f"{place}:web", "/etc/motd"],
        "waste": [f"{place}:web"],
        "history": [f"{place}:web"],
        "why": [f"{place}:web"],
        "logs": ["web"],
        "outdated": [f"{place}:web"],
        "owners": [f"{place}:web", "--scan", str(SCAN)],
        "matrix": ["demo"],
        "report": ["--in", place, "--no-outdated", "-o", f"{place.removeprefix('oci:')}-report"],
        "doctor": [],
    }


@pytest.mark.parametrize("verb", VERBS)
def test_json_matches_the_documented_schema(run, place, verb):
    code, out, err = run(verb, *example_arguments(place)[verb], "--json")
    assert code == 0 or (verb == "doctor" and not json.loads(out)["can_build"])  # if no engine answers
    assert err == "" or verb == "outdated"
    jsonschema.validate(json.loads(out), json.loads((DOCS / f"schemas/{verb}.json").read_text()))


def test_tree_in_a_pipe(program, place):
    code, out, _ = program("tree", "--in", place)
    assert code == 0
    assert [line[:65] for line in out.splitlines()] == [
        "IMAGE                            TIER  TEAM  LAYERS    OWN   SIZE",
        "base:latest                      base  ops        1  10 kB  10 kB",
        "├─ web:latest                    web   mid       +1  10 kB  20 kB",
        "└─ web:release-20260102T000000Z  web   mid       +1  10 kB  20 kB",
        "foreign:latest                   -     -          1  10 kB  10 kB",
    ]
    # The age of a tier's image is the age of its build, which is known here only for released images.
    ages = [line[65:].split() for line in out.splitlines()]
    assert [age[0].isdigit() for age in ages] == [False, False, False, True, True]
    assert ages[0] == ["AGE", "SOURCE"]


def test_tree_and_layers_show_the_age_of_the_build_and_the_source_date(run, place):
    images = json.loads(run("tree", "--in", place, "--json")[1])["images"]
    base = next(image for image in images if image["names"] == ["base:latest"])
    assert (base["built"], base["created"]) == (None, "2026-01-02T03:04:05Z")
    layers = json.loads(run("layers", f"{place}:base", "--json")[1])["layers"]
    note_built(base["id"], layers[0]["layer"]["digest"])
    assert re.search(r"base:latest .* (now|\d+ seconds?) +2026-01-02", run("tree", "--in", place)[1])
    assert re.search(r"1  base .* (now|\d+ seconds?)  2026-01-02", run("layers", f"{place}:base")[1])


def test_tree_of_a_thousand_images(program, tmp_path):
    layers = [layer((f"tier{number}", b"")) for number in range(1000)]
    images = {}
    for number in range(1000):
        chain = [layers[index] for index in (number // 100, number // 10, number)]
        images[f"tier{number}:latest"] = (config(chain, [tier_step("tier", "ops")] * 3), chain)
    write(tmp_path / "many", layout(images))
    code, out, kilobytes = program("tree", "--in", f"oci:{tmp_path}/many", prefix=MEASURED)
    assert code == 0
    assert out.count("tier") > 1000
    assert int(kilobytes) < 200_000


def test_tree_of_one_family(run, place):
    names = [line.split()[0] for line in run("tree", "--in", place, "foreign")[1].splitlines()]
    assert names == ["IMAGE", "foreign:latest"]
    assert "web" not in run("tree", "--in", place, "--up", "base")[1]
    assert "web:latest" in run("tree", "--in", place, "--down", "base")[1]


def test_layers_in_a_pipe(run, place):
    _, out, _ = run("layers", f"{place}:web", "--packages")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert re.fullmatch(r"1 base ops role base - 2026-01-02 \d+ B \+4 \+1", lines[1])
    assert re.fullmatch(r"2 web mid role web - 2026-01-02 \d+ B \+1 ~2 ~1", lines[2])
    assert lines[-1] == "~ ssl 1 -> 2"


def test_foreign_layers_are_named_by_their_command(run, place):
    assert "RUN apt-get install everything" in run("layers", f"{place}:foreign")[1]


def test_blame(run, place):
    assert run("blame", f"{place}:web", "/etc/motd")[1].splitlines()[0] == "/etc/motd: web, team mid"
    assert run("blame", f"{place}:web", "ssl")[1].splitlines()[0] == "ssl: web, team mid"
    code, _, err = run("blame", f"{place}:web", "tls")
    sentence = "no layer of image web:latest contains the package tls; if you mean a path, write it with a slash"
    assert (code, err) == (3, f"tierwright: {sentence}\n")


def test_diff(run, place):
    code, out, _ = run("diff", f"{place}:base", f"{place}:web", "--exit-code")
    assert code == 1
    assert "web (team mid):\n  package ~ ssl 1 -> 2\n  ~ /etc/motd  (content)\n" in out
    assert "environment:\n  ~ A = 1 -> 2\n" in out
    assert run("diff", f"{place}:web", f"{place}:web", "--exit-code")[:2] == (0, "no difference\n")
    assert run("diff", f"{place}:base", f"{place}:web")[0] == 0


def test_waste(run, place):
    out = run("waste", f"{place}:web")[1]
    assert re.search(r"3 B +base +web +changed +/etc/motd", out)
    assert re.search(r"5 B +2 +base:/srv/a, base:/srv/b", out)


def test_outdated(run, tmp_path):
    index = b"Package: ssl\nArchitecture: amd64\nVersion: 3\n"
    release = f"Architectures: amd64\nLabel: Debian-Security\nSHA256:\n {digest(index)[7:]} {len(index)} "
    files = {
        "/d/dists/x/InRelease": release.encode() + b"main/binary-amd64/Packages\n",
        "/d/dists/x/main/binary-amd64/Packages": index,
    }
    with http_server(lambda path, _headers: (200, {}, files[path])) as host:
        source = layer(("etc/apt/sources.list", f"deb [trusted=yes] http://{host}/d x main".encode()))
        image = {"web:latest": (config([BASE, source], OURS), [BASE, source])}
        name = f"oci:{write(tmp_path / 'layout', layout(image))}:web"
        code, out, err = run("outdated", name, "--fail")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 1
    assert "ssl:amd64 1 3 security base ops 1" in lines
    assert "base ops 1 1 base" in lines
    assert "127.0.0.1/d x main: signature not checked: the image trusts it without a signature" in lines
    assert [line.partition(" ")[0] for line in err.splitlines()] == ["opening", "reading", "reading"]


def test_outdated_fails_if_nothing_was_compared(run, place):
    code, out, _ = run("outdated", f"{place}:web")
    assert (code, out) == (0, "web:latest: its apt has no sources, so nothing is compared\n")
    assert run("outdated", f"{place}:web", "--fail")[0] == 1


def test_control_characters_are_escaped(run, place):
    for arguments in (("diff", f"{place}:base", f"{place}:web"), ("blame", f"{place}:web", "/srv/evil\x1b[31m")):
        code, out, _ = run(*arguments)
        assert code == 0
        assert "\x1b" not in out
        assert r"evil\x1b[31m" in out


@pytest.mark.parametrize("verb", VERBS)
def test_on_a_terminal(place, verb, tmp_path):
    """Headers are bold on a terminal; the rest of the output is the same as in a pipe."""
    primary, secondary = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        [COMMAND, verb, *example_arguments(place)[verb]], stdout=secondary, stderr=secondary, env=environment
    ) as process:
        os.close(secondary)
        output = b""
        try:
            while piece := os.read(primary, 1 << 16):
                output += piece
        except OSError:  # the other side is closed
            pass
        code = process.wait(30)
        assert code == 0 or (verb == "doctor" and b"no chain can be built here" in output), output
    os.close(primary)
    text = output.decode()
    assert ("\x1b[1m" in text) == (verb not in {"diff", "why", "logs", "outdated", "report"})
    other = {
        "waste": "base",
        "logs": "web: run",
        "outdated": "web",
        "matrix": "test_php",
        "report": "3 tiers",
        "doctor": "ansible-core",
    }
    assert other.get(verb, "mid") in text


def test_dot(run, place):
    out = run("tree", "--in", place, "--dot")[1]
    assert r'n1 [label="web:latest\ntier web, team mid\n+10 kB"];' in out
    assert "n0 -> n1;" in out


def test_svg(run, place):
    code, out, _ = run("tree", "--in", place, "--svg")
    assert code == 0
    picture = ET.fromstring(out)
    titles = [title.text for title in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[:3] == [
        "Images and their parents",
        "base:latest, base, team ops, +10 kB",
        "web:latest, web, team mid, +10 kB, based on base:latest",
    ]
    assert "http" not in out.replace("http://www.w3.org/", "")


@pytest.mark.parametrize(
    ("code", "arguments", "sentence"),
    [
        (2, ["tree", "--up"], "--up and --down start at an image"),
        (2, ["tree", "--svg", "--json"], "exclude each other"),
        (2, ["nothing"], "No such command"),
        (2, ["layers"], "Missing argument"),
        (2, ["why", "x", "--", "-v"], "options of ansible-playbook are only used with --now"),
        (2, ["layers", "docker://x"], "is not the name of an image in a registry"),
        (2, ["report"], "Missing option"),
        (2, ["report", "-o", "/etc", "--in", "{place}"], "/etc is not empty, and is not a report"),
        (3, ["report", "nothing", "-o", "/tmp/none", "--in", "{place}"], "no tier of a chain 'nothing'"),
        (3, ["layers", "archive:/none.tar"], "cannot be read"),
        (3, ["tree", "--in", "oci:/none"], "not an OCI layout"),
        (3, ["tree", "--in", "{place}", "nothing"], "there is no image 'nothing'"),
        (3, ["history", "{place}:nothing"], "no image of a tier 'nothing'"),
        (4, ["layers", "archive:/etc/passwd"], "not a tar archive"),
        (5, ["tree"], "no container engine answers"),
        (5, ["layers", "web"], "no container engine answers"),
        (5, ["layers", "docker://127.0.0.1:1/web"], "does not answer"),
    ],
)
def test_exit_codes(run, monkeypatch, place, code, arguments, sentence):
    monkeypatch.setenv("DOCKER_HOST", "unix:///none/docker.sock")
    actual, out, err = run(*(argument.format(place=place) for argument in arguments))
    assert (actual, out) == (code, "")
    assert sentence in err


def test_an_archive_with_unsupported_compression_is_reported(run, tmp_path):
    (tmp_path / "bz").write_bytes(b"BZh" + bytes(600))
    code, _, err = run("layers", f"archive:{tmp_path}/bz")
    assert (code, err) == (
        6,
        f"tierwright: archive {tmp_path}/bz is compressed with bzip2; expected plain tar, gzip or zstd\n",
    )


def test_a_pipe_may_close_early(place, tmp_path):
    many = layer(*((f"file{number}", b"") for number in range(5000)))
    path = pack(tmp_path / "it.tar", docker_save({"it:1": (config([many]), [many])}))
    script = f"{COMMAND} diff archive:{path} {place}:web --json | head -c 1; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("PYTHONUNBUFFERED", None)  # with it, Python itself loses data that the pipe does not accept
    process = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert (process.returncode, process.stdout, process.stderr) == (141, "{", "")


def test_the_command_runs_from_a_clone(place, tmp_path):
    root = DOCS.parent
    environment = {**os.environ, "PYTHONPATH": str(root / "collections"), "XDG_CACHE_HOME": str(tmp_path)}
    module = tierwright.callback.__module__.rpartition(".")[0]
    process = subprocess.run(
        [sys.executable, "-m", module, "tree", "--in", place],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "web:latest" in process.stdout


def test_the_version_is_that_of_the_distribution(run):
    assert run("--version")[:2] == (0, f"tierwright, version {metadata.version('tierwright')}\n")


def test_an_unexpected_error_is_reported_in_one_sentence(place, monkeypatch):
    def fail(*_arguments, **_options):
        raise KeyError("\x1b[31mId")

    monkeypatch.setattr(command_tree, "build_tree", fail)
    result = CliRunner().invoke(tierwright, ["tree", "--in", place])
    assert result.exit_code == 4
    assert result.output.startswith("tierwright: unexpected error (KeyError: ")
    assert "\x1b" not in result.output
    monkeypatch.setenv("TIERWRIGHT_TRACEBACK", "1")
    assert isinstance(CliRunner().invoke(tierwright, ["tree", "--in", place]).exception, KeyError)
