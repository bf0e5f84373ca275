"""The studio in a real browser, wide and narrow."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import monet
from tests.browser import browser, needs_browser
from tests.conftest import picture
from tests.serving.studio.conftest import Started

pytestmark = needs_browser

WIDTHS = [(1280, False), (390, True)]


@pytest.fixture(params=WIDTHS, ids=["wide", "phone"])
def page(request: pytest.FixtureRequest, started: Started, tmp_path: Path) -> Iterator[Any]:
    """A browser with the studio open."""
    width, phone = request.param
    with browser(tmp_path / "profile", width, phone=phone) as driver:
        driver.get(started.address)
        wait(lambda: driver.find_elements("css selector", "#paint"))
        yield driver


def wait(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Waits until something is true, and returns it."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
    return found


def upload(driver: Any, *photos: Path) -> None:
    field = wait(lambda: driver.find_elements("css selector", "#photos input[type=file]"))[0]
    field.send_keys("\n".join(map(str, photos)))
    wait(lambda: len(driver.find_elements("css selector", "#photos img")) >= len(photos))


def downloaded(driver: Any, selector: str) -> bytes:
    """What a button of the page gives for download."""
    address = wait(lambda: driver.find_elements("css selector", f"{selector}[href], {selector} a[href]"))[
        0
    ].get_attribute("href")
    script = """
        const done = arguments[1];
        fetch(arguments[0]).then(answer => answer.blob()).then(blob => {
            const reader = new FileReader();
            reader.onload = () => done(reader.result.split(',')[1]);
            reader.readAsDataURL(blob);
        });
    """
    return base64.b64decode(driver.execute_async_script(script, address))


def click(driver: Any, selector: str) -> None:
    driver.execute_script(
        "arguments[0].scrollIntoView({block: 'center'})", driver.find_element("css selector", selector)
    )
    driver.find_element("css selector", selector).click()


def said(driver: Any) -> str:
    """What the page shows in its corner."""
    return str(
        wait(lambda: [item.text for item in driver.find_elements("css selector", ".toast-body") if item.text])[0]
    )


def test_a_photo_is_painted_under_a_slider_and_downloaded_as_translate_writes_it(
    page: Any, started: Started, tmp_path: Path
) -> None:
    photo = tmp_path / "garden.jpg"
    picture(4, (320, 240)).save(photo, quality=95)
    upload(page, photo)
    click(page, "#paint")
    wait(lambda: len(page.find_elements("css selector", "#first-slider img")) == 2)
    monet.translate(started.run / "checkpoints" / "last.pt", photo, tmp_path / "out")
    assert downloaded(page, "#first-download") == (tmp_path / "out" / "garden.jpg").read_bytes()
    assert "320 × 240 pixels" in page.find_element("css selector", "#note").text
    assert page.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert outside(page, started) == []


def outside(driver: Any, started: Started) -> list[str]:
    """What the page has asked of other servers."""
    asked = driver.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    return [address for address in asked if not address.startswith((started.address, "data:", "blob:"))]
