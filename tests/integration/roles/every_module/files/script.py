"""What a module's Python knows, and what its children see."""

import locale
import ssl
import subprocess

print(
    len(ssl.create_default_context().get_ca_certs()),
    locale.setlocale(locale.LC_ALL, "C.UTF-8"),
    subprocess.run(["env"], check=True, capture_output=True, text=True).stdout,
    sep="\n",
)
