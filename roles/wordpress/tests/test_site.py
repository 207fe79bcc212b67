# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A site: it installs, people log in, and uploads are kept."""

from __future__ import annotations

import json

from .conftest import PORT, php


def test_its_keys_are_its_own(site):
    config = site.host.check_output("cat wp-config.php")
    keys = [line for line in config.splitlines() if "_KEY'" in line or "_SALT'" in line]
    assert len(set(keys)) == 8
    assert "put your unique phrase here" not in config


def test_the_front_page_is_served(installed):
    status, _headers, body = installed.http("/", port=PORT, headers={"Host": f"localhost:{PORT}"})
    assert status == 200, installed.logs()
    assert b"Tierwright" in body
    assert b'<meta name="generator" content="WordPress ' in body


def test_people_can_log_in(installed):
    status, _headers, body = installed.http("/wp-login.php", port=PORT, headers={"Host": f"localhost:{PORT}"})
    assert status == 200
    assert b'id="user_pass"' in body
    assert php(installed, "require 'wp-load.php'; echo get_class(wp_authenticate('admin', 'correct horse'));") == "WP_User"


def test_programs_can_read_posts(installed):
    status, _headers, body = installed.http(
        "/?rest_route=/wp/v2/posts", port=PORT, headers={"Host": f"localhost:{PORT}"}
    )
    assert status == 200
    assert [post["title"]["rendered"] for post in json.loads(body)] == ["Hello world!"]


def test_uploads_are_kept_and_served(installed):
    address = php(
        installed,
        "require 'wp-load.php'; $kept = wp_upload_bits('note.txt', null, 'kept'); echo $kept['error'] ?: $kept['url'];",
    )
    path = address.removeprefix(f"http://localhost:{PORT}")
    status, _headers, body = installed.http(path, port=PORT)
    assert (status, body) == (200, b"kept"), address


def test_pictures_are_scaled(installed):
    sizes = php(
        installed,
        "require 'wp-load.php'; imagepng(imagecreatetruecolor(640, 480), '/tmp/picture.png');"
        "$editor = wp_get_image_editor('/tmp/picture.png'); $editor->resize(64, 48); echo json_encode($editor->get_size());",
    )
    assert json.loads(sizes) == {"width": 64, "height": 48}


def test_its_tables_are_in_the_chains_database(installed):
    counted = php(installed, "require 'wp-load.php'; echo count($wpdb->get_col(\"SHOW TABLES LIKE 'tw\\\\_%'\"));")
    assert int(counted) >= 12


def test_nothing_went_wrong_on_the_way(installed):
    complaints = [line for line in installed.logs().splitlines() if "PHP " in line and "api.wordpress.org" not in line]
    assert [line for line in complaints if "PHP Fatal" in line or "PHP Warning" in line or "PHP Deprecated" in line] == []
