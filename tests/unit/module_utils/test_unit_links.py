"""Units are enabled, disabled and masked with the same links as systemctl makes."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from ansible_collections.tierwright.chain.plugins.module_utils._unit_files import (
    UnitFiles,
    full_name,
    is_of_absent_systemd,
)
from ansible_collections.tierwright.chain.plugins.module_utils._unit_links import UnitError, UnitLinks

WEB = "[Unit]\nDescription=Web\n[Service]\nExecStart=/bin/true\n[Install]\n"
UNITS = {
    "web.service": WEB + "WantedBy=multi-user.target\n",
    "many.service": WEB + "WantedBy=multi-user.target \\\n graphical.target\nRequiredBy=other.target\n",
    "alias.service": WEB + "WantedBy=multi-user.target\nAlias=second.service\nAlias=third.service\n",
    "also.service": WEB + "WantedBy=multi-user.target\nAlso=also.socket\n",
    "also.socket": "[Socket]\nListenStream=1\n[Install]\nWantedBy=sockets.target\nAlso=also.service\n",
    "static.service": "[Unit]\nDescription=Nobody enables this\n[Service]\nExecStart=/bin/true\n",
    "reset.service": WEB + "WantedBy=a.target\nWantedBy=\nWantedBy=b.target\n",
    "comment.service": WEB + "# WantedBy=a.target\n; WantedBy=b.target\nWantedBy = c.target\n",
    "getty@.service": WEB + "WantedBy=getty.target\nDefaultInstance=tty1\n",
    "plain@.service": WEB + "WantedBy=x-%i.target\n",
    "web.timer": "[Timer]\nOnBootSec=1\n[Install]\nWantedBy=timers.target\n",
}
NAMES = ["web", "many", "alias", "also", "also.socket", "static", "reset", "comment", "getty@", "getty@tty2"]
NAMES += ["plain@one", "web.timer"]

needs_systemctl = pytest.mark.skipif(shutil.which("systemctl") is None, reason="there is no systemctl to compare with")


def image(folder, library="usr/lib"):
    """A root file system with all units, as a distribution without separate /usr has them."""
    units = folder / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    (folder / "lib").symlink_to("usr/lib")
    for name, text in UNITS.items():
        (units / name).write_text(text)
    own = folder / "etc/systemd/system/timers.target.wants"
    own.mkdir(parents=True)
    for name in ("one.timer", "two.timer"):
        (own / name).symlink_to(f"/{library}/systemd/system/{name}")
    return folder


def links(folder):
    """All links of the administrator's folder, by path."""
    own = folder / "etc/systemd/system"
    found = {}
    for path in own.rglob("*"):
        found[str(path.relative_to(own))] = str(path.readlink()) if path.is_symlink() else "a folder"
    return found


def change(folder, verb, name, **options):
    """Do what ``systemctl VERB NAME`` does; the answer says whether something changed."""
    files = UnitFiles(str(folder))
    unit_links = UnitLinks(files, **options)
    if "mask" in verb:
        return getattr(unit_links, verb)(full_name(name))
    return getattr(unit_links, verb)(files.find(full_name(name)))


