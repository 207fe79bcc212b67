"""Several projects and users on one engine: none of them changes what belongs to the others."""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal

from .conftest import BIN, ROOT
from .removal import remove_images

pytestmark = pytest.mark.once

CHAIN = """
tiers:
  children:
    operations:
      hosts:
        {tier}:
          tier_image: {prefix}/{tier}
          tier_import: {{archive: {archive}, checksum: "{checksum}"}}
          tier_config: {{cmd: [], env: {{SAYS: {command}}}}}
"""


@pytest.fixture
def projects(tmp_path, playbook, engine):
    """Functions that write projects with a folder `inventory`, as in the README, and run playbooks in them."""
    archive = tmp_path / "base.tar"
    with tarfile.open(archive, "w") as tar:
        entry = tarfile.TarInfo("greeting")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"hello"))
    checksum = f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"
    prefix = f"twtest-{secrets.token_hex(4)}"

    def write(project, tier, command="first", **variables):
        inventory = tmp_path / f"{prefix}-{project}" / "inventory"
        inventory.mkdir(parents=True, exist_ok=True)
        chain = CHAIN.format(tier=tier, prefix=prefix, archive=archive, checksum=checksum, command=command)
        variable_lines = "".join(f"          {name}: {value}\n" for name, value in variables.items())
        (inventory / "chain.yml").write_text(chain + variable_lines)
        return inventory

    def run(inventory, book="build-chain.yml", *arguments, user="anne"):
        state = {"XDG_STATE_HOME": str(tmp_path / "state" / user)}
        return playbook(book, "-i", str(inventory), *arguments, env=state)

    yield prefix, write, run
    remove_images(engine, f"reference={prefix}/*")
    for volume in engine.volumes.list(filters={"label": labels.HOME}):
        if prefix in volume.attrs["Labels"][labels.HOME]:
            volume.remove()


def state(engine, prefix, *excluded):
    """The images with their names, without those of the excluded tiers; and the claims."""
    named = {(image.id, tag) for image in engine.images.list() for tag in image.tags if tag.startswith(f"{prefix}/")}
    claims = {volume.name for volume in engine.volumes.list(filters={"label": labels.HOME})}
    return {(image, tag) for image, tag in named if tag.partition(":")[0].rpartition("/")[2] not in excluded}, claims


def test_projects_with_equal_inventory_names_are_separate(projects, engine):
    prefix, write, run = projects
    for command in ("first", "second"):
        run(write("shop", "one", command)).expect()
    run(write("blog", "two")).expect()
    assert engine.images.get(f"{prefix}/one").labels[labels.CHAIN] == f"{prefix}-shop"
    assert engine.images.get(f"{prefix}/two").labels[labels.CHAIN] == f"{prefix}-blog"
    before = state(engine, prefix, "two")
    run(write("blog", "two"), "playbooks/prune.yml", "-e", "tier_keep_releases=1").expect()
    assert "there is no release before" in run(write("blog", "two"), "playbooks/rollback.yml").expect(2).message
    assert state(engine, prefix, "two") == before
    run(write("shop", "one", "second"), "playbooks/rollback.yml").expect()


def test_the_chain_name_of_a_different_project_is_rejected_before_any_change(projects, engine):
    """For users with and without a common state folder. A copy of a project counts as the same project."""
    prefix, write, run = projects
    first = write("shop", "one", tier_chain=f"{prefix}-same")
    run(first).expect()
    second = write("blog", "two", tier_chain=f"{prefix}-same")
    before = state(engine, prefix)
    for user in ("anne", "bob"):
        for book in ("build-chain.yml", "playbooks/prune.yml"):
            refused = run(second, book, "-e", "tier_lock_timeout=0", user=user).expect(2)
            assert f"another project has a chain '{prefix}-same' too: it is in {first}" in refused.message
    assert state(engine, prefix) == before
    copy = second.parent.parent / "checkout" / "inventory"
    shutil.copytree(first, copy)
    assert "nothing changed" in run(copy, user="bob").expect().output


def test_cleanup_keeps_sealed_images_of_other_users(small_chain, environment, tmp_path, monkeypatch):
    """While the image of one user is tested, a different user, one of whose runs was killed, starts a run."""
    small_chain.tier("one", "- ansible.builtin.copy: {content: one, dest: /etc/one}\n", parent="base")
    small_chain.tests(
        "one", "import time\n\n\ndef test_it(host):\n    time.sleep(8)\n    assert host.file('/etc/one').exists\n"
    )
    small_chain.build("--limit", "base").expect()
    building = subprocess.Popen(
        [BIN / "ansible-playbook", "build-chain.yml", "-i", small_chain.write()],
        cwd=ROOT, env={**environment, "XDG_STATE_HOME": str(tmp_path / "bob")},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(Path(tmp_path, "bob").rglob("one.candidate.json")):
        assert time.monotonic() < deadline
        assert building.poll() is None, building.stdout.read()
        time.sleep(0.2)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "anne"))
    killed = Journal.begin(small_chain.name)
    holder = killed.folder / "holder"
    holder.write_text(json.dumps(json.loads(holder.read_text()) | {"birth": "another"}))
    result = small_chain.build("--limit", "base", env={"XDG_STATE_HOME": str(tmp_path / "anne")}).expect()
    assert f"removed what the killed run {killed.run} left behind" in result.message
    output, _errors = building.communicate(timeout=120)
    assert building.returncode == 0, output
    assert small_chain.released("one")
