"""The page in a real browser: what it shows is what the command line says."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.services import Running
from tarn.inference.predictor import Predictor

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
WORDS = ("--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=list(WORDS))
        yield found
        found.close()


@pytest.fixture(params=["light", "dark", "phone"])
def page(request: pytest.FixtureRequest, browser: Any, service: Running) -> Iterator[Any]:
    """That has said nothing wrong to the console, and asked nobody but the service."""
    size = {"width": 390, "height": 844} if request.param == "phone" else {"width": 1100, "height": 760}
    scheme = "dark" if request.param == "dark" else "light"
    context = browser.new_context(viewport=size, color_scheme=scheme, permissions=["camera"])
    found, wrong = context.new_page(), list[str]()
    found.on("console", lambda message: wrong.append(message.text) if is_fault(message) else None)
    found.on("pageerror", lambda error: wrong.append(str(error)))
    found.on("request", lambda it: None if it.url.startswith((service.url, "blob:")) else wrong.append(it.url))
    found.goto(service.url)
    found.wait_for_selector("#samples button img")
    yield found
    context.close()
    assert wrong == []


def is_fault(message: Any) -> bool:
    """Of the page; that the service has refused a picture is none."""
    return message.type == "error" and "422" not in message.text


def shown(page: Any) -> list[str]:
    page.wait_for_selector("#guesses li")
    return [re.sub(r"\n.*", "", text) for text in page.locator("#guesses li").all_inner_texts()]


def names_of(model: Path, picture: Path) -> list[str]:
    found: Any = Predictor.load(model, "cpu").predict(picture)
    return [guess.name for guess in found.guesses]


def test_samples_and_uploads_are_told_as_the_command_line_does(page: Any, model: Path, photographs: list[Path]) -> None:
    page.click(f"#samples button:has(img[alt='Sample {photographs[1].name}'])")
    assert shown(page) == names_of(model, photographs[1])
    page.set_input_files("#choose", photographs[2])
    page.wait_for_selector(f"#shown[alt='The picture {photographs[2].name}']")
    assert shown(page) == names_of(model, photographs[2])
    page.click("#why")
    page.wait_for_selector("#why[aria-pressed=true]")
    assert page.locator("#shown.heat").count() == 1
    page.click("#why")
    page.wait_for_selector("#why[aria-pressed=false]")
    assert page.locator("#shown.heat").count() == 0


def test_a_photograph_is_taken_and_what_is_no_picture_is_told(page: Any, tmp_path: Path) -> None:
    page.click("#camera")
    page.wait_for_timeout(300)
    page.click("#shoot")
    assert len(shown(page)) == 5
    (tmp_path / "text.jpg").write_text("no picture")
    page.set_input_files("#choose", tmp_path / "text.jpg")
    page.wait_for_selector("#state.wrong")
    assert "text.jpg" in page.inner_text("#state")
    assert page.locator("#guesses:visible").count() == 0


def test_it_can_be_used_by_keyboard_and_fits_its_window(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.locator("a.skip:focus").count() == 1
    reached = set()
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.add(page.locator("html").evaluate("() => document.activeElement.id || document.activeElement.tagName"))
    assert {"choose", "camera", "BUTTON", "SUMMARY"} <= reached
    page.locator("#samples button").first.focus()
    page.keyboard.press("Enter")
    assert len(shown(page)) == 5
    assert page.locator("#state").get_attribute("aria-live") == "polite"
    wide, window = page.locator("html").evaluate("it => [it.scrollWidth, it.clientWidth]")
    assert wide <= window


def test_what_the_model_is_can_be_read_and_what_it_cannot_do_is_not_offered(browser: Any, service: Running) -> None:
    page = browser.new_page()

    def as_onnx(route: Any) -> None:
        told = route.fetch().json()
        route.fulfill(json=told | {"explains": False, "provenance": {"val_top1": 0.7554, "step": 7}})

    page.route("**/model", as_onnx)
    page.goto(service.url)
    page.wait_for_selector("#samples button img")
    page.click("#samples button >> nth=0")
    assert len(shown(page)) == 5
    assert page.locator("#why:visible").count() == 0
    page.click("#card summary")
    told = page.inner_text("#card dl").split("\n")
    assert told[told.index("top-1") + 1] == "75.5 %"
    page.close()
