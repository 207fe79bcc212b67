"""The documentation as a site: it is built without a warning, and works in a browser that opens it from a file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page, sync_playwright

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
CHROMIUM = "/usr/bin/chromium"
WIDE, PHONE = 1280, 360
#: Attributes of elements that a browser loads by itself.
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
#: Relations of `link` that a browser does not load.
NOT_LOADED = {"index", "search", "next", "prev", "canonical", "author", "copyright", "genindex", "top", "up"}


@pytest.fixture(autouse=True)
def nothing_is_left() -> None:
    """These tests use no engine, so they do not look at what it holds."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("documentation") / "site"
    command = [sys.executable, ROOT / "docs/site/build.py", folder]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, BeautifulSoup]:
    return {path: BeautifulSoup(path.read_text(), "html.parser") for path in sorted(site.rglob("*.html"))}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    rootless = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=rootless)
        yield browser
        browser.close()


@contextmanager
def open_page(browser: Browser, width: int = WIDE, scheme: Any = "light") -> Iterator[Page]:
    """A page that must log nothing, and request nothing but files."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    complaints: list[str] = []
    requests: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"{request.url}: {request.failure}"))
    page.on("request", lambda request: requests.append(request.url))
    try:
        yield page
        assert complaints == []
        assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    finally:
        context.close()


def test_every_link_inside_the_site_has_a_target(site, pages):
    ids = {path: {element["id"] for element in page.find_all(id=True)} for path, page in pages.items()}
    broken = []
    for path, page in pages.items():
        names = [link["href"] for link in page.find_all("a", href=True)]
        names += [
            it[key] for it in page.find_all(["img", "source", "script"]) for key in ("src", "srcset") if it.get(key)
        ]
        for url in map(urlsplit, names):
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            if url.scheme or url.netloc or (not url.path and url.fragment in {"", "top"}):
                continue
            if not target.is_file() or (url.fragment and unquote(url.fragment) not in ids.get(target, {url.fragment})):
                broken.append((str(path.relative_to(site)), url.geturl()))
    assert len(pages) > 50
    assert broken == []


def test_no_page_loads_anything_from_elsewhere(site, pages):
    elsewhere = [
        (str(path.relative_to(site)), element[attribute])
        for path, page in pages.items()
        for name, attribute in LOADED.items()
        for element in page.find_all(name, **{attribute: True})
        if not NOT_LOADED & set(element.get("rel", ())) and urlsplit(element[attribute]).netloc
    ]
    assert elsewhere == []
    assert [
        path for path in site.rglob("*.css") if "url(http" in path.read_text() or "@import" in path.read_text()
    ] == []


def test_a_word_is_found_without_a_server_or_a_network(browser, site):
    with open_page(browser) as page:
        page.goto((site / "index.html").as_uri())
        page.wait_for_url("**/docs/index.html")
        page.get_by_role("textbox", name="Search").fill("tier_protects")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search.html?*")
        results = page.locator("#search-results ul.search a")
        results.first.wait_for()
        assert "Variables of a tier" in " ".join(results.all_text_contents())
        results.filter(has_text="Variables of a tier").first.click()
        page.wait_for_url("**/docs/variables.html*")
        assert page.get_by_role("heading", level=1).inner_text().startswith("Variables of a tier")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_diagrams_are_drawn(browser, site, scheme):
    with open_page(browser, scheme=scheme) as page:
        page.goto((site / "docs/registry.html").as_uri())
        page.locator("pre.mermaid svg").first.wait_for()
        assert page.locator("pre.mermaid").count() == page.locator("pre.mermaid svg").count()
        assert "corebuild:candidate" in page.locator("pre.mermaid svg").first.text_content()


def test_every_page_opens_on_a_phone_and_fits(browser, site, pages):
    with open_page(browser, PHONE) as page:
        # The index at the top is a redirect to one of these pages.
        wide = []
        for path in pages.keys() - {site / "index.html"}:
            page.goto(path.as_uri(), wait_until="load")
            if page.evaluate("document.documentElement.scrollWidth") > PHONE:
                wide.append(path.name)
        assert wide == []


@pytest.mark.parametrize(("name", "scheme"), [("index", "light"), ("registry", "light"), ("registry", "dark")])
def test_pages_are_accessible(browser, site, name, scheme):
    with open_page(browser, scheme=scheme) as page:
        page.goto((site / f"docs/{name}.html").as_uri())
        found = Axe().run(page, options={"preload": False}).response["violations"]
        serious = [violation for violation in found if violation["impact"] in {"serious", "critical"}]
        assert [(it["id"], [node["html"][:120] for node in it["nodes"]][:3]) for it in serious] == []
