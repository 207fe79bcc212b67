"""The report in a real browser, as a manager, an on-call operator, or whoever uses a keyboard opens it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

import made_chain

from .conftest import BIN, DEMO

pytestmark = pytest.mark.once

CHROMIUM = "/usr/bin/chromium"
WIDE, PHONE = 1280, 390
#: Pages of the chain by hand that show every state and every kind of table.
SHOWING = ("index", "releases", "matrix", "outdated", "waste", "tiers/wordpress")


def report(folder: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    """Write a report; what the command says."""
    command = [BIN / "tierwright", "report", "-o", folder, "--json", *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    rootless = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=rootless)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a chain made by hand in which one tier failed, one is stale, and one variant does not work."""
    folder: Path = tmp_path_factory.mktemp("made")
    place = made_chain.place(folder / "layout")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_STATE_HOME", str(folder / "state"))
        patched.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        made_chain.note(failed={"wordpress": "Install it: no\nsuch package"}, stale={"mariadb": "a variable changed"})
        made_chain.note_matrices()
        told = report(folder / "report", "--in", place)
    assert (told["tiers"], told["failed"], told["stale"]) == (6, 1, 1)
    return folder / "report"


@pytest.fixture(scope="module")
def of_demo(demo: dict[str, Any], environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the demo chain, from the engine."""
    folder: Path = tmp_path_factory.mktemp("demo") / "report"
    # Others may have built chains on this engine, and have noted of the demo what they did to it.
    apart = {**environment, "XDG_STATE_HOME": str(tmp_path_factory.mktemp("state"))}
    told = report(folder, "wordpress", "--no-outdated", **apart)
    assert (told["chain"], told["tiers"], told["failed"], told["stale"]) == ("wordpress", len(demo), 0, 0)
    return folder


@contextmanager
def opened(browser: Browser, width: int = WIDE, scheme: Any = "light") -> Iterator[Page]:
    """A page that must neither complain nor ask for anything but documents of the report."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    complaints: list[str] = []
    asked: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url) if request.resource_type != "document" else None)
    try:
        yield page
        assert complaints == []
        assert [url for url in asked if not url.startswith("data:")] == []
    finally:
        context.close()


def pages(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.html"))


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_every_page_opens_and_fits(browser, made, of_demo, width):
    with opened(browser, width) as page:
        for path in (*pages(made), *pages(of_demo)):
            page.goto(path.as_uri())
            assert page.locator("h1").count() == 1, path
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_it_can_be_served(browser, made):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=made))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with opened(browser) as page:
            page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
            page.get_by_role("link", name="Compatibility").click()
            assert page.url.endswith("/matrix.html")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser, made, width, scheme):
    with opened(browser, width, scheme) as page:
        for name in SHOWING:
            page.goto((made / f"{name}.html").as_uri())
            found = Axe().run(page).response["violations"]
            bad = [
                (each["id"], [node["html"] for node in each["nodes"]])
                for each in found
                if each["impact"] in {"serious", "critical"}
            ]
            assert bad == [], name


def focused(page: Page) -> tuple[str, str]:
    """Where the link that has the focus leads, and what a screen reader calls it."""
    told = page.evaluate(
        "[document.activeElement.getAttribute('href') ?? '', document.activeElement.getAttribute('aria-label') ?? '']"
    )
    return told[0], told[1]


def test_the_boxes_of_the_picture_are_reached_by_keyboard(browser, made):
    with opened(browser) as page:
        page.goto((made / "index.html").as_uri())
        reached: dict[str, str] = {}
        for _ in range(60):
            page.keyboard.press("Tab")
            link, called = focused(page)
            if link and called:
                reached.setdefault(link, called)
        assert sorted(reached) == sorted(f"tiers/{tier}.html" for tier in made_chain.TIERS)
        assert reached["tiers/wordpress.html"] == "wordpress, development, failed, on httpd-php"
        page.reload()
        for _ in range(60):
            page.keyboard.press("Tab")
            if focused(page) == ("tiers/wordpress.html", reached["tiers/wordpress.html"]):
                break
        page.keyboard.press("Enter")
        page.wait_for_url("**/tiers/wordpress.html")
        assert "no\nsuch package" in page.locator(".why").inner_text()


