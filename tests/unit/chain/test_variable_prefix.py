from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.names import variable_prefix


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("web", "web"),
        ("httpd-php", "httpd_php"),
        ("acme.web", "web"),
        ("geerlingguy.nginx", "nginx"),
        ("acme.site.web", "web"),
        ("acme.web-site", "web_site"),
        ("/srv/project/roles/web", "web"),
        ("/srv/project/roles/acme.web", "acme.web".partition(".")[2]),
        ("../roles/web/", "web"),
        ("web-2.0", "web_2_0"),
        ("/srv/my.project/roles/web-2.0", "web_2_0"),
    ],
)
def test_the_prefix_of_the_variables_of_a_role(role, expected):
    assert variable_prefix(role) == expected
