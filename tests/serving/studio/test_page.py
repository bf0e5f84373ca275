"""The studio in a real browser, wide and narrow."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import monet
from monet import archive
from tests.browser import browser, needs_browser, npm_package
from tests.conftest import picture
from tests.serving.studio.conftest import Started, studio
from tests.serving.test_paint import write_clip

pytestmark = needs_browser

WIDTHS = [(1280, False), (390, True)]


@contextlib.contextmanager
def opened(started: Started, folder: Path, width: int, phone: bool) -> Iterator[Any]:
    """A browser with the studio open, whose downloads go to a folder."""
    with browser(folder / "profile", width, phone=phone) as driver:
        place = {"behavior": "allow", "downloadPath": str(folder / "downloads")}
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", place)
        driver.set_script_timeout(60)
        driver.get(started.address)
        wait(lambda: driver.find_elements("css selector", "#paint"))
        yield driver


@pytest.fixture(params=WIDTHS, ids=["wide", "phone"])
def page(request: pytest.FixtureRequest, started: Started, tmp_path: Path) -> Iterator[Any]:
    with opened(started, tmp_path, *request.param) as driver:
        yield driver


@pytest.fixture
def wide(started: Started, tmp_path: Path) -> Iterator[Any]:
    """For what does not depend on the width."""
    with opened(started, tmp_path, *WIDTHS[0]) as driver:
        yield driver


def wait(condition: Callable[[], Any], seconds: float = 40.0) -> Any:
    """Waits until something is true, and returns it; what the page draws anew meanwhile is looked up again."""
    from selenium.common.exceptions import WebDriverException

    end = time.monotonic() + seconds
    while True:
        try:
            found = condition()
        except (WebDriverException, IndexError):
            if time.monotonic() >= end:
                raise
            found = None
        if found:
            return found
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def upload(driver: Any, *photos: Path) -> None:
    field = wait(lambda: driver.find_elements("css selector", "#photos input[type=file]"))[0]
    field.send_keys("\n".join(map(str, photos)))
    wait(lambda: len(driver.find_elements("css selector", "#photos img")) >= len(photos))


def click(driver: Any, selector: str) -> None:
    def clicked() -> bool:
        element = driver.find_element("css selector", selector)
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()
        return True

    wait(clicked)


def open_tab(driver: Any, name: str) -> None:
    tabs = driver.find_elements("css selector", "button[role=tab]")
    next(tab for tab in tabs if tab.text == name).click()


def pictures(driver: Any, selector: str) -> list[Any]:
    return list(driver.find_elements("css selector", f"{selector} img"))


def choose(driver: Any, selector: str, option: str) -> None:
    """Chooses an option of a list."""
    click(driver, f"{selector} input")
    options = wait(lambda: driver.find_elements("css selector", "ul[role=listbox] li"))
    next(item for item in options if item.get_attribute("aria-label") == option).click()


def said(driver: Any) -> str:
    """What the page shows in its corner."""
    shown = wait(
        lambda: [item.text for item in driver.find_elements("css selector", "[data-testid=toast-text]") if item.text]
    )
    return str(shown[-1])


def outside(driver: Any, started: Started) -> list[str]:
    """What the page has asked of other servers."""
    asked = driver.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    return [address for address in asked if not address.startswith((started.address, "data:", "blob:"))]


def test_a_photo_is_painted_under_a_slider_and_downloaded_as_translate_writes_it(
    page: Any, started: Started, tmp_path: Path
) -> None:
    photo = tmp_path / "garden.jpg"
    picture(4, (320, 240)).save(photo, quality=95)
    upload(page, photo)
    click(page, "#paint")
    wait(lambda: len(pictures(page, "#first-slider")) == 2)
    wait(lambda: "320 × 240 pixels" in page.find_element("css selector", "#note").text)
    click(page, "#first-download")
    found = tmp_path / "downloads" / "garden.jpg"
    wait(found.exists)
    monet.translate(started.run / "checkpoints" / "last.pt", photo, tmp_path / "out")
    assert found.read_bytes() == (tmp_path / "out" / "garden.jpg").read_bytes()
    assert page.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert outside(page, started) == []
    problems = [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
    assert problems == []


def test_the_slider_moves_the_border_between_photo_and_painting(page: Any, tmp_path: Path) -> None:
    from selenium.webdriver import ActionChains

    picture(4, (320, 240)).save(tmp_path / "garden.jpg")
    upload(page, tmp_path / "garden.jpg")
    click(page, "#paint")
    wait(lambda: len(pictures(page, "#first-slider")) == 2)

    def border() -> float | None:
        clip = pictures(page, "#first-slider")[1].value_of_css_property("clip-path")
        return None if clip == "none" else float(clip.split()[-1].rstrip("%)"))

    wait(lambda: border() == 50)
    handle = page.find_element("css selector", "#first-slider [data-testid=slider] .inner")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", handle)
    ActionChains(page).click_and_hold(handle).move_by_offset(80, 0).release().perform()
    wait(lambda: (border() or 0) > 55)


def test_the_same_photo_is_seen_under_two_models(page: Any, tmp_path: Path) -> None:
    picture(4, (320, 240)).save(tmp_path / "garden.jpg")
    upload(page, tmp_path / "garden.jpg")
    choose(page, "#second-model", "painter/epoch-0001")
    click(page, "#paint")
    wait(lambda: len(pictures(page, "#second-slider")) == 2)
    shown = [pictures(page, selector)[1].get_attribute("src") for selector in ("#first-slider", "#second-slider")]
    assert shown[0] != shown[1]
    for model in ("painter/last", "painter/epoch-0001"):
        wait(lambda: f"painted by {model}" in page.find_element("css selector", "#note").text)  # noqa: B023 (at once)
    assert len(pictures(page, "#strip")) == 1
    click(page, "#strip button.thumbnail-item")
    time.sleep(1)
    assert len(pictures(page, "#second-slider")) == 2


def test_an_example_is_a_click_away_and_several_photos_are_downloaded_as_a_zip(wide: Any, tmp_path: Path) -> None:
    click(wide, "#examples button.thumbnail-item, #examples .grid-wrap button")
    wait(lambda: pictures(wide, "#photos"))
    click(wide, "#paint")
    wait(lambda: len(pictures(wide, "#first-slider")) == 2)
    click(wide, "#photos button[aria-label=Clear]")
    files = [tmp_path / f"{index}.jpg" for index in range(3)]
    for index, file in enumerate(files):
        picture(index, (64, 64)).save(file)
    (tmp_path / "0.jpg").write_text("<html>")
    upload(wide, *files)
    click(wide, "#paint")
    assert "0.jpg: this is not a readable picture" in said(wide)
    wait(lambda: wide.find_element("css selector", "#first-download").text == "Download all 2")
    click(wide, "#first-download")
    found = tmp_path / "downloads" / "paintings.zip"
    wait(found.exists)
    checked = archive.validate(found, "any")
    assert (checked.valid, checked.num_images) == (True, 2)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("page", "this is not a readable picture"),
        ("wide", "30,000 × 200 pixels are too many: send at most 4 million pixels"),
        ("large", "exceed the maximum allowed size of 5.0 M"),
    ],
)
def test_what_cannot_be_painted_is_told_in_the_corner_and_the_page_works_on(
    wide: Any, tmp_path: Path, kind: str, words: str
) -> None:
    file = tmp_path / f"{kind}.png"
    if kind == "page":
        file.write_text("<html><script>document.title = 'taken over'</script></html>")
    elif kind == "wide":
        Image.new("1", (30_000, 200)).save(file)
    else:
        file.write_bytes(bytes(50_000_000))
    wait(lambda: wide.find_elements("css selector", "#photos input[type=file]"))[0].send_keys(str(file))
    if kind != "large":
        wait(lambda: pictures(wide, "#photos"))
        click(wide, "#paint")
    assert words in said(wide)
    assert wide.title == "monet"
    for close in wide.find_elements("css selector", ".toast-close"):
        close.click()
    if kind != "large":
        click(wide, "#photos button[aria-label=Clear]")
    picture(4, (64, 64)).save(tmp_path / "good.jpg")
    upload(wide, tmp_path / "good.jpg")
    click(wide, "#paint")
    wait(lambda: len(pictures(wide, "#first-slider")) == 2)


def test_a_run_is_shown_by_epoch_with_its_curves_and_painted_into_an_archive(page: Any, tmp_path: Path) -> None:
    open_tab(page, "Runs")
    wait(lambda: "24 pairs" in page.find_element("css selector", "#status").text)
    newest = wait(lambda: pictures(page, "#sample"))[0].get_attribute("src")
    assert "epoch-0003" in pictures(page, "#sample")[0].get_attribute("alt")
    slider = page.find_element("css selector", "#epoch input[type=range]")
    slider.send_keys("\ue012")  # arrow left
    wait(lambda: "epoch-0002" in pictures(page, "#sample")[0].get_attribute("alt"))
    assert pictures(page, "#sample")[0].get_attribute("src") != newest
    assert len(pictures(page, "#curves")) >= 4
    assert all(page.execute_script("return [...document.querySelectorAll('#curves img')].map(i => i.naturalWidth)"))
    wait(lambda: page.find_element("css selector", "#archive-checkpoint input").get_attribute("value") == "last.pt")
    click(page, "#paint-archive")
    wait(lambda: "last.pt" in page.find_element("css selector", "#archive").text)
    click(page, "#archive")
    found = tmp_path / "downloads" / "images.zip"
    wait(found.exists)
    checked = archive.validate(found, "any")
    assert (checked.valid, checked.num_images) == (True, 5)


def test_a_run_that_is_trained_meanwhile_is_followed(own_run: Path, tmp_path: Path) -> None:
    metrics = own_run / "metrics.jsonl"
    os.utime(metrics, (1, 1))
    with (
        studio(["--run", own_run], tmp_path / "log") as (address, _),
        browser(tmp_path / "profile", 1280) as driver,
    ):
        driver.get(address)
        wait(lambda: driver.find_elements("css selector", "#paint"))
        open_tab(driver, "Runs")
        wait(lambda: "The training is over" in driver.find_element("css selector", "#status").text)
        last = json.loads(metrics.read_text().splitlines()[-1])
        step = last | {"pairs": 4321, "progress": 0.5, "time_left": 600.0, "pairs_per_second": 12.0}
        with open(metrics, "a") as file:
            file.write(json.dumps(step) + "\n")
        shutil.copy(own_run / "samples" / "epoch-0001.png", own_run / "samples" / "epoch-0004.png")
        wait(lambda: "Training, 10m left" in driver.find_element("css selector", "#status").text)
        assert "4,321 pairs" in driver.find_element("css selector", "#status").text
        wait(lambda: "epoch-0004" in pictures(driver, "#sample")[0].get_attribute("alt"))


def test_a_short_video_is_painted(wide: Any, started: Started, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", seconds=1)
    open_tab(wide, "Video")
    wait(lambda: wide.find_elements("css selector", "#video input[type=file]"))[0].send_keys(str(clip))
    wait(lambda: wide.find_elements("css selector", "#video video"))
    click(wide, "#paint-video")
    video = wait(lambda: wide.find_elements("css selector", "#painted-video video"))[0]
    wait(lambda: wide.execute_script("return arguments[0].readyState > 0 && arguments[0].duration", video) == 1)
    assert wide.execute_script("return arguments[0].videoWidth", video) == 48


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core."""
    package = npm_package(tmp_path_factory.mktemp("axe"), "axe-core")
    return (package / "axe.min.js").read_text(encoding="utf-8")


def test_axe_finds_no_serious_fault(page: Any, axe: str, tmp_path: Path) -> None:
    found = []
    picture(4, (320, 240)).save(tmp_path / "garden.jpg")
    upload(page, tmp_path / "garden.jpg")
    click(page, "#paint")
    wait(lambda: len(pictures(page, "#first-slider")) == 2)
    page.execute_script(axe)
    for tab in ("Try", "Runs", "Video"):
        open_tab(page, tab)
        time.sleep(1)
        faults = page.execute_async_script("axe.run().then(found => arguments[0](found.violations))")
        found += [(tab, fault["id"]) for fault in faults if fault["impact"] in ("serious", "critical")]
    assert found == []
