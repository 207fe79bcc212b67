# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright molecule``."""

from __future__ import annotations

import configparser
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from ..errors import NotFoundError, UsageError

#: The folder of the shared settings and playbooks.
FOLDER = Path(__file__).parents[4] / "extensions/molecule"

#: The variable that names this folder, and the one that names the chain's inventory.
FOLDER_VARIABLE, INVENTORY_VARIABLE = "TIERWRIGHT_MOLECULE", "TIERWRIGHT_INVENTORY"

_CONFIG_VARIABLE = "ANSIBLE_CONFIG"


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[MOLECULE ARGUMENTS]")
@click.option("-i", "--inventory", type=click.Path(exists=True), help="The inventory of the chain: a file or a folder.")
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
        UsageError: ansible.cfg cannot be read, or its inventory is not one file or folder.
    """
    # Molecule starts ansible-playbook and pytest by name. They must be those of this environment.
    programs = str(Path(sys.executable).parent)
    result = {
        **environment,
        "PATH": os.pathsep.join(filter(None, [programs, environment.get("PATH")])),
        FOLDER_VARIABLE: str(FOLDER),
    }
    config = environment.get(_CONFIG_VARIABLE) or _find_above(project, "ansible.cfg")
    if config:
        result[_CONFIG_VARIABLE] = str(Path(config).absolute())
    if inventory is not None:
        result[INVENTORY_VARIABLE] = str(Path(inventory).absolute())
    elif not environment.get(INVENTORY_VARIABLE) and config:
        found = _read_inventory(Path(config).absolute())
        if found is not None:
            result[INVENTORY_VARIABLE] = found
    return result


def _find_above(project: Path, name: str) -> Path | None:
    """Find a file in a folder or one above it, up to the top of its Git repository; ``None`` if there is none.

    Outside of a repository, only the folder itself is searched: a file far above it belongs to something else.
    """
    folders = [project, *project.parents]
    top = next((index for index, folder in enumerate(folders) if (folder / ".git").exists()), 0)
    return next((folder / name for folder in folders[: top + 1] if (folder / name).is_file()), None)


def _read_inventory(config: Path) -> str | None:
    """Return the inventory that an ansible.cfg names, as an absolute path; ``None`` if it names none."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, inline_comment_prefixes=(";",))
    try:
        parser.read_string(config.read_text(), str(config))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise UsageError(f"{config} cannot be read as settings of Ansible: {error}") from error
    names = [name.strip() for name in parser.get("defaults", "inventory", fallback="").split(",") if name.strip()]
    if not names:
        return None
    path = config.parent / Path(os.path.expandvars(names[0].replace("{{CWD}}", str(Path.cwd())))).expanduser()
    if len(names) > 1 or not path.exists():
        raise UsageError(
            f"{config}: inventory is {', '.join(names)!r}; Molecule needs one file or folder that exists. Name the "
            f"inventory of the chain: tierwright molecule --inventory PATH …, or set {INVENTORY_VARIABLE}"
        )
    return str(path)
