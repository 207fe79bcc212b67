# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Watch: notices releases and candidates, and starts builds and roll-outs through ansible-runner."""
