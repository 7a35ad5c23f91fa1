"""The report as its readers see it: in a real browser, without a network.

These checks apply to every version of the page; `page_checks.js` implements them.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, Page, find_browser, pdf_pages
from unit.reporting.hand_made import SPACE, make_reading, make_study, make_trial

from sweep.records import StudyRecord, TrialState
from sweep.reporting.writing import Source, write_report
from sweep.space import load_space

CHROMIUM = find_browser()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="the report is opened in Chromium, and none is on the path"
    ),
]

WIDTHS = (390, 1024, 1440, 1920)
LEAST_TEXT = 8.5  # CSS pixels, in a picture on a phone
SCHEMES = ("light", "dark")
PAPER = round((8.27 - 0.8) * 96)  # A4 without its margins, in CSS pixels
MARKUP = "</script><img src=x onerror=alert(1)>"
SIGNS = "$x$ \\frac{ \u05e9\u05dc\u05d5\u05dd \u202etxt.exe be\x07ll \x1b[31mred \x9b1m"
LONG = "long" * 1250
HOSTILE = (MARKUP, SIGNS + LONG)  # names of studies
CLASSES = (MARKUP, SIGNS, LONG)
REPORTS = ("trained", "hostile")

# Each of these lines contains an error that one of the checks must find.
BAD_PAGE = """<!doctype html><html><head><title> </title>
<style>
  @media (prefers-color-scheme: dark) { .faint { color: #444; background: #222 } }
  .cut { width: 60px; overflow: hidden; white-space: nowrap } button { outline: none !important }
</style></head><body>
<h2>second</h2><h4>fourth</h4><p id="same" style="color: #aaa">faint</p><p id="same">again</p>
<p class="faint">dark</p><p class="cut">a text that is cut off at its end</p>
<figure><svg width="0" height="0"></svg></figure><img src="data:image/png;base64,AAAA">
<svg role="img" aria-label="drawn" width="50" height="50"><rect x="90" width="9" height="9"/></svg>
<svg role="img" aria-label="texts" width="200" height="50" viewBox="0 0 200 50">
  <rect width="200" height="50"/>
  <text y="20" fill="#333">grey on black</text><text y="45" fill="#fff">white</text></svg>
<table><tr><th>no scope</th></tr></table><a href="#nowhere"></a><button></button>
<p>over</p><p style="margin-top: -2.4em">lap</p><div style="width: 2000px">wide</div>
<div style="width: 90px; overflow-x: auto"><p style="width: 200px">more</p></div>
<script>console.warn("warned"); setTimeout(() => alert("opened"));</script>
<img src="http://127.0.0.1:9/outside.png"><script>null.x</script></body></html>"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None
    with Browser(CHROMIUM) as running:
        yield running


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on studies whose texts are all a stranger's."""
    parameters = {**SPACE["parameters"], "activation": "relu"}  # samples must be choices
    space = load_space({**SPACE, "parameters": parameters})
    records = []
    for name in HOSTILE:
        trials = [
            make_trial(space, trial, wrong, activation=name)
            for trial, wrong in enumerate([1, 1, 2, 3, 8, 10, 11, 14, 20, 21, 22, 23])
        ]
        trials.append(make_trial(space, len(trials), 12, state=TrialState.PRUNED))
        failed = make_trial(space, len(trials), state=TrialState.FAIL)
        assert failed.outcome is not None
        assert failed.outcome.failure is not None
        failure = replace(failed.outcome.failure, reason=name)
        outcome = replace(failed.outcome, failure=failure, device=name, environment={name: name})
        trials.append(replace(failed, outcome=outcome))
        study = make_study(
            trials, space, name=name, class_names=CLASSES, readings=(make_reading(0),)
        )
        records.append(as_table(study) if name is MARKUP else study)
    folder = tmp_path_factory.mktemp("hostile")
    sources = [Source(record, None, (record.name,)) for record in records]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweep.reporting.figures.to_png", lambda _: b"")  # the page does not use them
        return write_report(folder, sources, top=12).html


def as_table(study: StudyRecord) -> StudyRecord:
    """The same study with rows for mistakes, and notes on its data."""
    reading = study.test_readings[0]
    mistakes = tuple(replace(m, image=b"", row=(*CLASSES, "")) for m in reading.mistakes)
    reading = replace(
        reading, mistakes=mistakes, image_shape=(), columns=(*CLASSES, "age"), num_in_training=3
    )
    data = replace(
        study.data,
        spec=replace(study.data.spec, kind="table", input_shape=(9,)),
        notes=CLASSES,
    )
    return replace(study, data=data, test_readings=(reading,))


@pytest.fixture(scope="module", params=REPORTS)
def visit(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Visit]:
    """One of the reports, opened once for all checks."""
    name = request.param
    if name == "trained":
        file = request.getfixturevalue("reported") / "report" / "report.html"
    else:
        file = request.getfixturevalue("hostile")
    with browser.open(file) as page:
        yield Visit(name, file, page)


class Visit:
    """An open page and the results of each check by window, colour scheme or paper."""

    def __init__(self, name: str, file: Path, page: Page) -> None:
        self.name = name
        self.file = file
        self.page = page
        self.wrong: dict[str, dict[object, str]] = defaultdict(dict)
        self.backgrounds: dict[str, float] = {}
        self.pages: list[bytes] = []
        self.wanted = {
            (table, column)
            for table, num_columns in enumerate(page.run("checks.numColumns()"))
            for column in range(num_columns)
        }
        self.reached: set[tuple[int, int]] = set()  # with the keyboard
        self.unseen: list[str] = []
        for width in WIDTHS:  # with everything as it comes
            self._show(width)
            self._check("width", width, width)
        page.run("checks.openAll()")
        page.settle()
        self._walk()
        for width in WIDTHS:
            self._show(width)
            self._check("width", f"{width}, all open", width)
            for check in ("scrolling", "figures", "drawing", "clipped"):
                self._check(check, width)
            if name == "trained":
                self._check("overlap", width)
                self._check("tiny", width, LEAST_TEXT)
        for scheme in SCHEMES:
            self._show(1280, scheme)
            self._check("contrast", scheme)
            colour = page.run("getComputedStyle(document.body).backgroundColor")
            self.backgrounds[scheme] = sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3
            if name == "trained":
                self.wrong["pictures"][scheme] = page.check_pictures()
        if name == "trained":
            self._show(PAPER, media="print")
            for check in ("drawing", "clipped"):
                self._check(check, "paper")
            self._check("width", "paper", PAPER)
            self.pages = pdf_pages(page.pdf())
        self._show(1280)

    def _walk(self) -> None:
        """Press Tab until the focus leaves the page."""
        for _ in range(800):
            self.page.press("Tab")
            focus = self.page.run("checks.focused()")
            if focus is None:
                return
            self.reached.add((focus["table"], focus["column"]))
            if not focus["visible"]:
                self.unseen.append(focus["name"])
        raise AssertionError("the keyboard never comes to the end of the page")

    def _show(self, width: int, scheme: str = "light", media: str = "screen") -> None:
        self.page.show(width, scheme, media)
        self.page.settle()

    def _check(self, check: str, where: object, *arguments: Any) -> None:
        self.wrong[check][where] = self.page.check(check, *arguments)


# ---------------------------------------------------------------- the checks find errors


def test_the_checks_find_what_is_wrong(browser, tmp_path):
    file = tmp_path / "bad.html"
    file.write_text(BAD_PAGE)
    with browser.open(file, scheme="dark") as page:
        problems = "\n".join(page.problems)
        assert re.search(r"^console warning: \['warned'\]", problems)
        assert "TypeError" in problems
        assert "dialog: opened" in problems
        assert page.requests == [file.as_uri(), "http://127.0.0.1:9/outside.png"]
        assert page.failed_requests == ["net::ERR_INTERNET_DISCONNECTED"]
        found = {name: page.check(name) for name in ("figures", "clipped", "drawing")}
        assert "has no size: 0 x 0" in found["figures"]
        assert "has no picture" in found["figures"]
        assert 'cut "a text' in found["clipped"].replace(".", " ")
        assert "drawn: rect" in found["drawing"]
        assert "the page is 2" in page.check("width", 1280)
        assert 'p "lap" and p "over" overlap' in page.check("overlap")
        assert '"white" is 16.0 high' in page.check("tiny", 17)
        contrast = page.check("contrast")
        assert '"dark"' in contrast
        assert '"again"' not in contrast
        structure = page.check("structure")
        for words in ("language", "title", "h1: 2,4", "follows an h2", "#same", "leads nowhere"):
            assert words in structure
        assert "scrolls, but no key reaches it" in page.check("scrolling")
        assert "has no scope" in page.check("tables")
        assert [name for _, name in page.accessible_names("a, button, svg, img")].count("") >= 2
        page.press("Tab")
        page.press("Tab")
        assert page.run("checks.focused()")["visible"] is False
    with browser.open(file) as page:
        assert '"faint"' in page.check("contrast")
        pictures = page.check_pictures()
        assert '"grey on black"' in pictures
        assert "white" not in pictures


# ---------------------------------------------------------------- one visit


@pytest.mark.parametrize(
    "check",
    [
        "width", "scrolling", "figures", "drawing", "clipped", "overlap", "tiny", "contrast",
        "pictures",
    ],
)  # fmt: skip
def test_nothing_is_wrong_in_any_window(visit, check):
    """Wide and narrow, light and dark, and on paper.

    Nothing is wider than its window, empty or cut off, and all text has enough contrast.
    """
    found = visit.wrong[check]
    assert found == dict.fromkeys(found, "")
    assert found or (visit.name == "hostile" and check in ("pictures", "overlap", "tiny"))
    assert visit.page.run("document.querySelectorAll('svg').length") >= 5


def test_the_page_is_quiet_and_asks_for_nothing(visit):
    own = visit.file.resolve().as_uri()
    assert visit.page.problems == []
    assert [url for url in visit.page.requests if not url.startswith("data:")] == [own]
    assert visit.page.failed_requests == []


def test_dark_is_dark_and_light_is_light(visit):
    assert visit.backgrounds["light"] > 230
    assert visit.backgrounds["dark"] < 60


def test_headings_and_tables_are_in_order(visit):
    assert visit.page.check("structure") == ""
    assert visit.page.check("tables") == ""


def test_pictures_links_and_buttons_have_names(visit):
    found = visit.page.accessible_names("svg, img, a[href], button, summary, [role=button]")
    assert len(found) >= 10
    assert [markup for markup, name in found if name is not None and not name.strip()] == []
    in_figures = visit.page.accessible_names("figure svg, figure img, .mistakes img")
    assert [markup for markup, name in in_figures if not name] == []


def test_the_page_says_what_its_data_say(visit):
    """Names from strangers stay text."""
    page = visit.page
    assert page.run("document.querySelectorAll('img[src=x], [onerror]').length") == 0
    assert page.run("document.querySelectorAll('script').length") == 1
    text = page.run("document.body.innerText").replace("\u00a0", " ")
    if visit.name == "hostile":
        signs = ("$x$ \\frac{", "\u05e9\u05dc\u05d5\u05dd", "txt.exe", "[31mred")
        for words in (MARKUP, *signs, LONG[:40]):
            assert text.count(words) >= 3, words[:40]
        assert MARKUP in page.run("document.title")
        return
    data = json.loads((visit.file.parent / "report.json").read_text())
    for name, study in data["studies"].items():
        assert name in text
        assert f"{100 * study['best']['test_accuracy']:.2f}%" in text


@pytest.mark.parametrize("visit", ["trained"], indirect=True)
def test_the_page_can_be_printed(visit):
    drawn = [
        len(re.findall(rb"\b(?:Tj|TJ|Do|re|f|S)\b", instructions)) for instructions in visit.pages
    ]
    assert len(drawn) > 1
    assert min(drawn) > 10, drawn
    assert sum(b"T" in instructions for instructions in visit.pages) > 1


def test_a_point_tells_its_value(visit):
    page = visit.page
    page.run("checks.openAll()")
    told = page.run(
        """[...document.querySelectorAll("svg[data-points]")].map((svg) => {
          svg.scrollIntoView({ block: "center" });
          const [x, y, first] = svg.dataset.points.split("|")[0].split(" ").map(Number);
          const words = svg.dataset.parts.split("|")[first];
          const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
          const at = { clientX: box.left + x * scale, clientY: box.top + y * scale };
          svg.dispatchEvent(new PointerEvent("pointermove", at));
          const tip = document.getElementById("tip"), place = tip.getBoundingClientRect();
          const told = [words, tip.hidden ? null : tip.textContent, place.left, place.right];
          svg.dispatchEvent(new PointerEvent("pointerleave"));
          return [...told, tip.hidden];
        })"""
    )
    assert len(told) >= 5
    for words, text, left, right, is_gone in told:
        # Another point may lie in the very same place.
        assert text is not None, words
        assert 0 <= left < right <= page.run("innerWidth")
        assert is_gone


def test_a_leaderboard_can_be_filtered(visit):
    page = visit.page
    counts = page.run(
        """(() => {
          const table = document.querySelector("table.filtered");
          const input = table.closest(".scroll").previousElementSibling;
          const shown = () => [...table.tBodies[0].rows].filter((row) => !row.hidden).length;
          return ["", "best", "no such words", ""].map((text) => {
            input.value = text;
            input.dispatchEvent(new Event("input"));
            return shown();
          });
        })()"""
    )
    assert counts[1] in range(1, counts[0] + 1)
    assert (counts[2], counts[3]) == (0, counts[0])


def test_a_link_opens_the_part_that_it_leads_to(visit):
    page = visit.page
    opened = page.run(
        """(() => {
          for (const one of document.querySelectorAll("details")) one.open = false;
          return [...document.querySelectorAll("nav a[href*='-']")].map((link) => {
            const target = document.querySelector(link.getAttribute("href"));
            location.hash = link.getAttribute("href");
            dispatchEvent(new HashChangeEvent("hashchange"));
            return target.localName !== "details" || target.open;
          });
        })()"""
    )
    assert len(opened) >= 5
    assert all(opened)
    page.run("checks.openAll()")


# ---------------------------------------------------------------- tables sort


def number_of(text: str) -> float | None:
    """The first number in a cell, durations in seconds; None without one."""
    shown = text.replace("\u00a0", " ").replace("−", "-").replace(",", "")
    parts = re.findall(r"([\d.]+) (h|min|ms|s)\b", shown)
    if parts:
        units = {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 0.001}
        return sum(float(number) * units[unit] for number, unit in parts)
    found = re.match(r"[<>≤≥~≈± ]*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)", shown)
    return float(found[1]) if found else None


@pytest.mark.parametrize(
    ("text", "number"),
    [("98.31%", 98.31), ("1,024", 1024.0), ("1 h 02 min", 3720.0), ("2 min 05 s", 125.0),
     ("−0.12 points", -0.12), ("< 0.001", 0.001), ("1.5e-05", 1.5e-5), ("95.00 to 97.50%", 95.0),
     ("0.5 s", 0.5), ("relu", None), ("–", None), ("unused", None)],
)  # fmt: skip
def test_shown_numbers_are_understood(text, number):
    assert number_of(text) == number


def assert_sorted(page: Page, cells: Sequence[str], *, up: bool) -> None:
    """Numbers are in order and together; equal words are together."""
    numbers = [number_of(cell) for cell in cells]
    known = [number for number in numbers if number is not None]
    assert known == sorted(known, reverse=not up)
    kinds = [
        cell if number is None else "number" for cell, number in zip(cells, numbers, strict=True)
    ]
    changes = [kind for index, kind in enumerate(kinds) if index == 0 or kinds[index - 1] != kind]
    assert len(changes) == len(set(changes)), cells
    if not known:
        ordered = cells if up else cells[::-1]
        collator = "new Intl.Collator(undefined, {numeric: true})"
        pairs = "every((word, i, all) => i === 0 || collator.compare(all[i - 1], word) <= 0)"
        assert page.run(f"(collator => {json.dumps(ordered)}.{pairs})({collator})"), cells


def sort_by_every_heading(page: Page, choose: Any) -> int:
    """Sort every table by every column, both ways; returns the number of columns."""
    columns = page.run("checks.numColumns()")
    for table, num_columns in enumerate(columns):
        before = page.run(f"checks.rows({table})")
        for column in range(num_columns):
            directions = ["ascending", "descending"]
            if page.run(f"checks.directions({table})")[column] == "ascending":
                directions.reverse()  # it was sorted by this column already
            for direction in directions:
                choose(f"checks.button({table}, {column})")
                expected = [direction if c == column else None for c in range(num_columns)]
                found = page.run(f"checks.directions({table})")
                assert [None if d == "none" else d for d in found] == expected
                rows = page.run(f"checks.rows({table})")
                assert sorted(rows) == sorted(before)
                assert_sorted(page, [row[column] for row in rows], up=direction == "ascending")
    return sum(columns)


def test_a_heading_sorts(visit):
    """With a click in one report, with a key in the other."""

    def press(button: str) -> None:
        visit.page.run(f"{button}.focus()")
        visit.page.press("Enter")

    is_trained = visit.name == "trained"
    num_columns = sort_by_every_heading(visit.page, visit.page.click if is_trained else press)
    assert num_columns >= (2 if is_trained else 3) * 8


def test_the_keyboard_reaches_every_heading_and_shows_where_it_is(visit):
    assert visit.wanted <= visit.reached
    assert visit.unseen == []
