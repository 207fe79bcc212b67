"""The report in a real browser, on a desktop, on a phone, on paper, and by keyboard."""

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
from playwright.sync_api import Browser, Page, expect, sync_playwright

import made_chain
from signed_chain import SignedChain

from .conftest import BIN

pytestmark = pytest.mark.once

CHROMIUM = "/usr/bin/chromium"
WIDE, PHONE = 1280, 360
SIGNED_PAGES = ("custody.html", "tiers/httpd-php.html")


def report(folder: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    """Write a report; return what the command prints."""
    command = [BIN / "tierwright", "report", "-o", folder, "--json", *arguments]
    process = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    result: dict[str, Any] = json.loads(process.stdout)
    return result


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    rootless = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=rootless)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def hand_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a hand-made chain in which one tier failed, one is stale, and one variant does not work."""
    folder: Path = tmp_path_factory.mktemp("made")
    place = made_chain.write_layout(folder / "layout", releases=3)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        made_chain.write_status(
            failed={"wordpress": "Install it: no\nsuch package"}, stale={"mariadb": "a variable changed"}
        )
        made_chain.write_tests(releases=3, failed={"wordpress": "assert 500 == 200\n  where 500 = status"})
        made_chain.write_matrices()
        result = report(folder / "report", "--in", place)
    assert (result["tiers"], result["failed"], result["stale"]) == (6, 1, 1)
    return folder / "report"


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a signed chain, in which the wrong team signed one tier."""
    folder: Path = tmp_path_factory.mktemp("signed")
    chain = SignedChain()
    chain["httpd-php"].bundles = []
    chain.sign("httpd-php", "dan")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
        place = chain.write(folder / "layout")
    policy, key = chain.write_policy(folder)
    state = {"XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache")}
    options = ["--in", place, "--policy", str(policy), "--policy-key", str(key), "--no-outdated"]
    report(folder / "report", *options, **state)
    return folder / "report"


@pytest.fixture(scope="module")
def demo_report(demo: dict[str, Any], environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the demo chain, from the engine."""
    folder: Path = tmp_path_factory.mktemp("demo") / "report"
    # A separate state folder: earlier runs may have recorded a status of the demo.
    own_state = {**environment, "XDG_STATE_HOME": str(tmp_path_factory.mktemp("state"))}
    result = report(folder, "wordpress", "--no-outdated", **own_state)
    assert (result["chain"], result["tiers"], result["failed"], result["stale"]) == ("wordpress", len(demo), 0, 0)
    return folder


@contextmanager
def open_page(browser: Browser, width: int = WIDE, scheme: Any = "light") -> Iterator[Page]:
    """A page that must log nothing, and request nothing except documents of the report."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    complaints: list[str] = []
    requests: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url) if request.resource_type != "document" else None)
    try:
        yield page
        assert complaints == []
        assert [url for url in requests if not url.startswith("data:")] == []
    finally:
        context.close()


def html_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.html"))


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_every_page_opens_and_fits(browser, hand_made, signed, demo_report, width):
    with open_page(browser, width) as page:
        for path in (*html_files(hand_made), *html_files(demo_report), *(signed / name for name in SIGNED_PAGES)):
            page.goto(path.as_uri())
            assert page.locator("h1").count() == 1, path
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_the_report_can_be_served_over_http(browser, hand_made):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=hand_made))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with open_page(browser) as page:
            page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
            page.get_by_role("link", name="Compatibility", exact=True).click()
            assert page.url.endswith("/matrix.html")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(browser, hand_made, signed, width, scheme):
    with open_page(browser, width, scheme) as page:
        for path in (*html_files(hand_made), *(signed / name for name in SIGNED_PAGES)):
            page.goto(path.as_uri())
            violations = Axe().run(page).response["violations"]
            serious = [
                (violation["id"], [node["html"] for node in violation["nodes"]])
                for violation in violations
                if violation["impact"] in {"serious", "critical"}
            ]
            assert serious == [], path


