"""The pages of a report: complete, reproducible, and safe whatever text images contain."""

from __future__ import annotations

import base64
import hashlib
import posixpath
import re
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace

import made_chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployed_service import DeployedSites
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.build_memory import remember_left_out
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.records import encode
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.pages import Pages
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.status import (
    Followed,
    read_status,
    status_file,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.run_records import (
    RunOutcome,
    begin_run,
    end_run,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.watch.survey import WorkKind, WorkNeed
from made_images import digest

from .test_overview import SERVICE

EVIL = "<script>alert(1)</script>"
HOSTILE = {
    "base": (None, 'ops"><img src=x onerror=alert(1)>'),
    EVIL: ("base", "</title><svg onload=alert(1)>"),
    "javascript:alert(1)": (EVIL, "\u202eevil\x1b[2J"),
    "{{ 7 * 7 }}": ("javascript:alert(1)", "{% raw %}"),
    "'; DROP": ("{{ 7 * 7 }}", "&lt;b&gt;"),
}
#: The pages that are not about one tier.
GENERAL = ("index", "tiers", "tests", "releases", "outdated", "deployed", "custody", "matrix", "waste")
#: All elements that pages may have.
ELEMENTS = re.compile(
    "html|head|meta|title|link|style|body|a|header|p|nav|main|section|h1|h2|h3|ul|li|b|span|div|figure|figcaption|svg|desc|g|path|"
    "rect|text|table|thead|tbody|tr|th|td|footer|time|script|details|summary|dl|dt|dd|ol|code|pre|br"
)


class Page(HTMLParser):
    """A page as a browser reads it."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.links, self.words, self.inline = [], [], [], {"style": [], "script": []}
        self.attributes = set()
        self.ids = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes |= {name for name, _ in attrs}
        values = dict(attrs)
        if "href" in values:
            self.links.append(values["href"])
        if "id" in values:
            self.ids.append(values["id"])
        if values.get("http-equiv"):
            self.policy = values["content"]
        if tag in self.inline:
            self.inline[tag].append("")

    def handle_data(self, data):
        if self.lasttag in self.inline and self.cdata_elem:
            self.inline[self.lasttag][-1] += data
        self.words.append(data)


@pytest.fixture
def pages(facts):
    def render(*arguments, **options):
        return dict(Pages(facts(*arguments, **options)).render())

    return render


@pytest.fixture
def full(pages):
    """The pages of a chain with all kinds of records."""
    made_chain.write_status(failed={"wordpress": "it broke\nin two lines"}, stale={"mariadb": "x changed"})
    made_chain.write_matrices()
    made_chain.write_tests()
    return pages(archives=lambda _line: None)


def test_all_pages_exist(full):
    assert sorted(full) == sorted(
        [
            *(f"{name}.html" for name in GENERAL),
            *(f"tiers/{tier}.html" for tier in made_chain.TIERS),
        ]
    )


def test_the_same_facts_give_the_same_bytes(full, pages):
    assert pages(archives=lambda _line: None) == full


def test_every_link_has_a_target(full):
    for name, text in full.items():
        page = Page(text)
        assert len(page.ids) == len(set(page.ids)), name
        for link in page.links:
            target, _, part = link.partition("#")
            if link.startswith("data:image/svg+xml,"):
                continue
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), target)) if target else name
            assert path in full, (name, link)
            assert not part or part in Page(full[path]).ids, (name, link)


def test_states_and_reasons_are_shown(full):
    index = Page(full["index.html"])
    words = "".join(index.words)
    for expected in ("wordpress", "failed", "not reached", "stale", "x changed", "failure on variants"):
        assert expected in words
    assert "wordpress: 1 of 3 tests fail" in words
    assert "it broke\nin two lines" in "".join(Page(full["tiers/wordpress.html"]).words)
    assert "up to date" in "".join(Page(full["tiers/httpd-php.html"]).words)


def test_a_browser_may_load_only_the_report_s_own_styles_and_scripts(full):
    for name, text in full.items():
        page = Page(text)
        allowed = dict(rule.split(" ", 1) for rule in page.policy.split("; "))
        assert allowed["default-src"] == "'none'"
        for kind in ("style", "script"):
            digests = {
                base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() for content in page.inline[kind]
            }
            assert digests <= set(re.findall(r"'sha256-([^']+)'", allowed[f"{kind}-src"])), (name, kind)
        assert (
            not {attribute for attribute in page.attributes if attribute.startswith("on")}
            | {"style", "src"} & page.attributes
        )
        outside = re.findall(r"https?://[^\s\"'<]+", text)
        assert set(outside) <= {"http://www.w3.org/2000/svg"}, name


def test_hostile_names_are_shown_as_text(pages):
    made_chain.write_status(HOSTILE, failed={EVIL: f"{EVIL}\n\x1b[31m</pre>{EVIL}"}, stale={"base": EVIL})
    made_chain.write_matrices(HOSTILE)
    made_chain.write_tests(HOSTILE, failed={EVIL: f"{EVIL}\n\x1b[31m</pre>{EVIL}"})
    note = f"{EVIL}\x1b[2J"
    service = replace(SERVICE, site=EVIL, service=EVIL, problem=note, release=EVIL, chosen_by=f"{EVIL}:latest")
    output = pages(HOSTILE, deployed=lambda: DeployedSites([replace(service, running=1)], [note]))
    assert EVIL in "".join(Page(output["deployed.html"]).words)
    assert EVIL in "".join(Page(output["tests.html"]).words)
    # A history entry cannot name a tier with a colon: its image is shown in addition, as one that is not a tier.
    assert len(output) == len(GENERAL) + len(HOSTILE) + 1
    for name, text in output.items():
        page = Page(text)
        assert all(map(ELEMENTS.fullmatch, page.elements)), name
        assert page.elements.count("script") == 2
        assert not {attribute for attribute in page.attributes if attribute.startswith("on")}
        assert all(re.match(r"(#|data:image/svg|[a-z0-9./-]+\.html)", link) for link in page.links), name
        assert not set("\x1b\u202e") & set(text), name
        assert "49" not in re.findall(r">(\d+)<", text)
    words = "".join(Page(output["index.html"]).words)
    for tier in HOSTILE:
        assert tier in words
    assert r"\u202eevil\x1b[2J" in words


def test_the_page_of_a_tier_shows_its_rules_and_what_the_seal_left_out(pages):
    image = made_chain.images(made_chain.TIERS)["httpd-php:latest"]
    remember_left_out(digest(image[1][-1]), ["left out: /var/log/<b>it</b> (logs)"])
    made_chain.write_tests()
    page = Page(pages()["tiers/httpd-php.html"])
    words = " ".join(" ".join(page.words).split())
    for part in ("tests", "protected", "configuration", "left-out", "layers", "packages", "releases"):
        assert part in page.ids
        assert f"#{part}" in page.links
    assert "/etc/corebuild corebuild operations" in words
    assert 'command ["/usr/sbin/httpd-php", "--foreground"] this tier' in words
    assert "variable PATH /usr/bin:/bin its parent" in words
    assert "left out: /var/log/<b>it</b> (logs)" in words
    assert "contract of corebuild" in words
    assert "Why it was built the first release" in words


def test_images_without_teams_and_records_have_pages(pages):
    output = pages({"one": (None, ""), "two": ("one", "")}, chain="")
    assert "2 images" in " ".join("".join(Page(output["index.html"]).words).split())


def test_a_followed_tier_shows_where_it_comes_from(pages):
    made_chain.write_status()
    status = read_status(made_chain.NAME)
    follows = Followed("r.example.org/ops/corebuild:stable", "sha256:0123456789abcdef", "sha256:1")
    status["corebuild"] = replace(status["corebuild"], follows=follows)
    status_file(made_chain.NAME).write_text(encode(status))
    words = " ".join(Page(pages()["tiers/corebuild.html"]).words)
    assert "r.example.org/ops/corebuild:stable" in words
    assert "0123456789ab" in words
    assert "Based on base" in " ".join(words.split())


def test_runs_of_watchers_are_shown(pages):
    need = WorkNeed(WorkKind.FOLLOW, made_chain.NAME, {"base": "sha256:1"})
    end_run(begin_run(need, ["base: <b>stable</b> is 2"], ["chain.yml"]), RunOutcome.REJECTED, "web failed its tests")
    begin_run(replace(need, kind=WorkKind.DEPLOY, about="shop"), ["web runs 1"], ["site.yml"])
    begin_run(replace(need, about="another chain"), [], ["other.yml"])
    text = pages()["index.html"]
    words = " ".join("".join(Page(text).words).split())
    assert "base: <b>stable</b> is 2" in words
    assert "rejected: web failed its tests" in words
    assert "deploy shop" in words
    assert "goes on" in words
    assert "another chain" not in words
