#!/usr/bin/python3
"""A module with an unusual first line: the image has no Python at this path."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule


def main():
    """Do nothing."""
    AnsibleModule(argument_spec={}).exit_json()


if __name__ == "__main__":
    main()
