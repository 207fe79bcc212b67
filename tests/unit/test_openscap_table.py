"""The core build's README lists the rules of ANSSI and CIS that fail on the demo's images.

A soak test scans the images and compares them with this list.
"""

from __future__ import annotations

import re

import openscap

#: Rules that are meaningful in an image, and must therefore pass.
_MEANINGFUL = re.compile(
    r"umask|hashing|rounds|file_(permissions|owner|groupowner)|^permissions_|(?<!no)suid|setuid|sgid|world_writable|unowned|root_path|no_dot"
)


def test_every_row_has_rules_images_and_a_reason():
    rules = openscap.excused()
    assert len(rules) > 30
    assert all(reason.strip().endswith(".") for _images, reason in rules.values())
    images = {image for images, _reason in rules.values() for image in images}
    assert images <= {"httpd-php", "mariadb", "haproxy", "wordpress"}


def test_no_meaningful_rule_is_excused():
    assert [rule for rule in openscap.excused() if _MEANINGFUL.search(rule)] == []


def test_a_row_can_hold_several_rules():
    row = "| `one`, `two` | a, b | Why. |\n| `three` | all | Because. |\n"
    assert openscap.excused(row) == {
        "one": (["a", "b"], "Why."),
        "two": (["a", "b"], "Why."),
        "three": ([], "Because."),
    }
