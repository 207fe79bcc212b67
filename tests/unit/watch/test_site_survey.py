"""A site is compared with what its tags name, and with its newest deployment."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployment_record import (
    DeployOutcome,
    begin_record,
    end_record,
    note,
    write_record,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.site_lock import is_being_deployed
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.site_survey import (
    RunningImage,
    check_target,
    rejected_deployment,
    running_in_cluster,
    survey_site,
)
from small_site import SITE, image

pytestmark = pytest.mark.once

WANTED = {"db": image("db"), "web": image("web")}
OLD = RunningImage("registry.example.org/team/web@sha256:" + "3" * 64, "sha256:" + "4" * 64)
NOW = {name: RunningImage(each.reference, each.config) for name, each in WANTED.items()}
#: Holds the site until its input ends.
HOLDER = """
import sys
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.site_lock import site_lock
with site_lock("shop"):
    print(1, flush=True)
    sys.stdin.read()
"""


NUMBERS = itertools.count(1000)


def survey(running, wanted=WANTED):
    return survey_site("shop", wanted, running)


def deploy(outcome=DeployOutcome.DEPLOYED, *, ends=True, reason=""):
    record = write_record(replace(begin_record(SITE, "swarm"), id=f"deploy-{next(NUMBERS)}"))
    record = note(record, "db", DeployOutcome.UNCHANGED, before=None)
    record = note(record, "web", outcome, before="old", reason=reason)
    return end_record(record) if ends else record


def test_what_runs_as_wanted_needs_nothing():
    need = survey(NOW)
    assert (need.about, need.reasons, need.rejected, need.busy, need.interrupted) == ("shop", (), "", False, False)
    assert need.subject == {name: each.config for name, each in WANTED.items()}


def test_what_differs_or_does_not_run_is_told():
    assert survey({**NOW, "web": OLD}).reasons == (
        "web runs 444444444444; registry.example.org/team/web:latest is 222222222222",
    )
    assert "db does not run yet" in survey({}).reasons[0]


def test_without_a_label_the_images_are_compared():
    assert survey({**NOW, "web": RunningImage(WANTED["web"].reference, None)}).reasons == ()
    assert "web runs 333333333333" in survey({**NOW, "web": replace(OLD, config=None)}).reasons[0]


@pytest.mark.parametrize("outcome", [DeployOutcome.ROLLED_BACK, DeployOutcome.FAILED])
def test_images_that_the_target_rejected_twice_are_told(outcome):
    """A container that somebody kills while it is new looks like a bad image, so there is a second chance."""
    deploy(outcome, reason="task: non-zero exit (137)")
    assert survey({**NOW, "web": OLD}).rejected == ""
    record = deploy(outcome, reason="task: non-zero exit (1)")
    need = survey({**NOW, "web": OLD})
    assert need.rejected.startswith(f"deployment {record.id} had these images, and web was {outcome.value} (task: non-")
    assert need.rejected.startswith(rejected_deployment("shop", need.subject))
    assert rejected_deployment("shop", {"web": "other"}) == ""
    other = {**WANTED, "web": replace(WANTED["web"], config="sha256:9")}
    assert survey({**NOW, "web": OLD}, other).rejected == ""


def test_a_rejected_deployment_is_told_although_its_images_run():
    record = deploy(DeployOutcome.FAILED)
    assert survey(NOW).reasons == (f"deployment {record.id} failed",)


def test_a_deployment_that_did_not_end_is_interrupted():
    deploy(DeployOutcome.ROLLED_BACK, ends=False)
    need = survey(NOW)
    assert (need.interrupted, need.rejected) == (True, "")
    assert rejected_deployment("shop", need.subject) == ""


def test_a_deployment_that_goes_on_is_busy():
    deploy(ends=False)
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        need = survey(NOW)
        holder.stdin.close()
    assert (need.busy, need.interrupted) == (True, False)
    assert not is_being_deployed("shop")


def test_some_targets_cannot_be_watched():
    check_target("openshift", "")
    with pytest.raises(ChainError, match="deploy_target is 'quadlet'"):
        check_target("quadlet", None)
    with pytest.raises(ChainError, match="deploy_render_to is set"):
        check_target("kubernetes", "/srv")


def test_what_a_cluster_runs_is_read_from_its_deployments():
    class Cluster:
        def select(self, kind, label):
            containers = [{"image": f"inside.example.org/web@sha256:{'1' * 64}"}]
            metadata = {
                "name": "web",
                "generation": 1,
                "labels": {"io.tierwright.site": "shop", "io.tierwright.service": "web"},
            }
            web = {
                "metadata": metadata,
                "spec": {"template": {"spec": {"containers": containers}}},
                "status": {"observedGeneration": 1},
            }
            assert label == "io.tierwright.site=shop"
            return [web] if kind == "Deployment" else []

    found = running_in_cluster(Cluster(), "shop")
    assert found == {"web": RunningImage("inside.example.org/web@sha256:" + "1" * 64, None)}
    assert survey({**NOW, **found}).reasons == ()
