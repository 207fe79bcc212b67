# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The library behind the plugins: plain Python, in rooms that import one way only.

``chain`` -> ``keys`` -> ``engine`` -> ``image`` -> ``contract`` -> ``run``; ``inventory`` reads all of it out of
Ansible's variables and is the only room that imports Ansible. ``inspect`` looks at images and knows nothing of runs;
``command`` prints what it finds.
"""
