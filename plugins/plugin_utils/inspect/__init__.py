# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looking at images, whoever built them: family tree, layers, differences, whose a file is, and what is wasted."""
