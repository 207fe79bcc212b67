"""Takes the pictures of the report that docs/report.md shows: `python tests/report_pictures.py`.

They show made-up chains: one in which all is well, one that needs attention, and one with 300 tiers. Each is taken on a
wide screen and on a phone, in light and in dark colours. Chromium writes them as WebP.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from playwright.sync_api import Browser, sync_playwright

import made_chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.deployed_service import (
    DeployedService,
    DeployedSites,
    OutdatedLayer,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.build_memory import remember_left_out
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.packages.outdated_packages import (
    ComparedArchive,
    Outdated,
    Rebuild,
    Update,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.gathering import Asking, gather
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.model import Facts
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.output_folder import publish
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.report.pages import Pages
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import state_folder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image import LayerInfo
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.transport import open_place
from made_images import digest

OUTPUT = Path(__file__).parents[1] / "docs/pictures"
CHROMIUM = "/usr/bin/chromium"
MADE = "2026-11-24T12:00:00Z"
#: Width, height and pixels per CSS pixel of each screen.
SCREENS = {"wide": (1280, 900, 1), "phone": (360, 720, 2)}
QUALITY = 60
TIERS = {
    **made_chain.TIERS,
    "haproxy": ("corebuild", "middleware"),
    "redis": ("corebuild", "middleware"),
    "python": ("corebuild", "middleware"),
    "orders": ("python", "development"),
    "search": ("python", "development"),
}
MESSAGE = "AssertionError: GET /wp-login.php answered 500, expected 200\n  in roles/wordpress/tests/test_site.py:41"
FAILED_TEST = "roles/wordpress/tests/test_site.py::test_0"
#: Pages that are taken: chain, name of the picture, and page.
PAGES = (
    ("green", "green", "index.html"),
    ("failing", "failing", "index.html"),
    ("failing", "tier", "tiers/wordpress.html"),
    ("large", "large", "index.html"),
)


def green_chain(folder: Path) -> Facts:
    """A chain in which everything is released, tested, and up to date."""
    made_chain.write_status(TIERS)
    made_chain.write_tests(TIERS, releases=5)
    return made_facts(folder, TIERS, 5, current=True)


def failing_chain(folder: Path) -> Facts:
    """A chain with a failed, an unreached and a stale tier, missing updates, and an old image that runs."""
    changed = {"wordpress": "role wordpress/tasks/main.yml changed", "mariadb": "role mariadb/templates/my.cnf changed"}
    made_chain.write_status(TIERS, failed={"wordpress": "1 of 7 tests fail"}, stale=changed)
    status = state_folder(made_chain.NAME) / "standing.json"
    failure = json.dumps(MESSAGE.partition("\n")[0])
    status.write_text(status.read_text().replace('"test_it"', f'"{FAILED_TEST}"').replace('"no"', failure))
    made_chain.write_tests(TIERS, releases=5, failed={"wordpress": MESSAGE})
    made_chain.write_matrices(TIERS)
    image = made_chain.images(TIERS, releases=1)["wordpress:latest"]
    remember_left_out(
        digest(image[1][-1]),
        [
            "left out: /var/log/wordpress/install.log by task 'Install it' (logs); if the image needs it, tier_keep",
            "left out: 14 files that any build leaves behind (docs/sealing.md)",
        ],
    )
    facts = made_facts(folder, TIERS, 5, current=False)
    return replace(facts, outdated=made_updates(facts))


def large_chain(folder: Path) -> Facts:
    """A chain of 300 tiers, some of which need attention."""
    tiers = made_chain.large(300)
    names = list(tiers)
    failed, stale = (names[88], names[201], names[282]), names[150:300:17]
    changed = {tier: f"role {tier}/tasks/main.yml changed" for tier in (*failed, *stale)}
    made_chain.write_status(tiers, failed=dict.fromkeys(failed, "1 of 9 tests fail"), stale=changed)
    made_chain.write_tests(tiers, failed=dict.fromkeys(failed, MESSAGE))
    return made_facts(folder, tiers, 1, current=True)


CHAINS = {"green": green_chain, "failing": failing_chain, "large": large_chain}


def made_facts(folder: Path, tiers: Mapping[str, tuple[str | None, str]], releases: int, *, current: bool) -> Facts:
    """Gather the facts about a made-up chain. Nothing is asked: what runs is made up, too."""
    location = made_chain.write_layout(folder / "layout", tiers, releases=releases).removeprefix("oci:")
    store = Store(folder / "store")
    last = list(tiers)[-1]
    names = ["mariadb", "wordpress"] if "wordpress" in tiers else [last]
    services = [service(tier, current=current or tier == "mariadb") for tier in names]
    asking = Asking(deployed=lambda: DeployedSites(services, []))
    facts = gather(open_place("oci", location, store), store, None, MADE, asking=asking)
    archives = [ComparedArchive("deb.example.org/debian bookworm main", security=False, signature="valid")]
    return replace(
        facts, place="the engine at unix:///var/run/docker.sock", outdated=Outdated([], archives, [], [], [])
    )


def service(tier: str, *, current: bool) -> DeployedService:
    """A service that runs an image of a tier."""
    return DeployedService(
        site="shop",
        service=tier,
        target="swarm",
        image=f"registry.example.org/team/{tier}@sha256:{'0' * 64}",
        chosen_by=f"{tier}:latest",
        config=None,
        deployment=None,
        since="2026-11-24T10:05:00Z" if current else "2026-11-19T15:00:00Z",
        running=2,
        wanted=2,
        state=None,
        problem=None,
        release=made_chain.RELEASES[0 if current else 1],
        current=current,
        outdated=[]
        if current
        else [OutdatedLayer("corebuild", "operations"), OutdatedLayer("wordpress", "development")],
    )


def made_updates(facts: Facts) -> Outdated:
    """Outdated packages of two tiers."""
    named = {tier.name: tier.content.layers[-1].layer for tier in facts.tiers if tier.content}
    core, php = named["corebuild"], named["httpd-php"]
    archive = ComparedArchive("deb.example.org/debian bookworm main", security=False, signature="valid")
    security = ComparedArchive(
        "deb.example.org/debian-security bookworm-security main", security=True, signature="valid"
    )
    updates = [
        made_update("openssl", "3.0.15-1~deb12u1", "3.0.17-1~deb12u3", security, core),
        made_update("libssl3", "3.0.15-1~deb12u1", "3.0.17-1~deb12u3", security, core),
        made_update("php8.2-cli", "8.2.26-1~deb12u1", "8.2.29-1~deb12u1", archive, php),
    ]
    rebuild = [Rebuild(core, 3, 2, ["corebuild", "httpd-php"])]
    return Outdated([], [archive, security], updates, rebuild, [])


def made_update(name: str, installed: str, newer: str, archive: ComparedArchive, owner: LayerInfo) -> Update:
    """An outdated package."""
    return Update(name, "amd64", installed, newer, archive.security, [archive.name], owner, [owner.called])


def take(browser: Browser, site: Path, name: str, page_name: str) -> Iterator[tuple[str, bytes]]:
    """Take a page on each screen in each scheme. Yield names and contents of files."""
    for screen, (width, height, scale) in SCREENS.items():
        for scheme in ("light", "dark"):
            options: dict[str, Any] = {"color_scheme": scheme, "device_scale_factor": scale}
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            page = context.new_page()
            page.goto((site / page_name).as_uri())
            clip = {"x": 0, "y": 0, "width": width, "height": page_height(page, height, screen), "scale": 1}
            answer = context.new_cdp_session(page).send(
                "Page.captureScreenshot",
                {"format": "webp", "quality": QUALITY, "clip": clip, "captureBeyondViewport": True},
            )
            context.close()
            yield f"report-{name}-{screen}-{scheme}.webp", base64.b64decode(answer["data"])


def page_height(page: Any, height: int, screen: str) -> int:
    """Return how much of a page is shown: two screens of a phone, and a little more than one wide screen."""
    whole = int(page.evaluate("document.documentElement.scrollHeight"))
    return min(whole, height * 2 if screen == "phone" else height + 300)


def main() -> None:
    """Make the chains and their reports, and take the pictures."""
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        for chain, make in CHAINS.items():
            folder = Path(temporary, chain)
            os.environ["XDG_STATE_HOME"], os.environ["XDG_CACHE_HOME"] = str(folder / "state"), str(folder / "cache")
            facts = make(folder)
            publish(folder / "report", Pages(facts).render(), chain=facts.chain, made=facts.made)
            for page_chain, name, page_name in PAGES:
                if page_chain == chain:
                    for file, content in take(browser, folder / "report", name, page_name):
                        (output / file).write_bytes(content)
        browser.close()
    sizes = [path.stat().st_size for path in output.glob("report-*.webp")]
    sys.stdout.write(f"{output}: {len(sizes)} pictures, {sum(sizes) / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