def focused_link(page: Page) -> tuple[str, str]:
    """The target of the link that has the focus, and its name for screen readers."""
    attributes = page.evaluate(
        "[document.activeElement.getAttribute('href') ?? '', document.activeElement.getAttribute('aria-label') ?? '']"
    )
    return attributes[0], attributes[1]


def test_the_boxes_of_the_picture_can_be_reached_by_keyboard(browser, hand_made):
    with open_page(browser) as page:
        page.goto((hand_made / "index.html").as_uri())
        boxes: dict[str, str] = {}
        for _ in range(60):
            page.keyboard.press("Tab")
            link, label = focused_link(page)
            if link and label:
                boxes.setdefault(link, label)
        assert sorted(boxes) == sorted(f"tiers/{tier}.html" for tier in made_chain.TIERS)
        assert boxes["tiers/wordpress.html"] == "wordpress, development, failed, based on httpd-php"
        page.reload()
        for _ in range(60):
            page.keyboard.press("Tab")
            if focused_link(page) == ("tiers/wordpress.html", boxes["tiers/wordpress.html"]):
                break
        page.keyboard.press("Enter")
        page.wait_for_url("**/tiers/wordpress.html")
        assert "no\nsuch package" in page.locator(".why").inner_text()


def test_on_a_phone_rows_are_cards_and_the_picture_is_a_list(browser, hand_made):
    with open_page(browser, PHONE) as page:
        page.goto((hand_made / "index.html").as_uri())
        row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="wordpress", exact=True))
        cells = row.get_by_role("cell")
        assert cells.first.inner_text() == "✕ failed"
        assert cells.first.get_attribute("data-label") == "State"
        boxes = [cell.bounding_box() for cell in cells.all()[:3]]
        assert boxes[0]["y"] < boxes[1]["y"] < boxes[2]["y"]
        assert not page.locator(".tw-picture").first.is_visible()
        assert page.locator(".tree a").all_inner_texts() == list(made_chain.TIERS_IN_ORDER)
        page.get_by_role("button", name="State").click()
        expect(page.locator("#tiers ~ .scroll tbody th").first).to_have_text("wordpress")


def test_without_scripts_a_phone_shows_tables_that_scroll(browser, hand_made):
    context = browser.new_context(viewport={"width": PHONE, "height": 800}, java_script_enabled=False)
    page = context.new_page()
    page.goto((hand_made / "index.html").as_uri())
    frame = page.locator("#tiers ~ .scroll").first.bounding_box()
    table = page.locator("#tiers ~ .scroll table").first.bounding_box()
    context.close()
    assert frame["width"] <= PHONE < table["width"]


def test_the_first_page_answers_and_leads_to_what_it_counts(browser, hand_made):
    with open_page(browser) as page:
        page.goto((hand_made / "index.html").as_uri())
        answers = dict(text.split("\n")[:2] for text in page.locator(".answers li").all_inner_texts())
        assert answers["Released"] == "6 of 6 tiers"
        assert answers["Tests"] == "1 of 32 failed"
        page.locator(".answers").get_by_text("1 of 32 failed").click()
        assert page.url.endswith("tests.html#failed")
        assert "where 500 = status" in page.locator("#failed ~ .attention").inner_text()
        page.locator("#failed ~ .attention a").first.click()
        assert page.url.endswith("tiers/wordpress.html#tests")
        for link in page.locator(".figures a").all():
            target = page.locator(str(link.get_attribute("href")))
            assert target.count() == 1, link.inner_text()


def test_the_first_tab_stop_skips_to_the_content(browser, hand_made):
    with open_page(browser) as page:
        page.goto((hand_made / "index.html").as_uri())
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.url.endswith("#main")


