"""Print what the Python of modules supports, and which environment its child processes have."""

import locale
import ssl
import subprocess

print(
    len(ssl.create_default_context().get_ca_certs()),
    locale.setlocale(locale.LC_ALL, "C.UTF-8"),
    subprocess.run(["env"], check=True, capture_output=True, text=True).stdout,
    sep="\n",
)
