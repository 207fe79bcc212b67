"""A test can take the steps of a page of the documentation, and notices when they do something else."""

from __future__ import annotations

import subprocess

import pytest

from written_steps import Command, Done, File, differences, done, script, steps

PAGE = """# Title

Write `roles/web/tasks/main.yml`:

```yaml
- name: it's
```

Add this to the end of `roles/web/tasks/main.yml`:

```yaml
- more
```

```yaml
no: file
```

```console
$ cd roles/web   # a comment
$ cat tasks/main.yml \\
  --number
     1  - name: it's
...
     2  - more
```

It does not work:

<!-- fails -->

```console
$ echo built in 3.4 s, 172 MB && false
built in 5 s, 9 kB
```
"""


def take(page: str, folder) -> list[Done]:
    found = list(steps(page))
    command = ["bash", "-c", script(found)]
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done(found, process.stdout)


def test_the_steps_of_a_page():
    path = "roles/web/tasks/main.yml"
    first, second, change, cat, echo = steps(PAGE)
    assert (first, second) == (
        File(6, path, "- name: it's\n", append=False),
        File(12, path, "- more\n", append=True),
    )
    assert (change.text, change.shown, change.fails) == ("cd roles/web   # a comment", (), False)
    assert cat.text == "cat tasks/main.yml \\\n  --number"
    assert cat.shown == ("     1  - name: it's", "     2  - more")
    assert (echo.line, echo.fails) == (33, True)
    assert PAGE.splitlines()[echo.line - 1].startswith("$ echo")


def test_steps_are_taken_in_one_shell_and_compared(tmp_path):
    results = take(PAGE, tmp_path)
    assert [(result.status, differences(result)) for result in results] == [(0, []), (0, []), (1, [])]


def test_the_script_stops_where_the_page_is_wrong(tmp_path):
    page = "It fails:\n\n```console\n$ false\n$ echo never\n```\n"
    assert [result.status for result in take(page, tmp_path)] == [1]
    page = "It works:\n\n<!-- fails -->\n\n```console\n$ true\n```\n\nOn:\n\n```console\n$ echo never\n```\n"
    assert [result.status for result in take(page, tmp_path)] == [0]


@pytest.mark.parametrize(
    ("shown", "printed", "missing"),
    [
        ("web  172 MB  built, 41 tests passed", "web 9.1 GB   built, 3 tests passed", []),
        ("web  built", "web  kept", ["web  built"]),
        ("image sha256:4b53… of 2 minutes", "image sha256:99aa12bcf3 of 1 second", []),
        ("first … third", "first second third", []),
        ("first … third", "first second fourth", ["first … third"]),
        ("b\na", "a\nb", ["a"]),
    ],
)
def test_only_what_does_not_vary_is_compared(shown, printed, missing):
    command = Command(1, "it", tuple(shown.splitlines()), fails=False)
    assert differences(Done(command, printed, 0, 1.0)) == missing
