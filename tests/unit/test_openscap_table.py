"""The core build's README says which rules of ANSSI and CIS fail on the demo's images; a soak test scans them."""

from __future__ import annotations

import re

import openscap

#: What means something in an image, and so has to pass there.
_CONCERNS = re.compile(
    r"umask|hashing|rounds|file_(permissions|owner|groupowner)|^permissions_|(?<!no)suid|setuid|sgid|world_writable|unowned|root_path|no_dot"
)


def test_every_row_has_rules_images_and_a_reason():
    told = openscap.excused()
    assert len(told) > 30
    assert all(reason.strip().endswith(".") for _images, reason in told.values())
    assert {image for images, _reason in told.values() for image in images} <= {"httpd-php", "mariadb", "wordpress"}


def test_no_rule_is_excused_that_means_something_in_an_image():
    assert [rule for rule in openscap.excused() if _CONCERNS.search(rule)] == []


def test_a_row_can_hold_several_rules():
    row = "| `one`, `two` | a, b | Why. |\n| `three` | all | Because. |\n"
    assert openscap.excused(row) == {
        "one": (["a", "b"], "Why."),
        "two": (["a", "b"], "Why."),
        "three": ([], "Because."),
    }
