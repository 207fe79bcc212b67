#!/usr/bin/python3
"""A module that begins with another path than most: no Python is there."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule


def main():
    """Do nothing."""
    AnsibleModule(argument_spec={}).exit_json()


if __name__ == "__main__":
    main()
