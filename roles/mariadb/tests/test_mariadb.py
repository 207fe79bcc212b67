# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The database itself."""

from __future__ import annotations

import re

import pytest

from .conftest import SETTINGS, query


def test_it_turns_healthy(database):
    assert database.health == "healthy"


def test_its_user_can_use_its_database(database):
    made = query(database, "CREATE TABLE shop.things (name TEXT); INSERT INTO shop.things VALUES ('ä'); SELECT name FROM "
                           "shop.things")  # fmt: skip
    assert (made.rc, made.stdout.strip()) == (0, "ä"), made.stderr


def test_its_user_can_use_nothing_else(database):
    assert query(database, "SHOW DATABASES").stdout.split() == ["information_schema", "shop"]
    assert "denied" in query(database, "CREATE DATABASE another").stderr


@pytest.mark.parametrize("user", ["keeper", "root", ""])
def test_nobody_enters_without_the_right_password(database, user):
    answer = query(database, "SELECT 1", user=user, password="wrong")
    assert answer.rc != 0
    assert "denied" in answer.stderr


def test_the_generated_password_is_roots(database):
    password = re.search(r"GENERATED ROOT PASSWORD: (\S+)", database.logs())
    assert password, database.logs()
    answer = query(database, "SELECT CURRENT_USER()", user="root", password=password[1])
    assert answer.stdout.startswith("root@"), answer.stderr


def test_text_is_unicode_unless_one_says_otherwise(database):
    assert query(database, "SELECT @@character_set_server, @@collation_server").stdout.split() == [
        "utf8mb4",
        "utf8mb4_general_ci",
    ]


def test_the_server_does_not_keep_its_passwords(database):
    environment = database.host.check_output("tr '\\0' '\\n' </proc/1/environ")
    assert "MARIADB_PASSWORD" not in environment
    assert database.host.check_output("cat /proc/1/comm") == "mariadbd"


def test_everything_belongs_to_the_user_of_the_server(database):
    users = database.host.check_output("find /var/lib/mysql -mindepth 1 -printf '%U\\n' | sort -u")
    assert users == "999"


def test_any_user_of_group_0_can_run_it_and_stop_it(start):
    started = start(user="12345:0", env=SETTINGS)
    started.wait_healthy(timeout=50)
    assert query(started, "SELECT 1").stdout.strip() == "1"
    seconds, code = started.stop(timeout=30)
    assert seconds < 10
    assert code == 0
