"""The plan reports invalid variables of a tier, with the tier, the variable, its value and the expected value."""

from __future__ import annotations

import pytest
from ansible.template import trust_as_template
from ansible.vars.hostvars import HostVarsVars

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain import image_settings
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.names import variable_prefix
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.configuration import runtime_config
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.argument_specs import check_config
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.chain_inventory import ChainInventory
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.planner import Planner
from fake_engine import FakeEngine

DIGEST = "sha256:" + "0f" * 32

#: Variable, value, and words that the message contains in addition to the tier and the variable.
BAD = [
    ("tier_config", "cmd", "expected a dictionary"),
    ("tier_config", ["cmd"], "expected a dictionary"),
    ("tier_config", {"comand": ["x"]}, "unknown key 'comand'"),
    (
        "tier_config",
        {"cmd": "sh -c 'echo hello'"},
        "cmd is \"sh -c 'echo hello'\" (a string); expected a list of words",
    ),
    ("tier_config", {"cmd": [["a"]]}, "cmd[0]"),
    ("tier_config", {"cmd": ["a", True]}, "cmd[1] is True (a boolean)"),
    ("tier_config", {"cmd": ["", "x"]}, "a program as the first word"),
    ("tier_config", {"cmd": {"shel": "x"}}, "{shell: …}"),
    ("tier_config", {"cmd": {"shell": ""}}, "a shell command line"),
    ("tier_config", {"cmd": {"shell": ["x"]}}, "a shell command line"),
    ("tier_config", {"entrypoint": "docker-entrypoint.sh"}, "entrypoint is 'docker-entrypoint.sh' (a string)"),
    ("tier_config", {"entrypoint": ["a", 1.5]}, "entrypoint[1] is 1.5"),
    ("tier_config", {"user": True}, "user is True (a boolean)"),
    ("tier_config", {"user": -1}, "user is -1"),
    ("tier_config", {"user": "www data"}, "user is 'www data'"),
    ("tier_config", {"user": "1001:0:0"}, "a user name or ID"),
    ("tier_config", {"user": 2**31}, "a user name or ID"),
    ("tier_config", {"env": ["A=b"]}, "env is ['A=b'] (a list); expected a dictionary"),
    ("tier_config", {"env": {"DEBUG": True}}, "env.DEBUG is True (a boolean); expected a string"),
    ("tier_config", {"env": {"VERSION": 1.10}}, "env.VERSION is 1.1"),
    ("tier_config", {"env": {"LIST": ["a"]}}, "env.LIST"),
    ("tier_config", {"env": {"A=B": "c"}}, "a name without spaces"),
    ("tier_config", {"env": {1: "c"}}, "a name without spaces"),
    ("tier_config", {"env": {"X": "costs $5"}}, "$$ for a dollar sign"),
    ("tier_config", {"env": {"X": "${HOME"}}, "$NAME or ${NAME}"),
    ("tier_config", {"env": {"PATH": "bin:$PATH"}}, "env.PATH is 'bin:$PATH'; expected absolute folders"),
    ("tier_config", {"working_dir": "data"}, "working_dir is 'data' (a string); expected an absolute path"),
    ("tier_config", {"working_dir": "/srv/../etc"}, "an absolute path without"),
    ("tier_config", {"working_dir": 5}, "an absolute path"),
    ("tier_config", {"ports": 8080}, "ports is 8080; expected a list of ports"),
    ("tier_config", {"ports": "8080,8081"}, "a list of ports"),
    ("tier_config", {"ports": ["http"]}, "ports[0] is 'http'"),
    ("tier_config", {"ports": [0]}, "ports[0] is 0"),
    ("tier_config", {"ports": [70000]}, "from 1 to 65535"),
    ("tier_config", {"ports": ["8080/icmp"]}, "/tcp, /udp or /sctp"),
    ("tier_config", {"ports": ["9000-8000"]}, "8000-8010/udp"),
    ("tier_config", {"ports": ["80:8080"]}, "is set when a container is started"),
    ("tier_config", {"ports": [True]}, "ports[0] is True"),
    ("tier_config", {"volumes": ["/"]}, "volumes[0] is '/' (a string); expected an absolute path"),
    ("tier_config", {"volumes": ["data"]}, "volumes[0] is 'data'"),
    ("tier_config", {"volumes": "/data"}, "a list of absolute paths"),
    ("tier_config", {"volumes": ["/proc/x"]}, "not in /dev, /proc or /sys"),
    ("tier_config", {"volumes": ["/srv:/data"]}, "volumes[0]"),
    ("tier_config", {"labels": {"a": True}}, "labels.a is True"),
    ("tier_config", {"labels": "a=b"}, "labels is 'a=b'"),
    ("tier_config", {"healthcheck": "curl"}, "healthcheck is 'curl'"),
    ("tier_config", {"healthcheck": {"test": "curl -f http://localhost/"}}, "healthcheck.test is 'curl -f"),
    ("tier_config", {"healthcheck": {"test": ["curl", "-f"]}}, "[CMD, program, …]"),
    ("tier_config", {"healthcheck": {"test": ["CMD"]}}, "healthcheck.test"),
    ("tier_config", {"healthcheck": {"test": ["CMD-SHELL", "a", "b"]}}, "healthcheck.test"),
    ("tier_config", {"healthcheck": {"interval": "5s"}}, "healthcheck has no test"),
    ("tier_config", {"healthcheck": {"test": ["CMD", "x"], "retries": -5}}, "healthcheck.retries is -5"),
    ("tier_config", {"healthcheck": {"test": ["CMD", "x"], "retries": 0}}, "a number from 1 to 1000"),
    ("tier_config", {"healthcheck": {"test": ["CMD", "x"], "retries": 1.5}}, "healthcheck.retries"),
    (
        "tier_config",
        {"healthcheck": {"test": ["CMD", "x"], "interval": 30}},
        "healthcheck.interval is 30; expected a dur",
    ),
    ("tier_config", {"healthcheck": {"test": ["CMD", "x"], "interval": "0s"}}, "longer than zero"),
    ("tier_config", {"healthcheck": {"test": ["CMD", "x"], "timeout": "-5s"}}, "healthcheck.timeout is '-5s'"),
    ("tier_config", {"healthcheck": {"test": ["CMD", "x"], "start_period": "soon"}}, "healthcheck.start_period"),
    ("tier_config", {"healthcheck": {"test": ["CMD", "x"], "every": "5s"}}, "unknown key 'every'"),
    ("tier_config", {"stop_signal": "SIGNOTHING"}, "stop_signal is 'SIGNOTHING'"),
    ("tier_config", {"stop_signal": 99}, "stop_signal is 99"),
    (
        "tier_config",
        trust_as_template("{{ {'user': ansible_facts.user_id} }}"),
        "cannot be read while the run",
    ),
    ("tier_drop", 5, "expected a list"),
    ("tier_drop", [5.5], "tier_drop[0] is 5.5"),
    ("tier_drop", ["[z-a]"], "which is not a valid pattern"),
    ("tier_drop", ["../x"], "a path below the root"),
    ("tier_keep", {"a": 1}, "expected a list"),
    ("tier_keep", ["/"], "a path below the root"),
    ("tier_keep", [None], "tier_keep[0] is None"),
    ("tier_protects", ["/etc/[z-a]"], "which is not a valid pattern"),
    ("tier_protects", [{"path": "/etc"}], "tier_protects[0]"),
    ("tier_cage", "KILL", "expected a dictionary"),
    ("tier_cage", {"memory": 512}, "from 64m to 64t"),
    ("tier_cage", {"memory": "999999t"}, "tier_cage.memory is '999999t'"),
    ("tier_cage", {"memory": "lots"}, "tier_cage.memory is 'lots'"),
    ("tier_cage", {"pids": -1}, "tier_cage.pids is -1"),
    ("tier_cage", {"pids": 10**12}, "from 32 to"),
    ("tier_cage", {"pids": True}, "tier_cage.pids is True; expected a whole number"),
    ("tier_cage", {"capabilities": ["SYS_ADMIN"]}, "equivalent to root"),
    ("tier_cage", {"cpu": 1}, "cpu"),
    ("tier_parent", ["base"], "tier_parent is ['base']; expected a string"),
    ("tier_parent", "bsae", "tier_parent is 'bsae'"),
    ("tier_role", ["web"], "tier_role is ['web']; expected a string"),
    ("tier_role", {"name": "web"}, "expected a string"),
    ("tier_image", "Web:1", "tier_image is 'Web:1'"),
    ("tier_image", True, "tier_image is True"),
    ("tier_tag", "no good", "tier_tag is 'no good'"),
    ("tier_tag", 1.10, "tier_tag is 1.1; expected a string"),
    ("tier_tag", "previous", "which is reserved"),
    ("tier_team", "a\nb", "tier_team is"),
    ("tier_team", True, "tier_team is True"),
    ("tier_neighbours", ["nobody"], "nobody"),
    ("tier_neighbours", [["db"]], "tier_neighbours[0] is ['db']; expected a string"),
    ("tier_neighbours", {"db": 1}, "expected a list"),
    ("tier_epoch", ["a"], "tier_epoch is ['a']"),
    ("tier_source_date_epoch", "yesterday", "tier_source_date_epoch is 'yesterday'; expected a whole number"),
    ("tier_source_date_epoch", -1, "seconds since 1970"),
    ("tier_inputs", [{"url": 5.5}], "tier_inputs[0].url is 5.5"),
    ("tier_inputs", [{"urll": "x"}], "urll"),
    ("tier_inputs", [{"url": "ftp://x"}], "expected http://"),
    ("tier_inputs", [{"file": "nowhere"}], "there is no file"),
    ("tier_inputs_max_age", "a while", "expected seconds"),
    ("tier_test_timeout", "ten minutes", "tier_test_timeout is 'ten minutes'; expected a number of seconds above 0"),
    ("tier_test_timeout", 0, "above 0"),
    ("tier_gather_subset", {"all": True}, "a list of subsets"),
    ("tier_python_interpreter", "python3", "an absolute path"),
]
#: The same for a base.
BAD_BASES = [
    ("tier_bootstrap", "bookworm", "expected a dictionary"),
    ("tier_bootstrap", {"suite": "Bookworm 12"}, "a code name"),
    ("tier_bootstrap", {"suite": "bookworm", "components": [1.5]}, "tier_bootstrap.components[0] is 1.5"),
    ("tier_bootstrap", {"suite": "bookworm", "packages": ["no good"]}, "names of packages"),
    ("tier_bootstrap", {"suite": "bookworm", "mirror": "deb.debian.org"}, "an address"),
    ("tier_import", {"archive": ["a"], "checksum": DIGEST}, "tier_import.archive"),
    ("tier_import", {"archive": "a.tar", "checksum": "md5:1"}, "tier_import.checksum is 'md5:1'"),
    ("tier_pull", "debian:12", "tier_pull is 'debian:12'"),
    ("tier_pull", ["debian"], "tier_pull is ['debian']"),
]


