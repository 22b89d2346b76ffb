"""The console in a real Chromium: what people do with it, on a telephone and on a desk."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PHOTOS
from tests.patience import PATIENCE_S
from tests.web.house import PASSWORD
from tests.web.real import Porch, a_porch

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")

SIZES = {"telephone": (390, 844), "desk": (1280, 800)}
NEW = PHOTOS / "eileen-collins.jpg"
PAGES = ["/", "/visits", "/people", "/people/add", "/people/alike", "/recognise", "/health",
         "/account"]  # fmt: skip


@pytest.fixture(scope="module")
def at_porch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Porch]:
    with a_porch(tmp_path_factory.mktemp("porch")) as made:
        yield made


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the browser's own camera shows: somebody who is not enrolled yet."""
    import cv2

    picture = cv2.imread(str(NEW))
    height, width = (4 * side // 5 for side in picture.shape[:2])
    picture = picture[:height, width // 8 : width // 8 + width]  # near enough to be enrolled
    scale = min(640 / picture.shape[1], 480 / picture.shape[0])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    frame = cv2.copyMakeBorder(
        small, 0, 480 - small.shape[0], 0, 640 - small.shape[1], cv2.BORDER_CONSTANT
    )
    file = tmp_path_factory.mktemp("film") / "camera.mjpeg"
    file.write_bytes(cv2.imencode(".jpg", frame)[1].tobytes())
    return file


@pytest.fixture(scope="module")
def chromium(film: Path) -> Iterator[Any]:
    """Debian's, with a file for a camera."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium here")
    playwright.expect.set_options(timeout=PATIENCE_S * 1000)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", "--use-fake-ui-for-media-stream",
                  "--use-fake-device-for-media-stream",
                  f"--use-file-for-fake-video-capture={film}"],
        )  # fmt: skip
        yield browser
        browser.close()


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, chromium: Any, at_porch: Porch) -> Iterator[Any]:
    """A page in which nobody is logged in; whatever the browser complains of is a mistake."""
    width, height = SIZES[request.param]
    context = chromium.new_context(
        viewport={"width": width, "height": height}, base_url=at_porch.base, locale="en-GB"
    )
    context.set_default_timeout(PATIENCE_S * 1000)
    made, wrong = context.new_page(), []
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on(
        "console",
        lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None,
    )
    yield made
    context.close()
    assert wrong == []


def log_in(page: Any, name: str) -> None:
    page.goto("/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(re.compile("/$"))


def emptied(page: Any, at_porch: Porch) -> None:
    """Nobody is there for longer than from one visit to the next: ten pictures of nobody."""
    at_porch.show("nobody")
    playwright.expect(page.locator("#picture")).to_be_visible()
    playwright.expect(page.locator("#faces li")).to_have_count(0)
    page.evaluate(
        """() => new Promise((done) => {
            let left = 10;
            new MutationObserver(() => --left || done()).observe(
                document.getElementById("picture"), { attributeFilter: ["src"] });
        })"""
    )


def person(page: Any, name: str) -> Any:
    page.goto("/people")
    return page.locator("#people li").filter(has_text=name)


def forget(page: Any, name: str) -> None:
    person(page, name).get_by_role("link").click()
    page.get_by_role("button", name="Forget them").click()
    page.get_by_role("button", name="Yes").click()
    page.wait_for_url("**/people")


def test_somebody_who_walks_up_is_let_in_and_the_page_shows_it(page: Any, at_porch: Porch) -> None:
    log_in(page, "vic")
    emptied(page, at_porch)
    at_porch.show("known")
    playwright.expect(page.locator("#news li.new[data-type=access_granted]")).to_contain_text(
        "Barack Obama"
    )
    playwright.expect(page.locator("#faces li")).to_contain_text("Barack Obama")
    assert page.locator("#boxes .box.known").count() == 1
    at_porch.show("nobody")


def test_a_porter_opens_the_door_after_saying_that_they_mean_it(page: Any) -> None:
    log_in(page, "pia")
    state = page.locator("#state")
    playwright.expect(state).to_have_text("Locked")
    page.get_by_role("button", name="Unlock").click()
    page.get_by_role("button", name="Cancel").click()
    playwright.expect(state).to_have_text("Locked")
    page.get_by_role("button", name="Unlock").click()
    page.get_by_role("button", name="Yes").click()
    playwright.expect(state).to_have_text("Unlocked")
    playwright.expect(state).to_have_text("Locked")


def test_a_viewer_has_nothing_to_open_it_with(page: Any) -> None:
    log_in(page, "vic")
    assert page.get_by_role("button", name="Unlock").count() == 0
    told = page.evaluate(
        "() => api('POST', '/door/unlock').then(() => 'opened', (error) => error.message)"
    )
    assert told == "needs the role porter"


def test_somebody_is_enrolled_with_the_browsers_camera(page: Any) -> None:
    log_in(page, "ada")
    page.goto("/people/add")
    page.get_by_label("Name").fill("Eileen Collins")
    page.get_by_label("They agreed").check()
    page.get_by_role("button", name="Use this device's camera").click()
    page.get_by_role("button", name="Take a picture").click()
    playwright.expect(page.locator("#pictures li.good")).to_have_count(1)
    playwright.expect(page.locator("#hint")).to_have_text("Good")
    page.get_by_role("button", name="Enrol with these").click()
    page.wait_for_url(re.compile("/people/[0-9a-f-]{36}$"))
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("Eileen Collins")
    forget(page, "Eileen Collins")
    assert person(page, "Eileen Collins").count() == 0


def test_a_stranger_gets_a_name_by_a_click_and_is_known_from_then_on(
    page: Any, at_porch: Porch
) -> None:
    log_in(page, "ada")
    emptied(page, at_porch)
    at_porch.show("stranger")
    playwright.expect(page.locator("#news li.new[data-type=stranger]")).to_be_visible()
    page.locator("#strangers button").first.click()
    page.wait_for_url("**/people/add")
    playwright.expect(page.locator("#pictures li.good")).to_have_count(1)
    page.get_by_label("Name").fill("Eileen Collins")
    page.get_by_label("They agreed").check()
    page.get_by_role("button", name="Enrol with these").click()
    page.wait_for_url(re.compile("/people/[0-9a-f-]{36}$"))
    page.goto("/")
    playwright.expect(page.locator("#faces li")).to_contain_text("Eileen Collins")
    at_porch.show("nobody")
    forget(page, "Eileen Collins")


def test_a_photograph_is_recognised(page: Any) -> None:
    log_in(page, "pia")
    page.goto("/recognise")
    page.locator("#file").set_input_files(str(PHOTOS / "barack-obama.jpg"))
    playwright.expect(page.locator("#faces li")).to_contain_text("Barack Obama")
    page.locator("#file").set_input_files(str(NEW))
    playwright.expect(page.locator("#faces li")).to_contain_text("Stranger")


def test_visits_are_filtered_and_downloaded(page: Any, at_porch: Porch) -> None:
    log_in(page, "vic")
    emptied(page, at_porch)
    at_porch.show("known")
    playwright.expect(page.locator("#news li[data-type=access_granted]").first).to_be_visible()
    at_porch.show("nobody")
    page.goto("/visits")
    page.get_by_label("Kind").select_option("access_granted")
    page.get_by_label("Person").fill("barack obama")
    page.get_by_role("button", name="Show", exact=True).click()
    playwright.expect(page.locator("#visits li").first).to_contain_text("Barack Obama")
    playwright.expect(page.locator("#visits li:not([data-type=access_granted])")).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("link", name="As CSV").click()
    lines = Path(download.value.path()).read_text("utf-8").splitlines()
    assert lines[0].startswith("utc,type,person")
    assert all(",access_granted,Barack Obama," in line for line in lines[1:])


def test_the_keyboard_is_enough(page: Any) -> None:
    page.goto("/login")
    page.keyboard.type("pia")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/$"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.get_by_role("button", name="Unlock").focus()
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#ask")).to_be_visible()
    page.keyboard.press("Escape")
    playwright.expect(page.locator("#ask")).to_be_hidden()
    playwright.expect(page.locator("#state")).to_have_text("Locked")


def test_thresholds_are_shown_and_the_wiring_is_tried_with_the_strike_off(page: Any) -> None:
    log_in(page, "ada")
    page.goto("/health")
    page.get_by_role("button", name="Compare").click()
    playwright.expect(page.locator("#thresholds-said")).to_contain_text("Templates")
    assert page.locator("#histogram rect").count() == 48
    assert page.locator("#histogram line.accept").count() == 1
    tried, relay = page.get_by_role("button", name="Switch the relay once"), "#relay-seen"
    playwright.expect(tried).to_be_disabled()
    page.get_by_label("The strike is disconnected.").check()
    tried.click()
    page.get_by_role("button", name="Cancel").click()
    playwright.expect(page.locator(relay)).to_have_text("off, locked")
    tried.click()
    page.get_by_role("button", name="Yes").click()
    playwright.expect(page.locator(relay)).to_have_text("on, unlocked")
    playwright.expect(page.locator("#wiring-seen li").first).to_contain_text("unlock by ada@")
    playwright.expect(page.locator(relay)).to_have_text("off, locked")
    playwright.expect(tried).to_be_disabled()
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_visitor_gets_a_pass_to_the_minute(page: Any) -> None:
    log_in(page, "ada")
    person(page, "Joe Biden").get_by_role("link").click()
    page.get_by_label("Until, day").fill("2099-12-31")
    page.get_by_label("Until, time").fill("17:00")
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    playwright.expect(page.get_by_label("Until, time")).to_have_value("17:00")
    playwright.expect(person(page, "Joe Biden")).to_contain_text("until 2099-12-31 17:00")
    person(page, "Joe Biden").get_by_role("link").click()
    page.get_by_label("Until, time").fill("")
    page.get_by_label("Until, day").fill("")
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    playwright.expect(page.get_by_label("Until, day")).to_have_value("")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_anybodys_way(page: Any, at_porch: Porch, scheme: str) -> None:
    """Axe finds nothing, and no page is wider than its screen."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.emulate_media(color_scheme=scheme)
    page.goto("/login")
    found = {"/login": axe.run(page).response["violations"]}
    log_in(page, "ada")
    person(page, "Joe Biden").get_by_role("link").click()
    page.wait_for_url(re.compile("/people/[0-9a-f-]{36}$"))
    for path in [*PAGES, page.url]:
        page.goto(path)
        if path == "/":
            playwright.expect(page.locator("#picture")).to_be_visible()
        if path == "/people/alike":
            playwright.expect(page.locator("#pairs")).to_be_visible()
        found[path] = axe.run(page).response["violations"]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    told = {
        path: [(one["id"], one["nodes"][0]["html"]) for one in wrong]
        for path, wrong in found.items()
        if wrong
    }
    assert told == {}


def test_the_doors_screen_greets_and_shows_no_strangers_likeness(
    page: Any, at_porch: Porch
) -> None:
    log_in(page, "vic")
    emptied(page, at_porch)
    page.goto("/kiosk")
    text, listens = page.locator("#text"), page.locator("body[data-sign=idle]")
    playwright.expect(listens).to_be_visible()
    playwright.expect(text).to_have_text("Please look at the camera")
    at_porch.show("known")
    playwright.expect(text).to_have_text("Welcome, Barack Obama")
    page.goto("/")
    emptied(page, at_porch)
    page.goto("/kiosk")
    playwright.expect(listens).to_be_visible()
    at_porch.show("stranger")
    playwright.expect(text).to_have_text("You cannot be let in just now")
    assert page.locator("img, video, canvas").count() == 0
    at_porch.show("nobody")
