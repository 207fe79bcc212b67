"""Outdated packages as SARIF: each with its owner, and recognised again until a newer version comes."""

from __future__ import annotations

import msgspec

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.outdated_packages import Outdated, Update
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.outdated_sarif import outdated_sarif
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image import LayerInfo


def owner() -> LayerInfo:
    """A layer of the tier `core`."""
    values = {"tier": "core", "team": "operations", "made_by": "role core"}
    return LayerInfo(**{each.name: values.get(each.name) for each in msgspec.structs.fields(LayerInfo)})


def test_security_updates_are_errors_and_others_warnings():
    updates = [
        Update(
            "openssl", "amd64", "3.0.1", "3.0.2", security=True, archives=["a"], owner=owner(), images=["web:latest"]
        ),
        Update(
            "curl",
            "amd64",
            "7.1",
            "7.2",
            security=False,
            archives=["a"],
            owner=owner(),
            images=["web:latest", "db:latest"],
        ),
    ]
    answer = Outdated(["web:latest"], [], updates, [], ["web:latest: no archive answers"])
    log = outdated_sarif(answer, "inventory/chain.yml")
    (run,) = log["runs"]
    assert [(each["ruleId"], each["level"]) for each in run["results"]] == [
        ("outdated/security", "error"),
        ("outdated/update", "warning"),
        ("outdated/not-compared", "warning"),
    ]
    text = run["results"][0]["message"]["text"]
    assert "openssl:amd64 3.0.1 is outdated, 3.0.2 is newer" in text
    assert "team operations must be rebuilt; in web:latest" in text
    again = outdated_sarif(msgspec.structs.replace(answer, images=["other"]), "inventory/chain.yml")
    prints = [[each["partialFingerprints"] for each in part["runs"][0]["results"]] for part in (log, again)]
    assert prints[0] == prints[1]
    assert len({str(each) for each in prints[0]}) == 3
    assert outdated_sarif(Outdated([], [], [], [], []), "x")["runs"][0]["results"] == []