class Hosts(dict):
    """`hostvars` of an inventory in memory."""

    def __getitem__(self, host):
        return HostVarsVars(self.raw_get(host), loader=None, host=host)

    def raw_get(self, host):
        return {"group_names": ["ops", "tiers"], "inventory_hostname": host, **super().__getitem__(host)}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Plan a base and its children, with an engine that has no image."""
    (tmp_path / "roles/web/tasks").mkdir(parents=True)
    (tmp_path / "roles/web/tasks/main.yml").write_text("[]\n")
    monkeypatch.chdir(tmp_path)

    def run(*, defaults="", base=None, others=None, **variables):
        if defaults:
            (tmp_path / "roles/web/defaults").mkdir()
            (tmp_path / "roles/web/defaults/main.yml").write_text(defaults)
        hosts = Hosts(
            base={"inventory_dir": str(tmp_path), **(base or {"tier_pull": f"debian@{DIGEST}"})},
            web={"inventory_dir": str(tmp_path), "tier_parent": "base", **variables},
            **{
                name: {"inventory_dir": str(tmp_path), "tier_parent": "base", **more}
                for name, more in (others or {}).items()
            },
        )
        task_vars = {"hostvars": hosts, "groups": {"tiers": list(hosts)}, "ansible_play_hosts_all": list(hosts)}
        Planner(ChainInventory(task_vars), "2.19").decide(FakeEngine(), [])

    return run


def abbreviated(value):
    return str(value).replace(" ", "")[:40]


@pytest.mark.parametrize(("variable", "value", "words"), BAD, ids=[f"{case[0]} {abbreviated(case[1])}" for case in BAD])
def test_the_plan_reports_an_invalid_value(plan, variable, value, words):
    with pytest.raises(ChainError) as failure:
        plan(**{variable: value})
    assert f"tier 'web': {variable}" in str(failure.value) or f"tier 'web': unsupported parameters: {variable}" in str(
        failure.value
    ).replace("Unsupported", "unsupported"), failure.value
    assert words in str(failure.value)


@pytest.mark.parametrize(("variable", "value", "words"), BAD_BASES, ids=[abbreviated(case[1]) for case in BAD_BASES])
def test_the_plan_reports_an_invalid_value_of_a_base(plan, variable, value, words):
    with pytest.raises(ChainError) as failure:
        plan(base={variable: value})
    assert "tier 'base': " in str(failure.value)
    assert words in str(failure.value)


@pytest.mark.parametrize(
    ("defaults", "words"),
    [
        ("web_tier_config: {cmd: nginx}", "tier 'web': web_tier_config.cmd is 'nginx'"),
        ("web_tier_config: {ports: ['{{ web_port }}']}\nweb_port: many", "web_tier_config.ports[0] is 'many'"),
        ("web_tier_config: [a]", "tier 'web': web_tier_config is ['a']; expected a dictionary"),
        ("web_tier_protects: ['/etc/[z-a]']", "which is not a valid pattern"),
        ("web_tier_inputs: [{url: ftp://x}]", "tier 'web': web_tier_inputs"),
    ],
)
def test_the_plan_reports_an_invalid_setting_of_a_role(plan, defaults, words):
    with pytest.raises(ChainError) as failure:
        plan(defaults=defaults)
    assert words in str(failure.value)


def test_errors_in_roles_and_in_keys_are_reported_at_once(plan):
    """A role is checked after the keys are read, unless a key cannot be read."""
    with pytest.raises(ChainError) as failure:
        plan(
            defaults="web_tier_config: {cmd: nginx}",
            others={"api": {"tier_role": "web", "tier_inputs": [{"url": "ftp://x"}], "tier_config": {}}},
        )
    assert "tier 'web': web_tier_config.cmd is 'nginx'" in str(failure.value)
    assert "tier 'api': tier_inputs" in str(failure.value)


def test_all_errors_of_a_tier_are_reported_at_once(plan):
    with pytest.raises(ChainError) as failure:
        plan(tier_config={"cmd": "x", "working_dir": "y"}, tier_drop=["[z-a]"], tier_test_timeout=-1)
    assert len(str(failure.value).splitlines()) == 4


def test_the_message_about_an_invalid_value_hides_a_secret(monkeypatch):
    monkeypatch.setattr(
        "ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.argument_specs.is_secret",
        lambda leaf: leaf == "a$ b",
    )
    with pytest.raises(ChainError, match=r"env\.X is '\*\*\*'"):
        check_config("web", "tier_config", {"env": {"X": "a$ b"}})


def test_every_setting_has_a_check():
    assert list(image_settings.keys_without_check()) == []


def test_valid_settings_are_normalised():
    settings = {
        "cmd": {"shell": "exec sleep 5"},
        "entrypoint": ["run", 5],
        "user": 1001,
        "env": {"PATH": "/opt/x:$PATH", "N": 5, "E": None},
        "working_dir": "/srv//data/",
        "ports": [80, "53/udp", "8000-8002"],
        "volumes": ["/data/"],
        "healthcheck": {"test": {"shell": "curl -f http://localhost/"}, "interval": "1m30s", "retries": "3"},
        "stop_signal": "SIGRTMIN+3",
    }
    assert check_config("web", "tier_config", settings) == {
        "cmd": ["/bin/sh", "-c", "exec sleep 5"],
        "entrypoint": ["run", "5"],
        "user": "1001",
        "env": {"PATH": "/opt/x:$PATH", "N": "5", "E": ""},
        "working_dir": "/srv/data",
        "ports": ["80/tcp", "53/udp", "8000/tcp", "8001/tcp", "8002/tcp"],
        "volumes": ["/data"],
        "healthcheck": {"test": ["CMD-SHELL", "curl -f http://localhost/"], "interval": "1m30s", "retries": 3},
        "stop_signal": "SIGRTMIN+3",
    }


def test_env_can_refer_to_the_environment_of_the_parent():
    parent = {"Env": ["PATH=/bin", "A=1"]}
    config = runtime_config(parent, {"env": {"PATH": "/opt/x:$PATH", "B": "${A}$$A"}}, {})
    assert config["Env"] == ["PATH=/opt/x:/bin", "A=1", "B=1$A"]
    with pytest.raises(
        ChainError, match=r"tier_config\.env\.C is '\$NO', but the parent's environment has no NO; expected one"
    ):
        runtime_config(parent, {"env": {"C": "$NO"}}, {})
    assert image_settings.resolve_references("$PATH", {}).endswith("/sbin:/bin"), "the default path of engines"


@pytest.mark.parametrize("folder", ["acme.web", "web-2.0"])
def test_all_settings_of_a_role_have_the_same_prefix(plan, tmp_path, folder):
    (tmp_path / "roles/web").rename(tmp_path / "roles" / folder)
    prefix = variable_prefix(folder)
    (tmp_path / "roles" / folder / "defaults").mkdir()
    for setting, value in (("config", "{cmd: x}"), ("inputs", "[{url: ftp://x}]"), ("protects", "[/]")):
        (tmp_path / "roles" / folder / "defaults/main.yml").write_text(f"{prefix}_tier_{setting}: {value}\n")
        with pytest.raises(ChainError, match=f"tier 'web': {prefix}_tier_{setting}"):
            plan(tier_role=folder)
