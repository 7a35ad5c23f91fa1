"""A headless Chromium that opens files, controlled through a pipe.

`--remote-debugging-pipe` needs neither a port nor a client library: JSON messages terminated by a
zero byte, on file descriptors 3 and 4 (https://chromedevtools.github.io/devtools-protocol/).
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["Browser", "BrowserError", "Page", "find_browser", "pdf_pages"]

_CHECKS = (Path(__file__).parent / "page_checks.js").read_text()
_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # containers run as root; only our own files are opened
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
)
# Moves the two pipe ends to where the browser expects them, then becomes the browser.
_START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
    "os.execv(sys.argv[3], sys.argv[3:])"
)
_ABOVE = 10  # descriptors that cannot be 3 or 4 themselves
_PATIENCE_SECONDS = 180.0
_STRIP = 4000  # CSS pixels of a page in one screenshot
_KEYS = {"Tab": ("Tab", 9, ""), "Enter": ("Enter", 13, "\r"), " ": ("Space", 32, " ")}


class BrowserError(Exception):
    """The browser refused a command, failed or did not answer."""


def find_browser() -> str | None:
    """A Chromium on the path, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


class Browser:
    """One browser process with its own profile; the context's exit ends it and its children."""

    def __init__(self, executable: str) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        theirs_in, self._write = _pipe()
        self._read, theirs_out = _pipe(theirs="write")
        command = [
            *(sys.executable, "-c", _START, str(theirs_in), str(theirs_out)),
            *(executable, *_FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"),
        ]
        self._process = subprocess.Popen(
            command,
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a group that can be ended as a whole
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._received = b""
        self._last = 0
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(BrowserError, OSError):
            self.call("Browser.close", patience=5)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._read)
        os.close(self._write)
        self._profile.cleanup()

    def call(
        self,
        method: str,
        session: str | None = None,
        patience: float = _PATIENCE_SECONDS,
        **parameters: Any,
    ) -> dict[str, Any]:
        """Send a command and wait for its answer; events that arrive meanwhile are kept.

        Raises:
            BrowserError: the browser refuses, is gone or does not answer.
        """
        self._last += 1
        number = self._last
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        text = json.dumps(message).encode() + b"\0"
        while text:
            text = text[os.write(self._write, text) :]
        end = time.monotonic() + patience
        while True:
            answer = self._next(end, method)
            if answer.get("id") != number:
                self._take(answer)
            elif "error" in answer:
                raise BrowserError(f"{method}: {answer['error']}")
            else:
                result: dict[str, Any] = answer["result"]
                return result

    def wait_for(
        self, method: str, session: str, patience: float = _PATIENCE_SECONDS
    ) -> dict[str, Any]:
        """The first event of this kind; waits for it if necessary.

        Raises:
            BrowserError: it does not arrive.
        """
        end = time.monotonic() + patience
        while True:
            for event in self.events:
                if (event["method"], event.get("sessionId")) == (method, session):
                    return event
            self._take(self._next(end, method))

    def _take(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            return  # the answer to a closed dialog
        self.events.append(message)
        if message["method"] == "Page.javascriptDialogOpening":
            self._last += 1  # the page waits for this; its answer is ignored
            closing = {
                "id": self._last,
                "method": "Page.handleJavaScriptDialog",
                "params": {"accept": False},
                "sessionId": message["sessionId"],
            }
            os.write(self._write, json.dumps(closing).encode() + b"\0")

    def _next(self, end: float, what: str) -> dict[str, Any]:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._read], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise BrowserError(f"no answer to {what}")
            more = os.read(self._read, 1 << 20)
            if not more:
                raise BrowserError(f"the browser is gone: exit code {self._process.poll()}")
            self._received += more
        text, _, self._received = self._received.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    @contextmanager
    def open(
        self, file: Path, *, width: int = 1280, scheme: str = "light", offline: bool = True
    ) -> Iterator[Page]:
        """Open a file in its own window.

        Args:
            file: The file.
            width: Of the window, in CSS pixels; below 600 it is a phone's.
            scheme: The preferred colour scheme, `light` or `dark`.
            offline: Whether the network is off.
        """
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self, attached["sessionId"], width)
        try:
            page.prepare(scheme, offline)
            page.go(file)
            yield page
        finally:
            self.call("Target.closeTarget", targetId=target)
            self.events = [e for e in self.events if e.get("sessionId") != page.session]


def _pipe(theirs: str = "read") -> tuple[int, int]:
    """Both ends of a pipe; the browser's end avoids the descriptors that it will be moved to."""
    ends = list(os.pipe())
    index = ("read", "write").index(theirs)
    moved = fcntl.fcntl(ends[index], fcntl.F_DUPFD_CLOEXEC, _ABOVE)
    os.close(ends[index])
    ends[index] = moved
    return ends[0], ends[1]


