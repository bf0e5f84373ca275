from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monet.reporting.report import ClosestPainting, Column, Report, Row, RunFacts, figure, render
from monet.scoring.bootstrap import Interval
from monet.scoring.evaluation import Evaluation, evaluated
from monet.scoring.weights import InceptionWeights
from tests.browser import browser, needs_browser
from tests.conftest import picture


def evaluation(shift: float) -> Evaluation:
    rng = np.random.default_rng(0)
    generated, reference = rng.normal(size=(30, 6)), rng.normal(size=(20, 6))
    weights = InceptionWeights("weights.pth", "0" * 64, b"")
    features = [np.float32(values) for values in (generated + shift, reference, reference)]
    return evaluated(*features, epsilon=0.1, draws=50, layer="2048", weights=weights)


def jpeg(seed: int) -> bytes:
    buffer = io.BytesIO()
    picture(seed, (256, 256)).save(buffer, "JPEG")
    return buffer.getvalue()


def row(run: str, name: str, epochs: float, **values: Any) -> Row:
    found = evaluation(epochs / 10)
    return Row(
        run=run,
        name=name,
        epochs=epochs,
        pairs=int(100 * epochs),
        evaluation=found,
        painting_seconds=61.0,
        scoring_seconds=5.0,
        **values,
    )


def report(checkpoints: int = 3, **values: Any) -> Report:
    rows = [
        row("first", f"epoch-{index:04d}.pt", float(index), best=index == 1, behind=Interval(index - 1, -0.5, index))
        for index in range(1, checkpoints + 1)
    ]
    steps = [
        {"pairs": pairs, "seconds": 2.0 * pairs, "learning_rate": 2e-4, "pairs_per_second": 0.5}
        | {"losses": {"cycle_a": 1.0, "cycle_b": 2.0, "discriminator_a": 0.2, "discriminator_b": 0.3}}
        for pairs in range(1, 40)
    ]
    process = {"from_pair": 0, "device": "cpu", "precision": "bf16", "processor": "a processor", "processors": 2}
    close = ClosestPainting(
        photo=jpeg(1), painted=jpeg(2), painting=jpeg(3), photo_name="p.jpg", painting_name="m.jpg", distance=0.0421
    )
    given = {
        "title": "Checkpoints of first",
        "verdict": ["submit epoch-0001.pt", "it is the best"],
        "remarks": ["for ranking only"],
        "compared": "30 against 20.",
        "rows": rows,
        "unpainted": row("", "the photos, unpainted", 9.0, behind=Interval(1, 0.5, 2)),
        "photo_names": ["1.jpg", "2.jpg"],
        "columns": [
            Column(title=title, images=[jpeg(1), jpeg(2)]) for title in ("photo", *(found.name for found in rows))
        ],
        "closest": {"epoch-0001.pt": [close]},
        "runs": [
            RunFacts(name="first", settings={"training.seed": "0"}, processes=[process], steps=steps),
            RunFacts(name="second", settings={"training.seed": "1"}, processes=[], steps=[]),
        ],
    }
    return Report(**(given | values))  # type: ignore[arg-type]


def test_the_page_says_what_was_found() -> None:
    page = render(report())
    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text)
    for words in (
        "Submit epoch-0001.pt. It is the best.",
        "For ranking only.",
        "epoch-0002.pt tied",
        "the photos, unpainted",
        "distance 0.04210 · p.jpg and m.jpg",
        "39 pairs in 1m18s",
        "No metrics are kept here.",
        "a processor × 2",
        "1m01s",
    ):
        assert words in text
    assert page.count("<figcaption>Cycle consistency") == 1
    assert '<td class="different">' in page


