# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright molecule``."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from ..errors import NotFoundError, UsageError
from ..project.ansible_config import CONFIG, configured_inventory

#: The folder of the shared settings and playbooks.
FOLDER = Path(__file__).parents[4] / "extensions/molecule"

#: The variable that names this folder, and the one that names the chain's inventory.
FOLDER_VARIABLE, INVENTORY_VARIABLE = "TIERWRIGHT_MOLECULE", "TIERWRIGHT_INVENTORY"

_CONFIG_VARIABLE = "ANSIBLE_CONFIG"


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[MOLECULE ARGUMENTS]")
@click.option("-i", "--inventory", help="The inventory of the chain: a file or a folder.")
@click.option("--folder", is_flag=True, help="Print the folder of the shared settings, for molecule --base-config.")
def verb(arguments: tuple[str, ...], *, inventory: str | None, folder: bool) -> None:
    """Test one role by itself: run Molecule with the settings that build a tier.

    Run it in the folder of a role, with the arguments of molecule: `tierwright molecule test`. By default, the
    inventory is that of the nearest ansible.cfg. The exit status is that of molecule.
    """
    if folder:
        click.echo(FOLDER)
        return
    if not arguments:
        raise UsageError("tierwright molecule expects the arguments of molecule, for example: tierwright molecule test")
    if importlib.util.find_spec("molecule") is None:
        raise NotFoundError(
            f"Molecule is not installed for {sys.executable}, the Python of this command; install it there: "
            f"{sys.executable} -m pip install molecule"
        )
    project = Path.cwd()
    environment = molecule_environment(project, os.environ, inventory)
    configs = [word for path in base_configs(project) for word in ("--base-config", str(path))]
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, "-m", "molecule", *configs, *arguments]
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell is needed


def base_configs(project: Path) -> Iterator[Path]:
    """Yield the files of settings for all scenarios: the shared one, and that of the role's repository, if it has one.

    Molecule finds the second by itself only if no other is named.
    """
    yield FOLDER / "config.yml"
    own = _find_above(project, ".config/molecule/config.yml")
    if own is not None:
        yield own


def molecule_environment(project: Path, environment: Mapping[str, str], inventory: str | None) -> dict[str, str]:
    """Return the environment of Molecule for a role.

    Args:
        project: The folder of the role, absolute.
        environment: The environment of this process. Its variables have priority over what ansible.cfg says.
        inventory: The chain's inventory, if the user names one.

    Raises:
        UsageError: ansible.cfg cannot be read, or the inventory is not one file or folder that exists.
    """
    # Molecule starts ansible-playbook and pytest by name. They must be those of this environment.
    programs = str(Path(sys.executable).parent)
    result = {
        **environment,
        "PATH": os.pathsep.join(filter(None, [programs, environment.get("PATH")])),
        FOLDER_VARIABLE: str(FOLDER),
    }
    config = environment.get(_CONFIG_VARIABLE) or _find_above(project, CONFIG)
    if config:
        result[_CONFIG_VARIABLE] = str(Path(config).absolute())
    named = inventory or environment.get(INVENTORY_VARIABLE) or environment.get("ANSIBLE_INVENTORY")
    path = Path(named).absolute() if named else None
    if path is None and config and Path(config).is_file():
        path = configured_inventory(Path(config).absolute())
    if path is not None and not path.exists():
        raise UsageError(
            f"there is no inventory {path}; name the file or folder of the chain's inventory: tierwright molecule "
            f"--inventory PATH …, or set {INVENTORY_VARIABLE}"
        )
    if path is not None:
        result[INVENTORY_VARIABLE] = str(path)
    return result


def _find_above(project: Path, name: str) -> Path | None:
    """Find a file in a folder or one above it, up to the top of its Git repository; ``None`` if there is none.

    Outside of a repository, the top is the folder that has ``roles/<role>``, or the role itself. A folder far above it,
    such as ``/tmp``, may belong to somebody else.
    """
    folders = [project, *project.parents]
    default = 2 if project.parent.name == "roles" else 0
    top = next((index for index, folder in enumerate(folders) if (folder / ".git").exists()), default)
    return next((folder / name for folder in folders[: top + 1] if (folder / name).is_file()), None)
