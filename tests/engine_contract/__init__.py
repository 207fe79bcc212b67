"""What the product asks of an engine, and what every engine answers: the fake one, and each real one.

Test files take these questions in with `from engine_contract import *` and say which engine they are for, as a fixture
`engine`. Here stands only what holds for any engine: an image's ID is whatever the engine says it is. Where engines
differ, `engine/system.py` says how.
"""

# ruff: noqa: F403 - questions are taken as they are
from __future__ import annotations

from engine_contract.commands import *
from engine_contract.containers import *
from engine_contract.files import *
from engine_contract.images import *
from engine_contract.names import *
from engine_contract.others import *
from engine_contract.question import asked as asked
from engine_contract.services import *
