# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The library. All of it is private: plugins, command and fixtures are the interface."""

from . import library_loader

library_loader.install(__name__, __spec__.loader)
