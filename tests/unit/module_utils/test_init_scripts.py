"""Init scripts are enabled and disabled by update-rc.d."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.module_utils._init_scripts import InitScript
from ansible_collections.tierwright.chain.plugins.module_utils._unit_links import UnitError


@pytest.fixture
def root(tmp_path):
    for folder in ("etc/init.d", "etc/rc2.d", "usr/sbin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/init.d/web").touch()
    (tmp_path / "usr/sbin/update-rc.d").touch()
    return tmp_path


def test_a_script_exists_only_with_update_rc_d(root):
    assert [InitScript(name, None, str(root)).exists for name in ("web", "db")] == [True, False]
    (root / "usr/sbin/update-rc.d").unlink()
    assert not InitScript("web", None, str(root)).exists


@pytest.mark.parametrize(("link", "enabled"), [("S01web", True), ("K01web", False), ("S01web2", False)])
def test_a_link_with_s_enables_it(root, link, enabled):
    (root / "etc/rc2.d" / link).symlink_to("../init.d/web")
    assert InitScript("web", None, str(root)).is_enabled is enabled


@pytest.mark.parametrize("action", ["enable", "disable"])
def test_update_rc_d_changes_no_units(root, action):
    calls = []

    def run(command, **options):
        calls.append((command, options))
        return 0, "", ""

    getattr(InitScript("web", run, str(root)), action)()
    options = {"environ_update": {"_SKIP_SYSTEMD_NATIVE": "1"}}
    assert calls == [(["/usr/sbin/update-rc.d", "web", each], options) for each in ("defaults", action)]


def test_an_error_of_update_rc_d_is_shown(root):
    with pytest.raises(UnitError, match=r"update-rc\.d web defaults failed: no such thing"):
        InitScript("web", lambda *_words, **_options: (1, "", "no such thing\n"), str(root)).enable()
