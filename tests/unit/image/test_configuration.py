from __future__ import annotations

import hashlib
import json

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.configuration import (
    document,
    image_id,
    runtime_config,
    work_config,
)

HOSTILE = {
    "Entrypoint": ["/swallow"],
    "Cmd": ["args"],
    "User": "1001",
    "Volumes": {"/var/www": {}},
    "ExposedPorts": {"80/tcp": {}},
    "Healthcheck": {"Test": ["CMD", "false"]},
    "OnBuild": ["RUN false"],
    "StopSignal": "SIGKILL",
    "WorkingDir": "/nowhere",
    "Env": ["PATH=/bin", "MODE=prod=1"],
    "Labels": {"io.tierwright.tier": "parent", "team": "x"},
    "Hostname": "c0ffee",
    "AttachStdin": True,
}


def test_a_tier_inherits_settings_that_it_does_not_set():
    config = runtime_config(HOSTILE, {}, {})
    for key in (
        "Entrypoint",
        "Cmd",
        "User",
        "Volumes",
        "ExposedPorts",
        "Healthcheck",
        "StopSignal",
        "WorkingDir",
        "Env",
    ):
        assert config[key] == HOSTILE[key]


def test_onbuild_and_container_settings_are_never_inherited():
    assert runtime_config(HOSTILE, {}, {}).keys().isdisjoint({"OnBuild", "Hostname", "AttachStdin"})


def test_every_setting_can_be_reset():
    empty = {
        "entrypoint": [],
        "cmd": [],
        "user": "",
        "volumes": [],
        "ports": [],
        "stop_signal": "",
        "working_dir": "",
    }
    config = runtime_config(HOSTILE, {**empty, "healthcheck": {}}, {})
    assert set(config) == {"Env", "Healthcheck", "Labels"}
    assert config["Healthcheck"] == {"Test": ["NONE"]}


def test_a_new_entrypoint_drops_the_cmd_of_the_parent():
    assert "Cmd" not in runtime_config(HOSTILE, {"entrypoint": ["/mine"]}, {})
    assert runtime_config(HOSTILE, {"entrypoint": ["/mine"], "cmd": ["x"]}, {})["Cmd"] == ["x"]


def test_the_environment_is_merged():
    config = runtime_config(HOSTILE, {"env": {"MODE": "test", "PORT": 8080, "EMPTY": None}}, {})
    assert config["Env"] == ["PATH=/bin", "MODE=test", "PORT=8080", "EMPTY="]


def test_identity_labels_cannot_be_inherited_or_set():
    config = runtime_config(HOSTILE, {"labels": {"io.tierwright.tier": "forged"}}, {"io.tierwright.tier": "child"})
    assert config["Labels"] == {"team": "x", "io.tierwright.tier": "child"}
    assert runtime_config(HOSTILE, {}, {})["Labels"] == {"team": "x"}
    forged = {"io.tierwright.protects": "[]", "org.example.kept": "yes"}
    assert runtime_config({}, {"labels": forged}, {})["Labels"] == {"org.example.kept": "yes"}


def test_durations_of_a_health_check_become_nanoseconds():
    check = {"test": ["CMD", "x"], "interval": "1m30s", "timeout": "500ms", "start_period": "1h", "retries": 3}
    assert runtime_config({}, {"healthcheck": check}, {})["Healthcheck"] == {
        "Test": ["CMD", "x"],
        "Interval": 90_000_000_000,
        "Timeout": 500_000_000,
        "StartPeriod": 3_600_000_000_000,
        "Retries": 3,
    }


def test_a_build_container_inherits_only_the_environment():
    path = "PATH=/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin"
    assert work_config(HOSTILE, {"a": "b"}) == {"Env": [path, "MODE=prod=1"], "Labels": {"a": "b"}}


def test_the_image_id_is_the_digest_of_the_configuration():
    content = document(
        architecture="amd64",
        os="linux",
        config={"User": "1"},
        layers=["sha256:1"],
        history=[],
        created="2026",
        author="",
    )
    assert image_id(content) == "sha256:" + hashlib.sha256(content).hexdigest()
    assert json.loads(content) == {
        "architecture": "amd64",
        "config": {"User": "1"},
        "created": "2026",
        "os": "linux",
        "rootfs": {"diff_ids": ["sha256:1"], "type": "layers"},
    }
