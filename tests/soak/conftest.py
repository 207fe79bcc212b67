"""Fixtures of the integration tests, for campaigns that take an hour."""

from __future__ import annotations

from integration.conftest import (
    demo,
    demo_base,
    engine,
    environment,
    make_chain,
    playbook,
    pytest_report_header,
    pytest_xdist_auto_num_workers,
    pytest_xdist_setupnodes,
    registry,
    rootfs,
)

__all__ = [
    "demo",
    "demo_base",
    "engine",
    "environment",
    "make_chain",
    "playbook",
    "pytest_report_header",
    "pytest_xdist_auto_num_workers",
    "pytest_xdist_setupnodes",
    "registry",
    "rootfs",
]