def test_tables_can_be_sorted_by_keyboard(browser, hand_made):
    with open_page(browser) as page:
        page.goto((hand_made / "index.html").as_uri())
        first = page.locator("#tiers ~ .scroll tbody tr").first
        head = page.get_by_role("columnheader", name="State")
        head.get_by_role("button").focus()
        page.keyboard.press("Enter")
        page.wait_for_function("document.querySelector('th[aria-sort]') !== null")
        assert head.get_attribute("aria-sort") == "ascending"
        expect(first.locator("th")).to_have_text("wordpress")  # rows move a moment later
        page.get_by_role("columnheader", name="Released since").get_by_role("button").focus()
        page.keyboard.press("Space")
        page.wait_for_function("document.querySelectorAll('th[aria-sort]').length === 1")


def test_long_tables_can_be_searched(browser, demo_report):
    with open_page(browser) as page:
        page.goto((demo_report / "tiers/wordpress.html").as_uri())
        page.get_by_text("that are installed").click()
        field = page.get_by_label("Find packages")
        field.fill("php8 mysql")
        rows = page.locator("#packages ~ details tbody tr:visible")
        assert [row.split("\t")[0] for row in rows.all_inner_texts()] == ["php8.2-mysql:amd64"]
        assert rows.first.locator("td").last.inner_text() == "httpd-php"
        assert page.locator("output").inner_text().startswith("1 of ")
        field.fill("")
        assert rows.count() > 200


def test_the_tiers_of_the_demo_are_listed(browser, demo_report):
    with open_page(browser) as page:
        page.goto((demo_report / "index.html").as_uri())
        listed = page.locator("#tiers ~ .scroll").first.locator("tbody th").all_inner_texts()
        assert listed == ["base", "corebuild", "haproxy", "httpd-php", "wordpress", "mariadb"]
        page.locator("svg a").filter(has_text="wordpress").click()
        layers = page.locator("#layers ~ .scroll").first.locator("tbody th").all_inner_texts()
        assert layers == ["base", "corebuild", "httpd-php", "wordpress"]


def test_print_is_black_on_white(browser, hand_made):
    with open_page(browser, scheme="dark") as page:
        page.emulate_media(media="print", color_scheme="light")
        page.goto((hand_made / "index.html").as_uri())
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        assert not page.locator("header nav").is_visible()


def test_the_next_report_shows_stale_and_failed_tiers(small_chain, environment, tmp_path):
    """From the plan and the run, through the status that they record, to the page."""
    tasks = '- name: Write\n  ansible.builtin.copy: {{content: "{}", dest: /etc/it, mode: "0644"}}\n'

    def counts() -> dict[str, int]:
        result = report(tmp_path / "report", small_chain.name, "--no-outdated", **environment)
        return {state: result[state] for state in ("stale", "failed", "not_reached") if result[state]}

    small_chain.tier("one", tasks.format("1"), parent="base")
    small_chain.build().expect()
    assert counts() == {}
    small_chain.tier("one", tasks.format("other"), parent="base")
    small_chain.build("--check").expect()
    assert counts() == {"stale": 1}
    assert "role one/tasks/main.yml changed" in (tmp_path / "report/tiers/one.html").read_text()
    small_chain.tier("one", "- name: Break it\n  ansible.builtin.command: {cmd: /bin/false}\n", parent="base")
    small_chain.tier("two", tasks.format("2"), parent="one")
    small_chain.build().expect(2)
    assert counts() == {"failed": 1, "not_reached": 1}
    assert "Break it" in (tmp_path / "report/index.html").read_text()
    assert "not reached" in (tmp_path / "report/tiers/two.html").read_text()


def test_a_report_about_a_repository_of_a_registry(registry, demo, engine, tmp_path):
    """One tier, without its ancestors."""
    name = f"{registry}/twtest-report"
    demo["corebuild"].tag(name, "latest")
    try:
        engine.images.push(name, tag="latest")
        result = report(tmp_path / "report", "--no-outdated", "--in", f"docker://{name}")
    finally:
        engine.images.remove(f"{name}:latest")
    assert (result["tiers"], result["chain"]) == (1, "wordpress")
