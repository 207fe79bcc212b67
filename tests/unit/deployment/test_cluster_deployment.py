"""A site is deployed to a cluster that exists only in memory."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from types import SimpleNamespace

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment import kubernetes, roll_out
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.cluster_deployment import (
    ClusterDeployment,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployment_record import (
    DeployOutcome,
    begin_record,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.site import Site
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, EngineError
from fake_cluster import FakeCluster, InMemory, RefusedError
from small_site import CLUSTER, DATABASE, PASSWORD, SECRETS, SERVER, SITE

pytestmark = pytest.mark.once

FAILED, ROLLED_BACK, DEPLOYED = DeployOutcome.FAILED, DeployOutcome.ROLLED_BACK, DeployOutcome.DEPLOYED
UNCHANGED, WAITING = DeployOutcome.UNCHANGED, DeployOutcome.WAITING


@pytest.fixture
def store(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    clock = SimpleNamespace(sleep=lambda _seconds: None, monotonic=itertools.count().__next__)
    monkeypatch.setattr(roll_out, "time", clock)
    cluster = FakeCluster()
    cluster.add_namespace("shop")
    return cluster


def with_image(service, image, **changes):
    return msgspec.structs.replace(service, image=msgspec.structs.replace(service.image, reference=image), **changes)


def site(image="good", **changes) -> Site:
    return Site("shop", (with_image(DATABASE, "db"), with_image(SERVER, image, **changes)), SITE.volumes)


def deployment(store, wanted=SITE, said=None, secrets=SECRETS, *, keeps_images=False, **settings):
    groups = kubernetes.render(wanted, msgspec.structs.replace(CLUSTER, **settings), secrets)
    say = (said if said is not None else []).append
    return ClusterDeployment(InMemory(store), wanted, "shop", groups, say, keeps_images)


def run(store, wanted=SITE, **options):
    work = deployment(store, wanted, **options)
    changes = work.check()
    record = work.run(begin_record(wanted, "kubernetes"), changes)
    return [(each.outcome, each.reason) for each in record.services], record


def test_each_service_is_applied_after_those_that_it_uses_have_become_ready(store):
    outcomes, record = run(store)
    assert outcomes == [(DEPLOYED, "")] * 2
    assert [each.before for each in record.services] == [None, None]
    kinds = [change.removeprefix("apply ") for change in store.changes]
    assert kinds[0].startswith("Secret shop-secrets-")
    assert kinds[1:4] == ["NetworkPolicy shop", "NetworkPolicy shop-db", "NetworkPolicy shop-web"]
    assert (
        kinds.index("Deployment db") < kinds.index("PersistentVolumeClaim shop-files") < kinds.index("Deployment web")
    )


def test_a_second_deployment_changes_nothing(store):
    run(store)
    store.changes.clear()
    before = copy.deepcopy(store.objects)
    work = deployment(store)
    assert work.plan(work.check()) == {"db": "unchanged", "web": "unchanged"}
    outcomes, _ = run(store)
    assert outcomes == [(UNCHANGED, "")] * 2
    assert store.changes == []
    for key, found in before.items():
        assert store.objects[key]["metadata"] == found["metadata"]


def test_the_check_changes_nothing_and_shows_what_would_change(store):
    work = deployment(store)
    changes = work.check()
    assert work.plan(changes) == {"db": "new", "web": "new"}
    assert store.changes == []
    assert PASSWORD not in str([change.difference for change in changes])
    assert "password: (hidden)" in changes[0].difference["after"]
    run(store)
    work = deployment(store, site("newer"))
    changed = [change for change in work.check() if change.is_change and change.group == "web"]
    assert [change.manifest["kind"] for change in changed] == ["Deployment"]
    assert "image: newer" in changed[0].difference["after"]
    assert "image: newer" not in changed[0].difference["before"]
    assert "managedFields" not in changed[0].difference["before"]


def test_an_object_that_the_cluster_rejects_is_an_error_before_anything_is_changed(store):
    store.refused["PodDisruptionBudget", "web"] = RefusedError(403, "Forbidden", "you may not")
    with pytest.raises(EngineError, match=r"PodDisruptionBudget web: .*you may not"):
        run(store)
    assert store.changes == []


def test_a_service_of_somebody_else_is_not_overwritten(store):
    other = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"ports": []},
    }
    store.patch(other, "kubectl", force=False, dry_run=False)
    with pytest.raises(EngineError, match="Service web exists already in namespace shop, and is not of this site"):
        run(store)


def test_a_missing_namespace_is_an_error_or_is_made(store):
    del store.objects["Namespace", "shop"]
    with pytest.raises(ChainError, match=r"namespace 'shop' does not exist.*deploy_create_namespace"):
        deployment(store).check()
    work = deployment(store, create_namespace=True)
    assert work.plan(work.check()) == {"db": "new", "web": "new"}
    outcomes, _ = run(store, create_namespace=True)
    assert outcomes == [(DEPLOYED, "")] * 2
    assert store.changes[0] == "apply Namespace shop"


def test_an_image_that_never_becomes_healthy_is_rolled_back(store):
    run(store, site("good"))
    good = copy.deepcopy(store.deployment("web")["spec"])
    store.broken.add("bad")
    said = []
    outcomes, record = run(store, site("bad", environment={"NEW": "1"}), said=said)
    assert outcomes == [(UNCHANGED, ""), (ROLLED_BACK, "container web of pod web-1 ended with status 3 (Error)")]
    assert record.outcome is ROLLED_BACK
    assert record.services[1].before == "good"
    assert store.deployment("web")["spec"] == good
    assert said[-1].startswith("web is rolled back: container web of pod web-1")
    # The deployment after it finds what it would find without the bad image.
    store.changes.clear()
    assert run(store, site("good"))[0] == [(UNCHANGED, "")] * 2
    assert store.changes == []


def test_a_first_deployment_that_fails_is_not_rolled_back(store):
    store.broken.add("db")
    outcomes, record = run(store, site())
    assert outcomes == [(FAILED, "container db of pod db-1 ended with status 3 (Error)"), (WAITING, "")]
    assert record.outcome is FAILED
    assert "apply Deployment web" not in store.changes


def test_what_ran_before_may_not_become_healthy_either(store):
    run(store, site("good"))
    store.broken |= {"bad", "good"}
    outcomes, _ = run(store, site("bad"))
    assert outcomes[1][0] is FAILED
    assert "what ran before does not become healthy either" in outcomes[1][1]


def test_a_deployment_that_is_stuck_already_is_replaced(store):
    store.broken.add("bad")
    run(store, site("bad"))
    assert run(store, site("bad"))[0][1] == (FAILED, "container web of pod web-1 ended with status 3 (Error)")
    assert run(store, site("good"))[0] == [(UNCHANGED, ""), (DEPLOYED, "")]


def test_a_cluster_that_looks_at_nothing_does_not_make_it_wait_for_ever(store):
    store.is_frozen = True
    outcomes, _ = run(store)
    assert outcomes[0] == (FAILED, "the cluster has not replaced its pods in 480 s")


def test_a_cluster_may_be_away_for_a_moment(store, monkeypatch):
    work = deployment(store)
    changes = work.check()
    apply = InMemory.apply

    def go_away(self, manifest, **options):
        answer = apply(self, manifest, **options)
        store.silent = 5 if manifest["kind"] == "Deployment" else 0
        return answer

    monkeypatch.setattr(InMemory, "apply", go_away)
    # It is away when the last object of a group has been applied, and the wait begins.
    ordered = sorted(
        changes, key=lambda change: (change.group != "secrets", change.group, change.manifest["kind"] == "Deployment")
    )
    assert work.run(begin_record(SITE, "kubernetes"), ordered).outcome is DEPLOYED


def test_fields_that_somebody_changed_by_hand_are_reported_and_set_back(store):
    run(store)
    store.edit("Deployment", "web", ("f:spec", "f:replicas"), 9, "kubectl-edit")
    said = []
    outcomes, _ = run(store, said=said)
    assert outcomes[1] == (DEPLOYED, "")
    assert any("kubectl-edit" in line and ".spec.replicas" in line for line in said)
    assert store.deployment("web")["spec"]["replicas"] == 2


def test_the_number_that_an_autoscaler_chose_stays(store):
    busy = site("good", most_replicas=5)
    run(store, busy)
    store.edit("Deployment", "web", ("f:spec", "f:replicas"), 4, "kube-controller-manager")
    run(store, site("newer", most_replicas=5))
    assert store.deployment("web")["spec"]["replicas"] == 4
    store.broken.add("bad")
    assert run(store, site("bad", most_replicas=5))[0][1][0] is ROLLED_BACK
    assert store.deployment("web")["spec"]["replicas"] == 4


def test_secrets_of_earlier_deployments_are_removed_after_one_that_worked(store):
    run(store)
    (old,) = [name for kind, name in store.objects if kind == "Secret"]
    store.objects["Secret", "mine"] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "mine", "namespace": "shop"},
    }
    other = dataclasses.replace(SECRETS, values={"password": "another password"})
    store.broken.add("bad")
    run(store, site("bad"), secrets=other)
    assert ("Secret", old) in store.objects
    run(store, site("good"), secrets=other)
    names = {name for kind, name in store.objects if kind == "Secret"}
    assert old not in names
    assert len(names) == 2
    assert "mine" in names


def test_openshift_keeps_the_images_that_it_chose(store):
    run(store, site("good"), keeps_images=True)
    store.edit(
        "Deployment",
        "web",
        ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"web"}', "f:image"),
        "chosen",
        "openshift",
    )
    store.edit(
        "Deployment",
        "web",
        ("f:spec", "f:template", "f:spec", "f:initContainers", 'k:{"name":"web-code"}', "f:image"),
        "chosen",
        "openshift",
    )
    run(store, site("other"), keeps_images=True)
    pod = store.deployment("web")["spec"]["template"]["spec"]
    assert {each["image"] for each in [*pod["containers"], *pod["initContainers"]]} == {"chosen"}


def test_objects_of_settings_that_are_off_again_are_removed(store):
    run(store, site("good", most_replicas=5))
    assert ("HorizontalPodAutoscaler", "web") in store.objects
    work = deployment(store, site("good", replicas=1), host="")
    removed = [change for change in work.check() if change.after is None]
    assert sorted(change.manifest["kind"] for change in removed) == [
        *("HorizontalPodAutoscaler", "Ingress", "PodDisruptionBudget")
    ]
    assert {change.difference["after"] for change in removed} == {""}
    assert run(store, site("good", replicas=1), host="")[0] == [(UNCHANGED, ""), (DEPLOYED, "")]
    kinds = {kind for kind, _name in store.objects}
    assert not kinds & {"HorizontalPodAutoscaler", "Ingress", "PodDisruptionBudget"}
    assert "PersistentVolumeClaim" in kinds


def test_an_autoscaler_takes_over_the_number_without_a_moment_with_one_replica(store):
    run(store, site("good"))
    assert run(store, site("good", most_replicas=5))[0] == [(UNCHANGED, ""), (DEPLOYED, "")]
    assert store.deployment("web")["spec"]["replicas"] == 2
