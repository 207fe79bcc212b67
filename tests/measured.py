"""How much memory a command takes."""

from __future__ import annotations

import sys

#: Runs a command and says on stderr how many kB it took at most. A process of its own, for until a command replaces it,
#: a new process counts as much memory as the one that started it.
MEASURED = (
    sys.executable,
    "-Sc",
    """import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)""",
)