def test_the_first_stop_skips_to_the_content(browser, made):
    with opened(browser) as page:
        page.goto((made / "index.html").as_uri())
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.url.endswith("#main")


def test_tables_are_sorted_by_keyboard(browser, made):
    with opened(browser) as page:
        page.goto((made / "index.html").as_uri())
        first = page.locator("#tiers ~ .scroll tbody tr").first
        head = page.get_by_role("columnheader", name="State")
        head.get_by_role("button").focus()
        page.keyboard.press("Enter")
        page.wait_for_function("document.querySelector('th[aria-sort]') !== null")
        assert head.get_attribute("aria-sort") == "ascending"
        assert first.locator("th").inner_text() == "wordpress"
        page.get_by_role("columnheader", name="Own size").get_by_role("button").focus()
        page.keyboard.press("Space")
        page.wait_for_function("document.querySelectorAll('th[aria-sort]').length === 1")


def test_long_tables_are_searched(browser, of_demo):
    with opened(browser) as page:
        page.goto((of_demo / "tiers/wordpress.html").as_uri())
        page.get_by_text("that are installed").click()
        field = page.get_by_label("Find packages")
        field.fill("php8 mysql")
        rows = page.locator("#packages ~ details tbody tr:visible")
        assert [row.split("\t")[0] for row in rows.all_inner_texts()] == ["php8.2-mysql:amd64"]
        assert rows.first.locator("td").last.inner_text() == "httpd-php"
        assert page.locator("output").inner_text().startswith("1 of ")
        field.fill("")
        assert rows.count() > 200


def test_the_demo_s_tiers_are_told(browser, of_demo):
    with opened(browser) as page:
        page.goto((of_demo / "index.html").as_uri())
        assert page.locator("#tiers ~ .scroll tbody th").all_inner_texts() == [*DEMO[:3], "wordpress", "mariadb"]
        page.locator("svg a").filter(has_text="wordpress").click()
        layers = page.locator("#layers ~ .scroll").first.locator("tbody th").all_inner_texts()
        assert layers == ["base", "corebuild", "httpd-php", "wordpress"]


def test_it_is_black_on_white_on_paper(browser, made):
    with opened(browser, scheme="dark") as page:
        page.emulate_media(media="print", color_scheme="light")
        page.goto((made / "index.html").as_uri())
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        assert not page.locator("header nav").is_visible()


def test_what_is_stale_or_failed_is_in_the_next_report(small_chain, environment, tmp_path):
    """From the plan and the run, through what they note, to the page."""
    tasks = '- name: Write\n  ansible.builtin.copy: {{content: "{}", dest: /etc/it, mode: "0644"}}\n'

    def told() -> dict[str, int]:
        written = report(tmp_path / "report", small_chain.name, "--no-outdated", **environment)
        return {state: written[state] for state in ("stale", "failed", "not_reached") if written[state]}

    small_chain.tier("one", tasks.format("1"), parent="base")
    small_chain.build().expect()
    assert told() == {}
    small_chain.tier("one", tasks.format("other"), parent="base")
    small_chain.build("--check").expect()
    assert told() == {"stale": 1}
    assert "role one/tasks/main.yml changed" in (tmp_path / "report/tiers/one.html").read_text()
    small_chain.tier("one", "- name: Break it\n  ansible.builtin.command: {cmd: /bin/false}\n", parent="base")
    small_chain.tier("two", tasks.format("2"), parent="one")
    small_chain.build().expect(2)
    assert told() == {"failed": 1, "not_reached": 1}
    assert "Break it" in (tmp_path / "report/index.html").read_text()
    assert "not reached" in (tmp_path / "report/tiers/two.html").read_text()


def test_a_repository_of_a_registry(registry, demo, engine, tmp_path):
    """A tier alone, without what it stands on."""
    name = f"{registry}/twtest-report"
    demo["corebuild"].tag(name, "latest")
    try:
        engine.images.push(name, tag="latest")
        told = report(tmp_path / "report", "--no-outdated", "--in", f"docker://{name}")
    finally:
        engine.images.remove(f"{name}:latest")
    assert (told["tiers"], told["chain"]) == (1, "wordpress")
