"""The behaviour that the product needs from every engine, as tests for the fake engine and for each real one.

A test file imports these tests with `from engine_contract import *`, and names its engine by a fixture `engine`. The
tests check only properties that all engines share: for example, an image ID is whatever the engine reports.
`engine/system.py` describes the differences between engines.
"""

# ruff: noqa: F403 - all tests are imported
from __future__ import annotations

from engine_contract.commands import *
from engine_contract.containers import *
from engine_contract.files import *
from engine_contract.images import *
from engine_contract.names import *
from engine_contract.others import *
from engine_contract.question import sandbox as sandbox
from engine_contract.services import *
