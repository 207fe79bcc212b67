"""The whole walk-through of docs/patching.md: from a security update in the archive to the running site.

Three teams work in one clone with one registry. Nothing is pretended: the archive is signed, the commands are those of
users, and visitors use the site during each roll-out.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
from urllib.request import urlopen

import pytest

from blog import TITLE, Blog, picture
from debian_archive import DebianArchive, SigningKey, missing_programs, newer_package
from engines import machine
from integration.engines import wait_for
from real_registry import docker_registry
from site_project import ROOT, SiteProject, user_environment
from visitors import Visitors

pytestmark = [pytest.mark.timeout(3000), pytest.mark.skipif(bool(missing_programs()), reason=missing_programs() or "-")]

ADDRESS = "http://127.0.0.1:8080"
#: The package that gets a security update. The core build installs it.
PACKAGE, SUFFIX, ADDED = "xz-utils", "+deb12u99", "usr/share/xz-utils/fixed"
EVERYWHERE = "From the update in the archive until it runs everywhere, with tests"
REPLACED = "From the promotion until the last replica is replaced"
SERVICES = ("entry", "haproxy", "mariadb", "wordpress")
OPERATIONS = """---
tier_image: "{{{{ shop_registry }}}}/operations/{{{{ inventory_hostname }}}}"
# Security updates of our own, in addition to Debian's.
corebuild_apt_sources_replace: false
corebuild_apt_sources:
  - uris: [{address}]
    suites: [{suite}]
    key: "{{{{ lookup('ansible.builtin.file', inventory_dir ~ '/archive.asc') }}}}"
"""
TOKEN = "a token of this test"
#: The registry tells the watcher about every change.
NOTIFICATIONS = f"""notifications:
  endpoints:
    - name: tierwright
      url: http://127.0.0.1:8405/notifications
      headers: {{Authorization: [Bearer {TOKEN}]}}
      timeout: 5s
      threshold: 3
      backoff: 1s
"""
PHP = """---
httpd_php_ini: {session.save_path: /tmp, session.gc_probability: 1, upload_max_filesize: 64M, post_max_size: 64M}
"""


def bridge_address():
    """The address of this machine in the network of the engine's containers."""
    command = ["ip", "-json", "-4", "address", "show", "dev", machine.BRIDGE]
    (device,) = json.loads(subprocess.check_output(command))
    return device["addr_info"][0]["local"]


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with docker_registry(tmp_path_factory.mktemp("registry"), NOTIFICATIONS) as host:
        yield host


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The archive of operations, without packages, and its address for containers and for this machine."""
    with contextlib.closing(SigningKey()) as key:
        archive = DebianArchive(tmp_path_factory.mktemp("archive"), key)
        with archive.serve(bridge_address()) as address:
            yield archive, address, key.public


@pytest.fixture(scope="module")
def project(environment, registry, archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("walk")
    project = SiteProject.clone(
        folder / "clone", user_environment(environment, folder / "home"), ROOT / "reports/patching.txt"
    )
    served, address, key = archive
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    everywhere = f"---\nshop_registry: {registry}\nwatch_notification_token_file: {folder}/token\n"
    project.write("inventories/shop/group_vars/all.yml", everywhere)
    project.write("inventories/shop/archive.asc", key)
    project.write("inventories/shop/group_vars/operations.yml", OPERATIONS.format(address=address, suite=served.suite))
    project.commit("operations", "corebuild: security updates of our own")
    yield project
    print(project.report())  # noqa: T201 - output for docs/soak.md


def built(output):
    """The tiers that a run built, by its table."""
    return set(re.findall(r"^(\S+) +\S+ +\S+ .*\bbuilt, \d+ tests passed$", output, re.MULTILINE))


def containers(engine, service):
    """The running containers of a service: ID to image."""
    found = engine.containers.list(
        filters={"label": f"com.docker.swarm.service.name=shop_{service}"}, ignore_removed=True
    )
    return {container.id: container.attrs["Image"] for container in found}


def download(image, folder):
    """The package in the version that an image has, from Debian's archive."""
    script = f"apt-get -qq update && cd /out && apt-get -qq download {PACKAGE} && chmod a+r *"
    mount = f"{folder}:/out"
    command = ["docker", "run", "--rm", "--user", "0", "--volume", mount, "--entrypoint", "sh", image, "-ec", script]
    subprocess.run(command, check=True, capture_output=True)
    (package,) = folder.glob("*.deb")
    return package


