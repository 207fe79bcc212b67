# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tests of a site with the chain's database: installation, login, uploads."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

#: PHP code that holds the lock of an upgrade.
HOLD_LOCK = """
require 'wp-load.php';
$wpdb->query("SELECT GET_LOCK('wordpress-upgrade " . md5(DB_NAME . ' ' . $wpdb->prefix) . "', 0)");
echo 'locked';
sleep(50);
"""
#: The number of containers that wait for the lock.
WAITING = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User lock'"


def test_site_has_random_keys(site):
    config = site.host.check_output("cat /var/www/html/wp-config.php")
    keys = {line for line in config.splitlines() if "_KEY'" in line or "_SALT'" in line}
    assert len(keys) == 8
    assert "put your unique phrase here" not in config


def test_the_front_page_is_served(installed):
    answer = installed.http("/")
    assert answer.status == 200
    assert "Tierwright" in answer.body
    assert '<meta name="generator" content="WordPress ' in answer.body


def test_people_can_log_in(installed):
    form = installed.http("/wp-login.php")
    assert form.status == 200
    assert 'id="user_pass"' in form.body
    answer = installed.http(
        "/wp-login.php",
        headers={"Cookie": "wordpress_test_cookie=WP%20Cookie%20check"},  # WordPress checks that the browser sends it
        data={"log": "admin", "pwd": "correct horse", "testcookie": "1"},
    )
    assert answer.status == 302, answer.body
    assert any("wordpress_logged_in" in cookie for cookie in answer.headers.get_all("Set-Cookie"))


def test_rest_api_returns_posts(installed):
    answer = installed.http("/?rest_route=/wp/v2/posts")
    assert answer.status == 200
    assert [post["title"]["rendered"] for post in json.loads(answer.body)] == ["Hello world!"]


def test_uploads_are_kept_and_served(installed, php):
    address = php(installed, "$kept = wp_upload_bits('note.txt', null, 'kept'); echo $kept['error'] ?: $kept['url'];")
    answer = installed.http("/wp-content/" + address.partition("/wp-content/")[2])
    assert (answer.status, answer.body) == (200, "kept"), address
    writable = installed.host.check_output("find /var/www/html/wp-content/uploads -perm -0002 ! -type l")
    assert writable == "", f"everybody may write to {writable}"


def test_images_can_be_scaled(installed, php):
    size = php(
        installed,
        "$file = tempnam(sys_get_temp_dir(), 'picture') . '.png'; imagepng(imagecreatetruecolor(640, 480), $file);"
        "$editor = wp_get_image_editor($file); $editor->resize(64, 48); echo json_encode($editor->get_size());",
    )
    assert json.loads(size) == {"width": 64, "height": 48}


def test_tables_are_in_the_chains_database(installed, php):
    assert "tw_options" in php(installed, "echo implode(' ', $wpdb->get_col('SHOW TABLES'));").split()


def test_php_logs_no_warnings(installed):
    severe = ("PHP Fatal", "PHP Warning", "PHP Deprecated", "PHP Parse")
    # wordpress.org cannot be reached from the private network, and WordPress logs that.
    lines = [line for line in installed.logs().splitlines() if "wordpress.org" not in line]
    assert [line for line in lines if any(word in line for word in severe)] == []


def test_tables_of_an_older_wordpress_are_upgraded_once(installed, start, php, upgrading):
    """Two containers wait for a third one that is killed. Then one of them upgrades, before it serves a request."""
    version = php(installed, "echo $GLOBALS['wp_db_version'];")
    php(installed, "update_option('db_version', 30000); echo 1;")
    installed.host.check_output("cd /var/www/html && (timeout 50 php -r %s >/tmp/third 2>&1 &)", HOLD_LOCK)
    installed.wait(lambda: "locked" in installed.host.check_output("cat /tmp/third"))
    with ThreadPoolExecutor() as pool:
        sites = list(pool.map(lambda alias: start(alias=alias, env=upgrading), ("site1", "site2")))
    installed.wait(lambda: php(installed, f"echo $wpdb->get_var({WAITING!r});") == "2")
    installed.host.check_output("pkill -KILL -f '[G]ET_LOCK'")
    for site in sites:
        site.wait_healthy(timeout=50)
    upgrades = [site.logs().count("upgrading the tables from version 30000") for site in sites]
    assert sorted(upgrades) == [0, 1], [site.logs() for site in sites]
    assert php(installed, "echo get_option('db_version');") == version


def test_a_database_that_cannot_be_reached_ends_the_container(without_database):
    assert without_database.wait_ended() == 1
    assert "cannot log in to the database at 127.0.0.1 within 1 seconds" in without_database.logs()
