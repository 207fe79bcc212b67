# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The database itself."""

from __future__ import annotations

import re

import pytest


def test_its_user_can_use_its_database(database, query):
    made = query(database, "CREATE TABLE shop.t (name TEXT); INSERT INTO shop.t VALUES ('ä'); SELECT name FROM shop.t")
    assert (made.rc, made.stdout.strip()) == (0, "ä"), made.stderr


def test_its_user_can_use_nothing_else(database, query):
    assert query(database, "SHOW DATABASES").stdout.split() == ["information_schema", "shop"]
    assert "denied" in query(database, "CREATE DATABASE another").stderr


@pytest.mark.parametrize("user", ["keeper", "root", ""])
def test_nobody_enters_without_the_right_password(database, query, user):
    answer = query(database, "SELECT 1", user=user, password="wrong")
    assert answer.rc != 0
    assert "denied" in answer.stderr


def test_the_generated_password_is_roots(database, query):
    told = re.search(r"GENERATED ROOT PASSWORD: (\S+)", database.logs())
    assert told
    answer = query(database, "SELECT CURRENT_USER()", user="root", password=told[1])
    assert answer.stdout.startswith("root@"), answer.stderr


def test_text_is_unicode(database, query):
    asked = query(database, "SELECT @@character_set_server, @@collation_server")
    assert asked.stdout.split() == ["utf8mb4", "utf8mb4_general_ci"]


def test_the_server_is_process_1_and_keeps_no_password(database):
    assert database.host.check_output("cat /proc/1/comm") == "mariadbd"
    assert "PASSWORD" not in database.host.check_output("tr '\\0' '\\n' </proc/1/environ")


def test_everything_belongs_to_the_user_of_the_server(database, image):
    assert database.host.check_output("find /var/lib/mysql -printf '%U\\n' | sort -u") == image.config["User"]


def test_any_user_of_group_0_can_run_it_and_stop_it(start, environment, query):
    started = start(user="12345:0", env=environment)
    started.wait_healthy(timeout=50)
    assert query(started, "SELECT 1").stdout.strip() == "1"
    stopped = started.stop(timeout=30)
    assert stopped.seconds < 10
    assert stopped.exit_code == 0