@contextlib.contextmanager
def watcher(project):
    """`tierwright watch` in the background."""
    words = ["tierwright", "watch", "-i", "inventories/shop/site.yml"]
    log = project.transcript.with_name("watch.txt")
    with log.open("w") as output:
        running = subprocess.Popen(
            words, cwd=project.folder, env=dict(project.environment), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_for(lambda: deployments() is not None)
        yield
    finally:
        running.terminate()
        code = running.wait(60)
        project.note(f"$ {' '.join(words)}\n{log.read_text()}")
    assert code == 0, log.read_text()


def deployments():
    """How many deployments of the watcher ended, by outcome; None if there is no watcher yet."""
    try:
        with urlopen("http://127.0.0.1:8405/metrics") as answer:
            text = answer.read().decode()
    except OSError:
        return None
    found = re.findall(r'^tierwright_watch_runs_total\{kind="deploy",outcome="(\w+)"\} ([0-9.]+)$', text, re.MULTILINE)
    return {outcome: float(count) for outcome, count in found}


def publish_and_roll_out(project, blog):
    """Publish. The watcher does the rest, while visitors use the site and see no failed request."""
    before = deployments()
    with Visitors(ADDRESS, user=blog.user, password=blog.password, title=TITLE) as visitors:
        with project.step("Publish"):
            project.playbook("playbooks/publish.yml")
        with project.step(REPLACED):
            wait_for(lambda: deployments() != before, 120)
    visits = visitors.so_far()
    project.note(f"visitors: {visits.report()}")
    after = deployments()
    assert {outcome: after[outcome] - before[outcome] for outcome in after if after[outcome] != before[outcome]} == {
        "succeeded": 1
    }
    assert visits.failed == [], visits.report()
    print(f"{project.times[REPLACED]:.1f} s: {REPLACED}\n{visits.report()}")  # noqa: T201 - output for docs/soak.md


def test_a_security_update_walks_from_the_archive_to_the_running_site(project, registry, archive, engine, tmp_path):
    served = archive[0]
    with project.step("Build, test and publish the chain"):
        first = built(project.playbook("build-chain.yml"))
        assert first >= {"corebuild", "httpd-php", "mariadb", "haproxy", "wordpress"}
        project.playbook("playbooks/publish.yml")
    with project.step("Deploy the site"):
        project.playbook("playbooks/deploy.yml", inventory="site")
    blog = Blog(ADDRESS)
    with project.step("Write a post and upload a picture"):
        blog.install()
        blog.log_in()
        post = blog.write_post("Before the patch", "This post must survive.")
        image = blog.upload("blue.png", picture())
    with watcher(project):
        _patch(project, blog, registry, served, engine, tmp_path)
        _look(project, registry)
        _still_there(blog, post, image)
        _settings(project, blog, engine)
        _still_there(blog, post, image)
        _bad_change(project, engine)
        _still_there(blog, post, image)


def _patch(project, blog, registry, served, engine, folder):
    core = f"{registry}/operations/corebuild:latest"
    package = newer_package(download(core, folder), folder, SUFFIX, ADDED, "CVE-2026-0001\n")
    before = {service: containers(engine, service) for service in SERVICES}
    with project.step(EVERYWHERE):
        served.publish(package)
        with project.step("Who must act"):
            outdated = project.tierwright("outdated", "container:shop_wordpress", "container:shop_mariadb")
            assert re.search(rf"{PACKAGE}:\S+ +\S+ +\S+{re.escape(SUFFIX)} +security +corebuild +operations", outdated)
            assert re.search(r"^corebuild +operations +1 +1 +corebuild", outdated, re.MULTILINE), outdated
        with project.step("Build and test the cascade"):
            plan = project.playbook("build-chain.yml", "--check")
            assert f"outside input debian {served.suite} changed" in plan
            cascade = project.playbook("build-chain.yml")
            assert built(cascade) == {"corebuild", "httpd-php", "mariadb", "haproxy", "wordpress"}, cascade
        publish_and_roll_out(project, blog)
    now = {service: containers(engine, service) for service in SERVICES}
    for service in SERVICES:
        assert not set(before[service]) & set(now[service]), service
        assert set(before[service].values()).isdisjoint(now[service].values()), service
        (container, *_) = now[service]
        code, output = engine.containers.get(container).exec_run(["cat", f"/{ADDED}"])
        assert (code, output) == (0, b"CVE-2026-0001\n"), service
    assert project.times[REPLACED] < 60
    assert project.times[EVERYWHERE] < 300


def _look(project, registry):
    """Who changed what and when, from the running container."""
    with project.step("Who changed what and when"):
        blame = project.tierwright("blame", "container:shop_wordpress", PACKAGE)
        assert f"{PACKAGE}: corebuild, team operations" in blame
        assert SUFFIX in blame
        blame = project.answer("blame", "container:shop_wordpress", f"/{ADDED}")
        assert blame["owner"]["team"] == "operations"
        history = project.answer("history", "container:shop_wordpress")["releases"]
        assert [release["deployed"] for release in history] == [False, True]
        assert history[-1]["reasons"] == ["parent httpd-php is a different image"] or history[-1]["reasons"]
        project.tierwright("history", "container:shop_wordpress")
        project.tierwright("why", "container:shop_wordpress")
        earlier = f"docker://{registry}/development/wordpress:{history[0]['tag']}"
        diff = project.tierwright("diff", earlier, "container:shop_wordpress")
        assert re.search(
            rf"corebuild \(team operations\):\n  package ~ {PACKAGE} .* -> \S+{re.escape(SUFFIX)}", diff
        ), diff
        deployed = project.tierwright("deployed", "shop")
        assert len(re.findall(r"^shop +\S+", deployed, re.MULTILINE)) >= len(SERVICES)
        assert "(operations)" not in deployed
        assert "no package is outdated in" in project.tierwright("outdated", "container:shop_wordpress")


def _settings(project, blog, engine):
    before = {service: containers(engine, service) for service in SERVICES}
    with project.step("Middleware changes PHP settings"):
        project.write("inventories/shop/host_vars/httpd-php.yml", PHP)
        project.commit("middleware", "httpd-php: uploads of 64 MB")
        assert built(project.playbook("build-chain.yml")) == {"httpd-php", "wordpress"}
        publish_and_roll_out(project, blog)
    now = {service: containers(engine, service) for service in SERVICES}
    assert [service for service in SERVICES if set(before[service]) != set(now[service])] == ["wordpress"]
    (container, *_) = now["wordpress"]
    _code, output = engine.containers.get(container).exec_run(["php", "-r", "echo ini_get('upload_max_filesize');"])
    assert output == b"64M"


def _bad_change(project, engine):
    before = {service: containers(engine, service) for service in SERVICES}
    released = {image.id for image in engine.images.list() if any(tag.endswith(":latest") for tag in image.tags)}
    published = project.answer("deployed", "shop")
    with project.step("A bad change"):
        path = "roles/httpd_php/defaults/main.yml"
        text = (project.folder / path).read_text()
        project.write(path, text.replace("gd, imagick, intl,", "gd, imagick,"))
        project.commit("middleware", "httpd_php: nobody needs intl")
        failed = project.playbook("build-chain.yml", code=2)
        assert "test_php_has_the_extension[intl]" in failed
        assert "team development" in failed
        assert "httpd-php" in failed
    before_publishing = deployments()
    project.playbook("playbooks/publish.yml")
    time.sleep(10)  # the watcher looks two seconds after a sign
    assert deployments() == before_publishing
    assert {service: containers(engine, service) for service in SERVICES} == before
    now = {image.id for image in engine.images.list() if any(tag.endswith(":latest") for tag in image.tags)}
    assert now == released
    images = {service["service"]: service["image"] for service in published["services"]}
    assert {each["service"]: each["image"] for each in project.answer("deployed", "shop")["services"]} == images


def _still_there(blog, post, image):
    assert "This post must survive." in blog.get(post)
    assert blog.read(image) == picture()
