"""The memory that a command needs."""

from __future__ import annotations

import sys

#: Runs a command, and prints its peak memory in kB on stderr. This is a separate process, because a new process counts
#: the memory of the process that started it, until a command replaces it.
MEASURED = (
    sys.executable,
    "-Sc",
    """import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)""",
)