def test_names_that_strangers_chose_are_no_markup() -> None:
    evil = "<script>alert(1)</script>"
    close = ClosestPainting(
        photo=jpeg(1), painted=jpeg(2), painting=jpeg(3), photo_name=evil, painting_name=evil, distance=0.1
    )
    runs = [RunFacts(name=evil, settings={evil: evil}, processes=[{"device": evil}], steps=[])]
    page = render(report(title=evil, verdict=[evil], photo_names=[evil, evil], closest={evil: [close]}, runs=runs))
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)") > 8


def test_a_run_without_a_score_has_a_page_too() -> None:
    page = render(report(rows=[], unpainted=None, closest={}, verdict=["not scored: no weights"]))
    assert "Not scored: no weights." in page
    assert "<h2>Scores</h2>" not in page
    assert "The same photos" in page


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1.000"), (0.58998, "0.5900"), (12.345, "12.35"), (1234.4, "1234"), (-0.0123, "−0.01230")]
)
def test_scores_have_four_significant_digits(value: float, text: str) -> None:
    assert figure(value) == text


@needs_browser
@pytest.mark.parametrize(("width", "phone"), [(1280, False), (390, True)])
@pytest.mark.parametrize("checkpoints", [1, 12])
def test_a_browser_shows_every_picture_and_scrolls_sideways_only_within_tables(
    tmp_path: Path, width: int, phone: bool, checkpoints: int
) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(report(checkpoints)), encoding="utf-8")
    with browser(tmp_path / "profile", width, phone=phone) as driver:
        driver.get(page.as_uri())
        shown = driver.execute_script("return [...document.images].map(image => image.naturalWidth)")
        assert len(shown) == 4 + 2 * (checkpoints + 1) * (checkpoints > 1) + 3 + (checkpoints > 1) + 4
        assert all(shown)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0
        assert driver.get_log("browser") == []


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Any]:
    """A browser with a report of three checkpoints."""
    page = tmp_path / "report.html"
    page.write_text(render(report()), encoding="utf-8")
    with browser(tmp_path / "profile", 1280) as driver:
        driver.get(page.as_uri())
        yield driver


def style(driver: Any, selector: str, name: str) -> str:
    return str(driver.find_element("css selector", selector).value_of_css_property(name))


@needs_browser
def test_keys_move_the_border_between_photo_and_painting(shown: Any) -> None:
    assert style(shown, ".slider img + img", "clip-path") == "inset(0px 0px 0px 50%)"
    slider = shown.find_element("css selector", ".slider input")
    for _ in range(10):
        slider.send_keys("\ue014")  # arrow right
    assert style(shown, ".slider img + img", "clip-path") == "inset(0px 0px 0px 60%)"


@needs_browser
def test_pictures_are_as_wide_as_the_page(shown: Any) -> None:
    width = shown.execute_script("return document.querySelector('h2').offsetWidth")
    for selector in (".pairs", ".photos"):
        assert shown.find_element("css selector", selector).size["width"] == pytest.approx(width, abs=2)


@needs_browser
def test_the_page_is_dark_where_everything_is_and_light_on_paper(shown: Any) -> None:
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    assert style(shown, "body", "background-color") == "rgba(255, 255, 255, 1)"
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    assert style(shown, "body", "background-color") == "rgba(27, 30, 34, 1)"
    assert style(shown, ".charts img", "filter").startswith("invert")
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", **dark})
    assert style(shown, "body", "background-color") == "rgba(255, 255, 255, 1)"


@needs_browser
def test_on_paper_photo_and_painting_stand_side_by_side_and_nothing_is_folded_away(shown: Any) -> None:
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    photo, painting = shown.find_elements("css selector", ".slider img")[:2]
    assert painting.location["x"] >= photo.location["x"] + photo.size["width"]
    assert style(shown, ".slider img + img", "clip-path") == "none"
    assert style(shown, ".slider input", "display") == "none"
    shown.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 720, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    )  # A4 in CSS pixels, without margins
    assert shown.execute_script("return document.documentElement.scrollWidth") <= 720
    settings = shown.find_elements("css selector", "table.settings td")
    assert all(cell.size["height"] > 0 for cell in settings)