class Page:
    """An open page. `problems` and `requests` list what it has done so far."""

    def __init__(self, browser: Browser, session: str, width: int) -> None:
        self.browser = browser
        self.session = session
        self.width = width

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a protocol command for this page."""
        return self.browser.call(method, self.session, **parameters)

    def prepare(self, scheme: str, offline: bool) -> None:
        """Enable all events and set the requested window."""
        for domain in ("Page", "Runtime", "Log", "Network", "Audits", "DOM", "Accessibility"):
            self.call(f"{domain}.enable")
        self.show(self.width, scheme)
        self.call(
            "Network.emulateNetworkConditions",
            offline=offline,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )

    def show(self, width: int, scheme: str = "light", media: str = "screen") -> None:
        """Become a window of this width, or paper (`print`), with this colour scheme."""
        self.width = width
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", media=media, features=[feature])

    def go(self, file: Path) -> None:
        """Open a file and wait until it is drawn."""
        answer = self.call("Page.navigate", url=file.resolve().as_uri())
        if "errorText" in answer:
            raise BrowserError(f"{file}: {answer['errorText']}")
        self.browser.wait_for("Page.loadEventFired", self.session)
        self.settle()
        self.run(_CHECKS)

    def settle(self) -> None:
        """Wait until pending changes are drawn and their events have arrived."""
        self.run("new Promise((done) => setTimeout(() => requestAnimationFrame(done), 100))")

    def run(self, script: str) -> Any:
        """The value of an expression (or promise) in the page.

        Raises:
            BrowserError: the expression throws.
        """
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise BrowserError(f"{script[:80]}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def check(self, name: str, *arguments: Any) -> str:
        """Problems found by one of the checks in `page_checks.js`, one per line."""
        call = f"checks.{name}({', '.join(map(json.dumps, arguments))})"
        return "\n".join(self.run(call))

    def check_pictures(self) -> str:
        """Text in figures with too little contrast to what is drawn under it, one per line."""
        found = []
        height = self.run("checks.hidePictureTexts(true)")
        for top in range(0, height, _STRIP):
            size = {"width": self.width, "height": min(_STRIP, height - top), "scale": 1}
            photograph = self.call(
                "Page.captureScreenshot",
                format="png",
                captureBeyondViewport=True,
                clip={"x": 0, "y": top, **size},
            )
            url = f"data:image/png;base64,{photograph['data']}"
            found.append(self.check("pictureContrast", url, top))
        self.run("checks.hidePictureTexts(false)")
        return "\n".join(filter(None, found))

    # ------------------------------------------------------------ events

    def _events(self, method: str) -> list[dict[str, Any]]:
        return [
            event["params"]
            for event in self.browser.events
            if event.get("sessionId") == self.session and event["method"] == method
        ]

    @property
    def problems(self) -> list[str]:
        """Console errors and warnings, exceptions, policy violations, dialogs."""
        found = [
            f"console {said['type']}: {[one.get('value') for one in said['args']]}"
            for said in self._events("Runtime.consoleAPICalled")
            if said["type"] in ("error", "warning", "assert")
        ]
        found += [
            f"exception: {thrown['exceptionDetails']}"
            for thrown in self._events("Runtime.exceptionThrown")
        ]
        found += [
            f"{entry['entry']['source']}: {entry['entry']['text']}"
            for entry in self._events("Log.entryAdded")
            if entry["entry"]["level"] in ("error", "warning")
        ]
        found += [
            f"issue: {issue['issue']['code']}"
            for issue in self._events("Audits.issueAdded")
            if issue["issue"]["code"] in ("ContentSecurityPolicyIssue", "QuirksModeIssue")
        ]
        found += [
            f"dialog: {dialog['message']}"
            for dialog in self._events("Page.javascriptDialogOpening")
        ]
        return found

    @property
    def requests(self) -> list[str]:
        """All requested URLs, the page included, in order."""
        asked = [sent["request"]["url"] for sent in self._events("Network.requestWillBeSent")]
        return asked + [made["url"] for made in self._events("Network.webSocketCreated")]

    @property
    def failed_requests(self) -> list[str]:
        """The reasons of failed requests."""
        return [failed["errorText"] for failed in self._events("Network.loadingFailed")]

    # ------------------------------------------------------------ input

    def click(self, element: str) -> None:
        """Click the middle of the element that an expression returns."""
        x, y = self.run(
            f"(() => {{ const element = {element};"
            "element.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});"
            "const box = element.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press a key: Tab, Enter or the space bar."""
        code, number, text = _KEYS[key]
        common: dict[str, Any] = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def accessible_names(self, selector: str) -> list[tuple[str, str | None]]:
        """The start of each element's markup and its accessible name.

        The name is None for an element that is hidden from screen readers.
        """
        tree = self.call("Accessibility.getFullAXTree")["nodes"]
        names = {
            node["backendDOMNodeId"]: node.get("name", {}).get("value", "")
            for node in tree
            if "backendDOMNodeId" in node and not node["ignored"]
        }
        root = self.call("DOM.getDocument", depth=0)["root"]["nodeId"]
        found = self.call("DOM.querySelectorAll", nodeId=root, selector=selector)["nodeIds"]
        result: list[tuple[str, str | None]] = []
        for node in found:
            facts = self.call("DOM.describeNode", nodeId=node)["node"]
            markup = f"<{facts['localName']} {' '.join(facts.get('attributes', []))}"[:150]
            result.append((markup, names.get(facts["backendNodeId"])))
        return result

    def pdf(self) -> bytes:
        """The page printed on A4."""
        printed = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
        return base64.b64decode(printed["data"])


def pdf_pages(pdf: bytes) -> list[bytes]:
    """The drawing instructions of each page of a PDF made by Chromium."""
    objects = dict(re.findall(rb"\n(\d+) 0 obj\n?(.*?)\nendobj", pdf, re.DOTALL))
    pages = [text for text in objects.values() if re.search(rb"/Type\s*/Page\b", text)]
    return [
        _stream(objects[number])
        for page in pages
        for number in re.findall(rb"/Contents (\d+) 0 R", page)
    ]


def _stream(text: bytes) -> bytes:
    """The content of a PDF object."""
    head, _, content = text.partition(b"stream\n")
    return zlib.decompressobj().decompress(content) if b"/FlateDecode" in head else content
