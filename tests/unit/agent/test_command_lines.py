"""The agent must understand a command line as ``/bin/sh`` does; the tests compare it with a real shell."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from ansible.plugins.shell.sh import ShellModule
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent import client

#: A fake interpreter that prints its environment unchanged, and then itself.
FAKE = b"#!/bin/cat /proc/self/environ\n"

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{3,9}", fullmatch=True)
TEXT = st.text(
    st.one_of(st.sampled_from("'\"\\\n\r\t $`;&|<>#~*=!{}()é\u00a0\u2028🐍"), st.characters(exclude_categories=["Cs"])),
    max_size=20,
).map(lambda text: text.replace("\0", ""))

#: The pieces of random scripts; PYTHON stands for the path of the fake interpreter.
PIECES = [
    *("PYTHON", "A=1", "B='x y'", "C=$A", 'D="$A"', "E=~", "F=a:~/b", "G='it'\"'\"'s'", "2X=3", "H=", "I=*", "J=\\n"),
    *(" ", " ", " ", " && sleep 0", "sleep 0", ";", "&&", "||", "|", "&", "\n", "\t", "\r", "\u00a0", "\x1f", "#", "'"),
    *('"', "\\", "$(true)", "`true`", ">/dev/null", "2>&1", "</dev/null", "(", ")", "{ ", "}", "!", "exec ", "if "),
]


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    path = tmp_path_factory.mktemp("bin") / "python3"
    path.write_bytes(FAKE)
    path.chmod(0o755)
    return str(path)


def environment_from_shell(line):
    """The environment of the fake interpreter; ``None`` if the shell did more than start it once."""
    process = subprocess.run(line, shell=True, capture_output=True, stdin=subprocess.DEVNULL, env={}, check=False)
    environment, _, rest = process.stdout.partition(FAKE)
    if rest or process.stderr or process.returncode or not process.stdout.endswith(FAKE):
        return None
    words = [word.decode(errors="surrogateescape").partition("=") for word in environment.split(b"\0") if word]
    return {name: value for name, _, value in words if name != "PWD"}  # the shell sets PWD itself


def ansible_line(script, executable="/bin/sh"):
    return executable + " -c " + shlex.quote(script)


def module_script(environment, python):
    shell = ShellModule()
    return shell.build_module_command(shell.env_prefix(**environment), f"#!{python}", "")


@pytest.mark.parametrize("tail", ["", " ", " && sleep 0"])
def test_a_module_is_recognised_for_every_ansible_core(tail):
    line = ansible_line("/usr/bin/python3" + tail)
    request = client.request(line, has_input=True)
    assert (request["do"], request["interpreter"], request["env"]) == ("module", "/usr/bin/python3", {})


@given(st.dictionaries(NAMES, TEXT, max_size=4), st.sampled_from(["", " && sleep 0"]))
def test_a_module_gets_the_environment_that_a_shell_would_set(python, environment, tail):
    line = ansible_line(module_script(environment, python) + tail)
    request = client.request(line, has_input=True)
    assert request["do"] == "module"
    assert request["interpreter"] == python
    assert request["env"] == environment == environment_from_shell(line)


@given(st.dictionaries(TEXT, TEXT, min_size=1, max_size=2))
def test_invalid_variable_names_are_left_to_the_shell(python, environment):
    line = ansible_line(module_script(environment, python))
    request = client.request(line, has_input=True)
    if request["do"] == "module":
        assert request["env"] == environment_from_shell(line)


@given(st.lists(st.sampled_from(PIECES), max_size=6), st.booleans())
def test_only_a_plain_interpreter_call_is_taken_for_a_module(python, pieces, ends):
    line = ansible_line("".join([*pieces, "PYTHON" * ends]).replace("PYTHON", python))
    request = client.request(line, has_input=True)
    if request["do"] == "module" and request["interpreter"] == python:
        assert request["env"] == environment_from_shell(line)


@pytest.mark.parametrize(
    "script",
    [
        *("python3; id", "python3 $(id)", "python3 && id", "python3 | cat", "id && python3", "python3 && sleep 1"),
        *("python3 && sleep 0 && sleep 0", "python3 < /etc/passwd", "python3 > /tmp/x", "python3 &", "python3\nid"),
        *("python3 /tmp/module.py", "python3 -c pass", "FOO=$BAR python3", 'FOO="$BAR" python3', "FOO=~ python3"),
        *("FOO=`id` python3", "FOO=* python3", "FOO=1 FOO=2 python3", "FOO+=1 python3", "9X=1 python3", "exec python3"),
        *("cd /tmp && python3", "(python3)", "! python3", "$PYTHON", "~/bin/python3", "pyth?n3", "python3 # it"),
        *("/usr/bin/perl", "sh", "node", "python3.sh", "echo BECOME-SUCCESS-abc ; python3", "A=1", "", " ", "'"),
        *("python3\r", "python3\u00a0", "python3\x1f", "\u00a0python3"),
    ],
)
def test_a_script_that_does_more_than_a_module_is_run_by_a_shell(script):
    line = ansible_line(script)
    expected = script.removesuffix(" && sleep 0")  # this suffix changes only the time
    assert client.request(line, has_input=True) == {"do": "exec", "argv": ["/bin/sh", "-c", expected]}


@pytest.mark.parametrize(
    "executable", ["/bin/bash", "/bin/sh -e", "sh", "sudo -H -S -n -u root /bin/sh", "A=1 /bin/sh"]
)
def test_a_different_shell_is_started_by_the_shell(executable):
    line = ansible_line("python3", executable)
    assert client.request(line, has_input=True) == {"do": "exec", "argv": ["/bin/sh", "-c", line]}


def test_a_line_of_become_is_run_by_a_shell():
    inner = ansible_line("echo BECOME-SUCCESS-abcdef ; /usr/bin/python3")
    become = f"sudo -H -S -n  -u postgres {inner}"
    request = client.request(ansible_line(become + " && sleep 0"), has_input=True)
    assert request == {"do": "exec", "argv": ["/bin/sh", "-c", become]}


@pytest.mark.parametrize("line", ["", "'", "ls -l", "/bin/sh -c 'ls' more", "/bin/sh -c ls; id", "/bin/sh  -c ls"])
def test_any_other_line_is_run_unchanged_by_a_shell(line):
    assert client.request(line, has_input=True) == {"do": "exec", "argv": ["/bin/sh", "-c", line]}


@given(st.dictionaries(NAMES, TEXT, max_size=2))
def test_a_line_without_input_is_not_a_module(environment):
    script = module_script(environment, "/usr/bin/python3")
    request = client.request(ansible_line(script), has_input=False)
    assert request == {"do": "exec", "argv": ["/bin/sh", "-c", script]}


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ("SECRET='x y' LANG=C /usr/bin/python3", "SECRET=… LANG=… /usr/bin/python3"),
        ("SECRET=x id && sleep 0", "SECRET=… id"),
        ("id | cat", "id | cat"),
        ("echo 'A=1 B'", "echo 'A=1 B'"),
    ],
)
@pytest.mark.parametrize("has_input", [True, False])
def test_the_log_contains_no_values_of_the_environment(script, shown, has_input):
    line = shlex.join(["/bin/sh", "-c", script])
    assert client.describe_request(client.request(line, has_input=has_input)) == shown
