"""JSON Schemas for the output of `tierwright VERB --json` and for files of runs, generated from the dataclasses.

`python tests/schemas.py` writes docs/schemas. Tests check that they are up to date.
"""

from __future__ import annotations

import enum
import json
import types
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command import (
    keys,
    logs,
    policy,
    records,
    report,
    runs,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility import variant_matrix
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody import custody_answer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment import deployed_service
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.doctor import checks
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover import lock_update
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages import outdated_packages
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.profile import run_profile
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run import result
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sbom import finding_owners
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.views import (
    comparison,
    family_tree,
    layer_contents,
    ownership,
    release_history,
    wasted_space,
)

ANSWERS = {
    "tree": family_tree.Tree,
    "layers": layer_contents.LayerListing,
    "diff": comparison.Diff,
    "blame": ownership.Blame,
    "waste": wasted_space.Waste,
    "history": release_history.History,
    "custody": custody_answer.Custody,
    "verify": custody_answer.Custody,
    "why": release_history.Why,
    "logs": logs.TierLogs,
    "outdated": outdated_packages.Outdated,
    "owners": finding_owners.FindingOwners,
    "update": lock_update.LockUpdate,
    "matrix": variant_matrix.Matrix,
    "deployed": deployed_service.DeployedSites,
    "runs": runs.WatchRuns,
    "report": report.Written,
    "doctor": checks.Findings,
}
#: Other answers, by verb and option.
OTHERS = {
    "matrix --changes": variant_matrix.Changes,
    "keys show": keys.ShownKey,
    "policy show": policy.ShownPolicy,
    "records list": records.RecordList,
}
#: Files that a run writes, by the variable that names them.
FILES = {"tier_profile": run_profile.RunProfile, "tier_result_file": result.RunResult}
FOLDER = Path(__file__).parents[1] / "docs/schemas"

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def schema(name: str) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    top = _of((ANSWERS | OTHERS | FILES)[name], definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name if name in FILES else f"tierwright {name} --json",
        **top,
        "$defs": dict(sorted(definitions.items())),
    }


def _of(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind is Any:
        return {}
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if get_origin(kind) in {list, tuple}:  # tuples of any length
        return {"type": "array", "items": _of(get_args(kind)[0], definitions)}
    if isinstance(kind, types.UnionType):
        return {"anyOf": [_of(member, definitions) for member in get_args(kind)]}
    if issubclass(kind, enum.Enum):
        return {"enum": [member.value for member in kind]}
    if kind.__name__ not in definitions:
        hints = get_type_hints(kind)
        names = [field.name for field in msgspec.structs.fields(kind)]
        definitions[kind.__name__] = {
            "type": "object",
            "description": kind.__doc__.split("\n", maxsplit=1)[0],
            "properties": {name: _of(hints[name], definitions) for name in names},
            "required": names,
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{kind.__name__}"}


def path(name: str) -> Path:
    return FOLDER / f"{name.replace(' --', '-').replace(' ', '-')}.json"


def text(name: str) -> str:
    return json.dumps(schema(name), indent=2) + "\n"


def index() -> str:
    """The page that lists the schemas."""
    lines = [
        "# JSON schemas",
        "",
        "Every answer of `tierwright … --json`, and every file that a run writes, has a schema in",
        "[JSON Schema 2020-12](https://json-schema.org/draft/2020-12/schema). No object has a member that its schema",
        "does not list. [The command](../command.md) explains the answers. `python tests/schemas.py` writes this page.",
        "",
        "| answer or file | schema | its members |",
        "|---|---|---|",
    ]
    for name in ANSWERS | OTHERS | FILES:
        full = schema(name)
        members = ", ".join(f"`{member}`" for member in full["$defs"][full["$ref"].rpartition("/")[2]]["properties"])
        lines.append(f"| `{full['title']}` | [{path(name).name}]({path(name).name}) | {members} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for title in ANSWERS | OTHERS | FILES:
        path(title).write_text(text(title))
    (FOLDER / "README.md").write_text(index())
