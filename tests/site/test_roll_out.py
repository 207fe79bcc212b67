"""A site on Swarm, from images in the engine: it is patched while visitors use it, and kept when an image is bad."""

from __future__ import annotations

import shutil

import pytest
import yaml

from blog import TITLE, Blog, picture
from integration.conftest import ROOT, make_clone
from visitors import Visitors

ADDRESS = "http://127.0.0.1:8080"
ROLE = """
- name: Say which release this is
  ansible.builtin.raw: |
    mkdir -p /usr/src/wordpress/wp-content/mu-plugins
    cat > /usr/src/wordpress/wp-content/mu-plugins/release.php <<'PHP'
    <?php
    CODE
    PHP
    chmod -R g=u /usr/src/wordpress/wp-content/mu-plugins
"""
SAYS = "add_action('wp_footer', function () {{ echo 'this is release {}'; }});"
#: No test of an image upgrades a database, so the gate does not find this.
BAD = "if (getenv('WORDPRESS_DB_UPGRADE')) { exit(1); }"
SECRETS = {"database_password": "p" * 20, "database_root_password": "r" * 20, "phrase": "s" * 40}


class Team:
    """The demo chain with one more tier, `blog`, and the site that runs it."""

    def __init__(self, folder, playbook):
        self._inventory, self._playbook = folder / "clone/inventories/wordpress", playbook
        shutil.copytree(ROOT / "inventories/wordpress", self._inventory)
        make_clone(folder / "clone")
        chain = yaml.safe_load((self._inventory / "chain.yml").read_text())
        chain["tiers"]["children"]["development"]["hosts"]["blog"] = {"tier_parent": "wordpress"}
        (self._inventory / "chain.yml").write_text(yaml.safe_dump(chain))
        images = {"mariadb": "mariadb:latest", "haproxy": "haproxy:latest", "wordpress": "blog:latest"}
        site = {"deploy_name": "short", "deploy_images": images, "deploy_secrets": SECRETS}
        self._site = folder / "site.yml"
        self._site.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": None}, "vars": site}}))

    def build(self, code):
        tasks = self._inventory / "roles/blog/tasks/main.yml"
        tasks.parent.mkdir(parents=True, exist_ok=True)
        tasks.write_text(ROLE.replace("CODE", code))
        self._playbook("build-chain.yml", "-i", str(self._inventory / "chain.yml"), "--limit", "blog").expect()

    def deploy(self, code=0):
        return self._playbook("playbooks/deploy.yml", "-i", str(self._site)).expect(code)


@pytest.fixture
def team(tmp_path, playbook):
    return Team(tmp_path, playbook)


def containers(engine):
    """IDs of the running containers of each service."""
    found = {}
    for container in engine.containers.list(ignore_removed=True):
        service = container.labels.get("com.docker.swarm.service.name", "")
        if service.startswith("short_"):
            found.setdefault(service.removeprefix("short_"), set()).add(container.id)
    return found


def test_a_site_is_patched_without_a_failed_request_and_survives_a_bad_image(team, engine):
    team.build(SAYS.format("one"))
    team.deploy()
    blog = Blog(ADDRESS)
    blog.install()
    blog.log_in()
    post, image = blog.write_post("A post", "This post must survive."), blog.upload("blue.png", picture())
    assert "this is release one" in blog.get("/")

    first = containers(engine)
    team.build(SAYS.format("two"))
    with Visitors(ADDRESS, user=blog.user, password=blog.password, title=TITLE) as visitors:
        team.deploy()
    second = containers(engine)
    visits = visitors.so_far()
    print(visits.report())  # noqa: T201 - output for whoever changes the roll-out
    assert visits.failed == [], visits.report()
    assert "this is release two" in blog.get("/")
    assert [service for service in first if first[service] != second[service]] == ["wordpress"]
    assert first["wordpress"].isdisjoint(second["wordpress"])

    team.build(BAD)
    refused = team.deploy(2)
    assert "site 'short': wordpress with" in refused.message
    assert "(tier blog, team development) did not become healthy" in refused.message
    assert "runs again" in refused.message
    assert containers(engine)["wordpress"] == second["wordpress"]
    assert "this is release two" in blog.get("/")
    assert "This post must survive." in blog.get(post)
    assert blog.read(image) == picture()
