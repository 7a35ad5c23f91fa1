"""Pages as tests read them."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from sweep.records import StudyRecord
from sweep.reporting import Report
from sweep.reporting.writing import Source, write_report


def write(folder: Path, *records: StudyRecord, top: int = 10) -> Report:
    return write_report(folder, [Source(record, None, ()) for record in records], top=top)


class Page(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.identifiers: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "action", "data"):
                self.references.append(value or "")
            if name == "id":
                self.identifiers.append(value or "")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] not in ("script", "style"):
            self.text += data


def page_of(folder: Path, search: StudyRecord, runs: StudyRecord | None) -> str:
    """The text of a page on one study, with single spaces."""
    html = write_report(folder, [Source(search, runs, ())], top=10).html.read_text()
    return " ".join(Page(html).text.split())
