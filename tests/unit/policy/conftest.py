"""Real keys, and a policy that names them."""

from __future__ import annotations

from policy_files import policy_text, signers  # noqa: F401 - fixtures
