"""Fixtures of the integration tests, for campaigns that take an hour."""

from __future__ import annotations

from integration.conftest import demo, engine, environment, make_chain, playbook, rootfs

__all__ = ["demo", "engine", "environment", "make_chain", "playbook", "rootfs"]
