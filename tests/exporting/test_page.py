"""The page: a real file into a real browser, and the painting that PyTorch makes of it out."""

from __future__ import annotations

import base64
import functools
import http.server
import io
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import monet
from monet.errors import InputError
from tests.browser import browser, needs_browser, npm_package
from tests.conftest import TINY_SETTINGS, picture

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npm_package(tmp_path_factory.mktemp("npm"), "onnxruntime-web")


@pytest.fixture(scope="module")
def page(runtime: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page, beside the run that it is made of."""
    folder = tmp_path_factory.mktemp("page")
    settings = {"training.epochs": 2, "training.learning_rate": 0.01, "training.lambda_identity": 0.0}
    monet.train(tiny_data, run=folder / "painter", settings={**settings, **TINY_SETTINGS})
    monet.export(folder / "painter" / "checkpoints" / "last.pt", page=folder / "page", runtime=runtime)
    return folder / "page"


@pytest.fixture
def served(page: Path) -> Iterator[str]:
    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=page))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()
    thread.join()
    server.server_close()


def wait_for(driver: Any, script: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 60).until(lambda _: driver.execute_script(f"return {script}"))


def translated(driver: Any, file: Path) -> np.ndarray[Any, Any]:
    """What the page saves of a file."""
    driver.find_element("id", "file").send_keys(str(file))
    wait_for(driver, "document.body.dataset.state === 'translated'")
    script = """
        const done = arguments[0];
        fetch(document.getElementById('save').href).then((answer) => answer.blob()).then((blob) => {
            const reader = new FileReader();
            reader.onload = () => done(reader.result.split(',')[1]);
            reader.readAsDataURL(blob);
        });"""
    with Image.open(io.BytesIO(base64.b64decode(driver.execute_async_script(script)))) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def complaints(driver: Any) -> list[str]:
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


@needs_browser
@pytest.mark.parametrize("way", ["served", "from disk"])
def test_a_picture_that_goes_in_comes_out_as_pytorch_paints_it(
    page: Path, served: str, tmp_path: Path, way: str
) -> None:
    given = picture(5, (301, 200))
    given.save(tmp_path / "my photo.png")
    translator = monet.load(page.parent / "painter" / "checkpoints" / "last.pt", device="cpu", precision="fp32")
    expected = np.asarray(translator.translate(given)).astype(int)
    with browser(tmp_path / "profile", 900) as driver:
        driver.get(served if way == "served" else (page / "index.html").as_uri())
        wait_for(driver, "document.getElementById('status').textContent === 'Ready.'")
        found = translated(driver, tmp_path / "my photo.png").astype(int)
        assert found.shape == (200, 301, 3)
        assert np.abs(found - expected).max() <= 2
        assert np.abs(found - np.asarray(given).astype(int)).mean() > 2
        assert driver.find_element("id", "save").get_attribute("download") == "my photo-translated.png"
        assert driver.title == "painter"
        assert "Translated in " in driver.find_element("id", "status").text
        assert not complaints(driver)
        picture(6, (1500, 750)).save(tmp_path / "large.png")
        assert translated(driver, tmp_path / "large.png").shape == (512, 1024, 3)
        (tmp_path / "text.png").write_text("no picture")
        driver.find_element("id", "file").send_keys(str(tmp_path / "text.png"))
        wait_for(driver, "document.getElementById('status').textContent.includes('cannot be read as a picture')")


@needs_browser
def test_the_page_fits_a_phone_and_says_what_is_missing(page: Path, tmp_path: Path) -> None:
    shutil.copy(page / "index.html", tmp_path)
    with browser(tmp_path / "profile", 375, phone=True) as driver:
        driver.get((tmp_path / "index.html").as_uri())
        wait_for(driver, "document.getElementById('status').textContent.includes('belong beside this page')")
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 375


@needs_browser
def test_of_two_pictures_in_a_row_the_last_one_is_saved(page: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    picture(1, (40, 30)).save(tmp_path / "tiny.png")
    with browser(tmp_path / "profile", 900) as driver:
        driver.get((page / "index.html").as_uri())
        wait_for(driver, "document.getElementById('status').textContent === 'Ready.'")
        driver.find_element("id", "file").send_keys(str(tmp_path / "large.png"))
        wait_for(driver, "document.getElementById('status').textContent.startsWith('Translated in ')")
        assert translated(driver, tmp_path / "tiny.png").shape == (30, 40, 3)
        time.sleep(2)  # the first one's file may be ready only now
        link = driver.find_element("id", "save")
        assert link.get_attribute("download") == "tiny-translated.png"
        size = driver.execute_async_script(
            "fetch(document.getElementById('save').href).then((answer) => answer.blob())"
            ".then(createImageBitmap).then((found) => arguments[0]([found.width, found.height]))"
        )
        assert size == [40, 30]
        Image.new("RGB", (70_000, 3), "red").save(tmp_path / "wide.png")
        driver.execute_script("document.getElementById('side').value = '0'")
        driver.find_element("id", "file").send_keys(str(tmp_path / "wide.png"))
        wait_for(driver, "document.getElementById('status').textContent.includes('too large for this browser')")


@needs_browser
def test_a_network_that_is_damaged_is_told_for_good(page: Path, tmp_path: Path) -> None:
    shutil.copytree(page, tmp_path / "page")
    (tmp_path / "page" / "model.js").write_text('window.monet = {...window.monet, "model": "AAAA"};')
    picture(1, (40, 30)).save(tmp_path / "tiny.png")
    with browser(tmp_path / "profile", 900) as driver:
        driver.get((tmp_path / "page" / "index.html").as_uri())
        wait_for(driver, "document.getElementById('status').textContent.includes('cannot be started')")
        driver.find_element("id", "file").send_keys(str(tmp_path / "tiny.png"))
        assert "cannot be started" in driver.find_element("id", "status").text


def test_a_runtime_that_is_none_is_refused(page: Path, tmp_path: Path) -> None:
    (tmp_path / "ort.wasm.bundle.min.mjs").write_bytes(b"\xff\xfe")
    (tmp_path / "ort-wasm-simd-threaded.wasm").write_bytes(b"")
    checkpoint = page.parent / "painter" / "checkpoints" / "last.pt"
    with pytest.raises(InputError, match="cannot be read"):
        monet.export(checkpoint, page=tmp_path / "page", runtime=tmp_path)
    (tmp_path / "ort.wasm.bundle.min.mjs").write_text("")
    with pytest.raises(InputError, match="that are something else: install it again"):
        monet.export(checkpoint, page=tmp_path / "page", runtime=tmp_path)


def test_a_page_is_replaced_and_nothing_else(page: Path, runtime: Path, tmp_path: Path) -> None:
    checkpoint = page.parent / "painter" / "checkpoints" / "last.pt"
    shutil.copytree(page, tmp_path / "page")
    monet.export(checkpoint, page=tmp_path / "page", runtime=runtime / "dist")
    (tmp_path / "page" / "index.html").write_text("<html><script>window.monetize()</script></html>")
    with pytest.raises(InputError, match="index.html is there and is not a part of such a page"):
        monet.export(checkpoint, page=tmp_path / "page", runtime=runtime)
