"""Commands through a shell in a container have the results of commands that the engine starts."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.engine_container import EngineContainer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.shared_shell import SharedShell
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ContainerGoneError
from engine_contract.question import WAITS
from engine_contract.question import sandbox as sandbox  # noqa: PLC0414 - a fixture

LINES = [
    "set; umask; ulimit -a; echo $0 $#; pwd",
    "cat /proc/self/limits /proc/self/cgroup; cat /proc/self/oom_score_adj",
    (
        "while read -r name value; do case $name in Uid: | Gid: | Groups: | Cap* | Seccomp: | SigBlk: | SigIgn:)"
        ' echo "$name $value";; esac; done </proc/self/status'
    ),
    "echo /proc/self/fd/*; cat; echo out; echo err >&2; exit 7",
    "printf 'no end \\0 \\377'; kill -9 $$",
    "no-such-program; echo 'unclosed",
]


@pytest.fixture(scope="module")
def engine():
    connection = connect()
    yield connection
    connection.close()


def test_results_are_those_of_the_engines_own_commands(sandbox, engine):
    image = sandbox.load(User="7:8", WorkingDir="/etc", Env=["PATH=/bin", "GREETING=hello  there"])
    container = sandbox.start(image.id)
    for user in ("", "0:0"):
        shell = SharedShell(engine, container, user)
        own = EngineContainer(engine, container, tier="x", alias="x", config={}, user=user)
        for line in LINES:
            # In a line that names PPID, the engine starts the command.
            expected = own.run(["/bin/sh", "-c", f"{line}\n# PPID"])
            assert _same(shell.run(["/bin/sh", "-c", f"{line}\n# parent"])) == _same(expected)
        # On a busy machine, a process of the last line may still be ending. The shell then ends, and a new one begins.
        assert shell.run(["/bin/sh", "-c", ":"]) == (0, b"", b"")
        assert _shells(engine, container) == 1
        shell.end()
        assert _shells(engine, container) == 0


def test_a_process_that_a_command_leaves_neither_delays_nor_disturbs_the_next_one(sandbox, engine):
    shell = SharedShell(engine, sandbox.start(sandbox.load().id))
    leave = "(sleep 1; echo late; sleep 60) & echo now"
    assert shell.run(["/bin/sh", "-c", leave]).stdout in {b"now\n", b"now\nlate\n"}
    assert shell.run(["/bin/sh", "-c", "echo next"]) == (0, b"next\n", b"")
    shell.end()


def test_the_end_of_the_container_is_reported(sandbox, engine):
    container = EngineContainer(engine, sandbox.start(sandbox.load().id), tier="x", alias="x", config={})
    assert container.run(["/bin/sh", "-c", "echo one"]).stdout == b"one\n"
    container.end()
    with pytest.raises(ContainerGoneError):
        container.run(["/bin/sh", "-c", "echo two"])


def _shells(engine, container):
    """Count the shared shells in a container. Each has a token, and the container itself waits."""
    commands = [command for _user, command in engine.services.processes(container)]
    assert " ".join(WAITS) in commands, commands
    return sum("tierwright_token" in command for command in commands)


def _same(output):
    """Return the result without what differs between any two commands: the number of the process."""
    lines = [line for line in output.stdout.splitlines() if not line.startswith((b"PPID=", b"_="))]
    return output.code, lines, output.stderr