def systemctl(folder, *words):
    process = subprocess.run(
        ["systemctl", f"--root={folder}", "--quiet", *words], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr


@needs_systemctl
@pytest.mark.parametrize("name", NAMES)
def test_links_are_those_of_systemctl(tmp_path, name):
    folders = ours, theirs = image(tmp_path / "ours", "lib"), image(tmp_path / "theirs", "lib")
    for verb in ("enable", "disable", "enable", "mask", "unmask", "disable"):
        if verb == "mask" and "@" in name:
            continue
        change(ours, verb, name)
        systemctl(theirs, verb, full_name(name))
        assert links(ours) == links(theirs), verb
    assert all(links(folder) for folder in folders)


@needs_systemctl
def test_links_of_a_unit_that_is_a_link_are_those_of_systemctl(tmp_path):
    folders = ours, theirs = image(tmp_path / "ours", "lib"), image(tmp_path / "theirs", "lib")
    for folder in folders:
        (folder / "opt").mkdir()
        (folder / "opt/linked.service").write_text(UNITS["alias.service"])
        (folder / "etc/systemd/system/linked.service").symlink_to("/opt/linked.service")
    for verb in ("enable", "disable"):
        change(ours, verb, "linked")
        systemctl(theirs, verb, "linked.service")
        assert links(ours) == links(theirs), verb


@pytest.mark.parametrize("library", ["usr/lib", "lib"])
def test_links_lead_where_the_links_of_the_image_lead(tmp_path, library):
    folder = image(tmp_path, library)
    assert change(folder, "enable", "web") is True
    assert links(folder)["multi-user.target.wants/web.service"] == f"/{library}/systemd/system/web.service"


@pytest.mark.parametrize("name", NAMES)
def test_a_second_time_nothing_changes(tmp_path, name):
    folder = image(tmp_path)
    change(folder, "enable", name)
    before = links(folder)
    assert change(folder, "enable", name) is False
    assert links(folder) == before
    unit = UnitFiles(str(folder)).find(full_name(name))
    assert UnitLinks(UnitFiles(str(folder))).is_enabled(unit)
    change(folder, "disable", name)
    assert change(folder, "disable", name) is False
    assert UnitLinks(UnitFiles(str(folder))).is_enabled(unit) is unit.is_static


def test_a_link_to_the_other_name_of_the_library_is_left(tmp_path):
    folder = image(tmp_path)
    wants = folder / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir()
    (wants / "web.service").symlink_to("/lib/systemd/system/web.service")
    assert change(folder, "enable", "web") is False
    assert str((wants / "web.service").readlink()) == "/lib/systemd/system/web.service"


def test_check_mode_changes_nothing(tmp_path):
    folder = image(tmp_path)
    before = links(folder)
    assert change(folder, "enable", "web", dry=True) is True
    assert change(folder, "mask", "web", dry=True) is True
    assert links(folder) == before


def test_a_unit_of_the_role_wins_over_that_of_the_package(tmp_path):
    folder = image(tmp_path)
    (folder / "etc/systemd/system/web.service").write_text(WEB + "WantedBy=own.target\n")
    change(folder, "enable", "web")
    assert links(folder)["own.target.wants/web.service"] == "/etc/systemd/system/web.service"
    change(folder, "disable", "web")
    assert (folder / "etc/systemd/system/web.service").is_file()


def test_drop_ins_count(tmp_path):
    folder = image(tmp_path)
    drop_in = folder / "etc/systemd/system/web.service.d/wanted.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Install]\nWantedBy=\nWantedBy=late.target\n")
    change(folder, "enable", "web")
    assert "late.target.wants/web.service" in links(folder)
    assert "multi-user.target.wants/web.service" not in links(folder)


def test_an_alias_finds_its_unit(tmp_path):
    folder = image(tmp_path)
    change(folder, "enable", "alias")
    assert UnitFiles(str(folder)).find("second.service").name == "alias.service"


def test_missing_units_and_circles_of_links_are_not_found(tmp_path):
    folder = image(tmp_path)
    own = folder / "etc/systemd/system"
    (own / "a.service").symlink_to("/etc/systemd/system/b.service")
    (own / "b.service").symlink_to("/etc/systemd/system/a.service")
    (own / "dangling.service").symlink_to("/opt/nowhere/dangling.service")
    files = UnitFiles(str(folder))
    assert [files.find(name) for name in ("none.service", "a.service", "dangling.service")] == [None] * 3


def test_a_masked_unit_is_not_enabled(tmp_path):
    folder = image(tmp_path)
    assert change(folder, "mask", "web") is True
    assert change(folder, "mask", "web") is False
    with pytest.raises(UnitError, match=r"web\.service is masked"):
        change(folder, "enable", "web")
    assert change(folder, "unmask", "web") is True
    assert change(folder, "unmask", "web") is False


def test_a_file_is_never_replaced_by_a_mask(tmp_path):
    folder = image(tmp_path)
    own = folder / "etc/systemd/system/web.service"
    own.write_text(WEB)
    with pytest.raises(UnitError, match="in the way"):
        change(folder, "mask", "web")
    assert own.read_text() == WEB


def test_only_an_image_without_systemd_lacks_its_services(tmp_path):
    assert is_of_absent_systemd("systemd-journald.service", str(tmp_path))
    assert not is_of_absent_systemd("journald.service", str(tmp_path))
    (tmp_path / "usr/lib/systemd").mkdir(parents=True)
    (tmp_path / "usr/lib/systemd/systemd").touch()
    assert not is_of_absent_systemd("systemd-journald.service", str(tmp_path))
