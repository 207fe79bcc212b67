"""Protected paths: no layer of a descendant may change them."""

from __future__ import annotations

import json
import secrets

import pytest
import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

pytestmark = pytest.mark.once

GREET = """
- name: Greet
  ansible.builtin.raw: printf ours > /etc/motd
- name: Keep settings behind links
  ansible.builtin.raw: mkdir -p /srv/glob /data/one; echo ours > /data/one/conf; ln -s /data/one /srv/glob/one
"""
FOLDER = "- name: Make a place\n  ansible.builtin.raw: mkdir -p /srv/app\n"
DOCUMENTS = "usr/share/doc/*/copyright"
PROTECTED = ["/etc/motd", "/etc/ssl/", "etc/pam.d", "/bin/su", DOCUMENTS, "/srv/glob/*/conf"]


BY = "by task 'Break in' ({}/tasks/main.yml:3)"


def shell(command):
    return f"- name: Break in\n  ansible.builtin.shell: {json.dumps(command)}\n"


#: Commands of roles, and the changes that the message lists.
CHANGES = {
    "edits": (
        "echo theirs > /etc/motd; echo x > /etc/ssl/certs/theirs.pem; rm /etc/pam.d/su",
        ["/etc/motd (changed {})", "/etc/pam.d/su (removed)", "/etc/ssl/certs/theirs.pem (created {})"],
    ),
    "moves": (
        "ln /etc/motd /srv/motd; mv /etc/pam.d /etc/pam; mv /etc/ssl /srv/ssl; ln -s /srv/ssl /etc/ssl",
        ["/etc/motd (linked as /srv/motd {})", "/etc/pam.d (removed)", "/etc/ssl (replaced {})"],
    ),
    "diverts": (
        "rm -r /usr/share/doc/tar; chmod 777 /etc/ssl; mv /bin /binaries; mkdir /bin; cp -a /usr/bin/. /bin/",
        [
            "/bin (replaced {})",
            "/etc/ssl (changed {})",
            "/usr/share/doc/tar/copyright (removed with /usr/share/doc/tar)",
        ],
    ),
    "globs": ("echo theirs > /data/one/conf", ["/data/one/conf (changed {})"]),
    "follows": ("echo x >> /usr/bin/su", ["/usr/bin/su (changed {})"]),
}


@pytest.fixture
def chain(small_chain):
    small_chain.tier("core", GREET, parent="base", protects=PROTECTED)
    return small_chain.tier("web", FOLDER, parent="core")


def test_every_change_of_a_protected_path_is_rejected_with_path_and_owner(chain):
    for name, (command, _changes) in CHANGES.items():
        chain.tier(name, FOLDER + shell(command), parent="web")
    chain.tier("decent", FOLDER + shell("echo x > /etc/app.conf; rm /etc/issue"), parent="web")
    failed = chain.build().expect(2)
    for name, (_command, changes) in CHANGES.items():
        paths = ", ".join(changes).format(*[BY.format(name)] * len(changes))
        assert f"tier '{name}': its role changed protected paths: {paths}; only tier 'core' of team operations" in (
            failed.message
        )
        assert not chain.released(name)
    assert chain.run("decent", "cat", "/etc/motd", "/etc/app.conf") == "oursx\n"


def test_new_protected_paths_apply_to_existing_images_and_roles_can_set_them(chain):
    defaults = chain.folder / "roles/shop/defaults"
    chain.tier("shop", FOLDER, parent="web")
    defaults.mkdir()
    (defaults / "main.yml").write_text("shop_tier_protects: ['{{ shop_folder }}']\nshop_folder: /srv/shop/\n")
    chain.tier("late", FOLDER + shell("echo x > /etc/app.conf"), parent="web").build().expect()
    before = chain.image("late").id
    core = {
        "tier": "core",
        "team": "operations",
        "paths": ["bin/su", "etc/motd", "etc/pam.d", "etc/ssl", "srv/glob/*/conf", DOCUMENTS],
    }
    shop = {"tier": "shop", "team": "operations", "paths": ["srv/shop"]}
    assert json.loads(chain.image("shop").labels[labels.PROTECTS]) == [core, shop]
    assert json.loads(chain.image("late").labels[labels.PROTECTS]) == [core]

    chain.tier("above", shell("mkdir -p /srv/shop; touch /srv/shop/x"), parent="shop")
    chain.tiers["core"]["tier_protects"] = [*PROTECTED, "/etc/app.*"]
    failed = chain.build().expect(2)
    assert "tier 'late': its role changed protected paths: /etc/app.conf (created by" in failed.message
    assert "tier 'above': its role changed protected paths: /srv/shop/x (created by" in failed.message
    assert "only tier 'shop' of team operations may write /srv/shop" in failed.message
    assert chain.image("late").id == before


def test_an_invalid_protected_path_is_rejected_before_the_build(chain):
    chain.tiers["core"]["tier_protects"] = ["/etc/../motd"]
    failed = chain.build("--check").expect(2)
    assert "tier 'core': tier_protects has '/etc/../motd'; expected a path below the root" in failed.message


def test_wordpress_may_not_change_protected_paths_of_operations(demo, playbook, engine, demo_copy):
    """The demo chain with one more tier, which applies the role of WordPress and then changes protected paths."""
    inventory = yaml.safe_load((demo_copy / "chain.yml").read_text())
    image = f"twtest-{secrets.token_hex(4)}/wordpress"
    inventory["tiers"]["children"]["development"]["hosts"]["greedy"] = {"tier_parent": "httpd-php", "tier_image": image}
    (demo_copy / "chain.yml").write_text(yaml.safe_dump(inventory))
    tasks = demo_copy / "roles/greedy/tasks/main.yml"
    tasks.parent.mkdir(parents=True)
    edits = "echo x >> /etc/motd; echo x >> /etc/ssl/openssl.cnf; echo x >> /etc/pam.d/login"
    tasks.write_text(
        "- name: Install WordPress\n  ansible.builtin.include_role: {name: wordpress, public: true}\n" + shell(edits)
    )
    failed = playbook("build-chain.yml", "-i", str(demo_copy / "chain.yml"), "--limit", "greedy").expect(2)
    for path in ("/etc/motd", "/etc/pam.d/login", "/etc/ssl/openssl.cnf"):
        assert f"{path} (changed {BY.format('greedy')})" in failed.message
    assert "only tier 'corebuild' of team operations may write /etc/motd, /etc/pam.*, /etc/ssl" in failed.message
    assert not engine.images.list(image)
    assert engine.images.get("wordpress:latest").id == demo["wordpress"].id
