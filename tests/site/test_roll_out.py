"""A site on Swarm, from images in the engine: it is patched while visitors use it, and kept when an image is bad.

The same site shows that no secret can be seen, that its services have few rights, and that mistakes change nothing.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.secret_values import derive_keys
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
#: The gate starts images with a root file system that can be written, so it does not find this.
BAD = """
- name: Write a log where a deployed site cannot
  ansible.builtin.raw: echo 'CustomLog /opt/app-root/requests.log combined' > /etc/apache2/conf-enabled/requests.conf
"""
SECRETS = {
    "database_password": secrets.token_urlsafe(20),
    "database_root_password": secrets.token_urlsafe(20),
    "phrase": secrets.token_urlsafe(40),
}
#: Everything that must not be seen, also what is made of the phrase.
HIDDEN = {*SECRETS.values(), *derive_keys(SECRETS["phrase"]).values()}


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

    def build(self, code, more=""):
        tasks = self._inventory / "roles/blog/tasks/main.yml"
        tasks.parent.mkdir(parents=True, exist_ok=True)
        tasks.write_text(ROLE.replace("CODE", code) + more)
        self._playbook("build-chain.yml", "-i", str(self._inventory / "chain.yml"), "--limit", "blog").expect()

    def deploy(self, code=0, **variables):
        more = ("-e", json.dumps(variables)) if variables else ()
        return self._playbook("playbooks/deploy.yml", "-i", str(self._site), *more).expect(code)


@pytest.fixture(scope="module")
def team(tmp_path_factory, playbook):
    return Team(tmp_path_factory.mktemp("team"), playbook)


@pytest.fixture(scope="module")
def blog(team):
    """The site, installed and used by its author."""
    team.build(SAYS.format("one"))
    team.deploy()
    blog = Blog(ADDRESS)
    blog.install()
    blog.log_in()
    return blog


def containers(engine):
    """IDs of the running containers of each service."""
    found = {}
    for container in engine.containers.list(ignore_removed=True):
        service = container.labels.get("com.docker.swarm.service.name", "")
        if service.startswith("short_"):
            found.setdefault(service.removeprefix("short_"), set()).add(container.id)
    return found


def test_a_site_is_patched_without_a_failed_request_and_survives_a_bad_image(team, blog, engine):
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

    team.build(SAYS.format("three"), BAD)
    refused = team.deploy(2)
    assert "site 'short': wordpress with" in refused.message
    assert "(tier blog, team development) did not become healthy" in refused.message
    assert "runs again" in refused.message
    assert containers(engine)["wordpress"] == second["wordpress"]
    assert "this is release two" in blog.get("/")
    assert "This post must survive." in blog.get(post)
    assert blog.read(image) == picture()


@pytest.mark.usefixtures("blog")
def test_no_secret_can_be_seen(engine, environment):
    api = engine.api
    services = [api.inspect_service(each["ID"]) for each in api.services()]
    names = {each["Spec"]["Name"] for each in services}
    assert names == {f"short_{name}" for name in ("entry", "haproxy", "mariadb", "wordpress")}
    containers = [api.inspect_container(each["Id"]) for each in api.containers(all=True)]
    seen = {
        "services": services,
        "tasks": api.tasks(),
        "secrets": api.secrets(),
        "containers": containers,
        "images": [api.inspect_image(each["Id"]) for each in api.images(all=True)],
        "logs": [api.logs(each["Id"]).decode(errors="replace") for each in containers],
        "processes": subprocess.run(["ps", "axeww"], capture_output=True, text=True, check=True).stdout,
        "state": [path.read_text() for path in Path(environment["XDG_STATE_HOME"]).rglob("*.json")],
    }
    assert len(seen["logs"]) > len(names)
    assert any("deploy-" in text for text in seen["state"])
    for what, content in seen.items():
        assert [value for value in HIDDEN if value in str(content)] == [], what


@pytest.mark.usefixtures("blog")
def test_services_have_few_rights(engine):
    found = engine.containers.list(ignore_removed=True)
    assert len(found) >= 7
    for container in found:
        host, config = container.attrs["HostConfig"], container.attrs["Config"]
        assert host["ReadonlyRootfs"], container.name
        assert not host["Privileged"], container.name
        assert host["CapDrop"] == ["ALL"], container.name
        assert host["CapAdd"] in (None, []), container.name
        assert host["Memory"] > 0, container.name
        assert host["PidsLimit"] > 0, container.name
        assert config["User"].partition(":")[0] not in {"", "0", "root"}, container.name
        assert not any("docker.sock" in str(mount) for mount in container.attrs["Mounts"]), container.name
        table = container.top(ps_args="-eo pid,uid,args")
        assert "0" not in {row[1] for row in table["Processes"]}, table


@pytest.mark.usefixtures("blog")
def test_mistakes_are_one_sentence_and_change_nothing(team, engine):
    before = [(each["ID"], each["Version"]) for each in engine.api.services()]
    images = {"mariadb": "mariadb:latest", "haproxy": "haproxy:latest", "wordpress": "no-such-image:latest"}
    mistakes = {
        "the engine has no image no-such-image:latest": {"deploy_images": images},
        "port 8080 of this machine is in use": {"deploy_name": "second"},
        "deploy_secrets has no value for phrase": {"deploy_secrets": {**SECRETS, "phrase": ""}},
        "deploy_limits has the unknown keys database": {"deploy_limits": {"database": {"cpus": 1}}},
        "gives ports below 1024 to root only": {"deploy_name": "second", "deploy_port": 443},
    }
    for sentence, variables in mistakes.items():
        assert sentence in team.deploy(2, **variables).message
    assert [(each["ID"], each["Version"]) for each in engine.api.services()] == before
