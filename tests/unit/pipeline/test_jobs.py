"""Each tier is a job after its parent and its neighbours, and names everything that it needs."""

from __future__ import annotations

import re

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Follow, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.pipeline.jobs import hosts_of, plan_jobs


@pytest.fixture
def chain(make_tier):
    def make(*tiers):
        return Chain(
            make_tier(name, parent, image=f"r.example.org/shop/{name.lower()}", neighbours=neighbours)
            for name, parent, *neighbours in tiers
        )

    return make


def test_jobs_follow_the_graph(chain):
    made = chain(("base", None), ("core", "base"), ("db", "core"), ("web", "core"), ("app", "web", "db"))
    jobs = {job.tier: job for job in plan_jobs(made)}
    assert {name: job.needs for name, job in jobs.items()} == {
        "base": (),
        "core": ("base",),
        "db": ("core",),
        "web": ("core",),
        "app": ("web", "db"),
    }
    assert jobs["web"].limit == ("base", "core", "web")
    assert set(jobs["app"].limit) == {"base", "core", "web", "db", "app"}
    assert jobs["app"].limit[-1] == "app"
    assert [jobs[name].level for name in ("base", "core", "db", "web", "app")] == [0, 1, 2, 2, 3]
    assert jobs["app"].after == ("tier-web", "tier-db")


def test_a_followed_tier_has_no_job(make_tier):
    followed = Tier("core", "ops", "r.example.org/shop/core", "latest", source=Follow("r.example.org/ops/core"))
    made = Chain([followed, make_tier("web", "core", image="r.example.org/shop/web")])
    (job,) = plan_jobs(made)
    assert (job.tier, job.needs, job.limit) == ("web", (), ("web",))


def test_each_job_has_a_name_of_its_own(chain):
    jobs = plan_jobs(chain(("a.b", None), ("a-b", "a.b"), ("A_b", "a-b")))
    assert [job.name for job in jobs] == ["tier-a-b", "tier-a-b-2", "tier-a-b-3"]
    assert all(re.fullmatch(r"[a-z0-9-]+", job.name) for job in jobs)


def test_images_on_the_engine_and_odd_names_are_refused(make_tier):
    made = Chain([make_tier("a b", image="r.example.org/x"), make_tier("web", "a b")])
    with pytest.raises(ChainError) as error:
        plan_jobs(made)
    assert "tier 'web': its image 'web' is in no registry" in str(error.value)
    assert "tier 'a b': its name cannot be written in a pipeline" in str(error.value)


def test_the_hosts_of_the_registries_are_listed_once():
    assert hosts_of(["b.example.org/x", "a:5000/y", "b.example.org/z", "local"]) == ["a:5000", "b.example.org"]
