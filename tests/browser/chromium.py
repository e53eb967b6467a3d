"""A headless Chromium, driven over the DevTools protocol through two pipes: no driver program, no package.

`Browser.page()` opens a page; a page goes, waits, types, clicks, evaluates and takes pictures.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--no-first-run",
    "--remote-debugging-pipe",
)
PATIENCE_S = 60.0
Json = dict[str, Any]


def chromium() -> str | None:
    """The browser of this machine, if it has one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class BrowserError(AssertionError):
    """What the browser says went wrong."""


class Browser:
    """One process with a fresh profile. Answers are matched by id; events are kept per session."""

    def __init__(self, process: subprocess.Popen[bytes], reading: int, writing: int) -> None:
        self.process = process
        self._reading, self._writing = reading, writing
        self._number = 0
        self._answers: dict[int, Json] = {}
        self._events: list[Json] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ask(self, method: str, session: str | None = None, **params: Any) -> Json:
        """Sends a command and waits for its answer. BrowserError."""
        with self._news:
            self._number += 1
            number = self._number
        message: Json = {"id": number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        with self._news:
            if not self._news.wait_for(lambda: number in self._answers, PATIENCE_S):
                raise BrowserError(f"{method} was not answered")
            answer = self._answers.pop(number)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']}")
        return cast("Json", answer["result"])

    def events(self, session: str, method: str) -> list[Json]:
        """The parameters of every event of that kind so far."""
        with self._news:
            return [e["params"] for e in self._events if e.get("sessionId") == session and e["method"] == method]

    def page(self, *, width: int = 1200, height: int = 900, dark: bool = False, scripts: bool = True) -> Page:
        """A page in a browser context of its own: no cookies of others."""
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        target = self.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, context)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.ask(f"{domain}.enable")
        page.look(width=width, height=height, dark=dark)
        if not scripts:
            page.ask("Emulation.setScriptExecutionDisabled", value=True)
        return page

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(5)
        os.close(self._reading)
        os.close(self._writing)

    def _read(self) -> None:
        waiting = b""
        while chunk := os.read(self._reading, 1 << 16):
            *messages, waiting = (waiting + chunk).split(b"\0")
            with self._news:
                for message in map(json.loads, messages):
                    if "id" in message:
                        self._answers[message["id"]] = message
                    else:
                        self._events.append(message)
                self._news.notify_all()


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str, context: str) -> None:
        self._browser, self._session, self._context = browser, session, context

    def ask(self, method: str, **params: Any) -> Json:
        return self._browser.ask(method, self._session, **params)

    def look(self, *, width: int, height: int, dark: bool) -> None:
        """Size in CSS pixels and the colour scheme the reader prefers."""
        mobile = width < 700
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def go(self, url: str) -> None:
        """Opens the address and waits until it is loaded."""
        before = self._loads()
        answer = self.ask("Page.navigate", url=url)
        if "errorText" in answer:
            raise BrowserError(f"{url}: {answer['errorText']}")
        self._until_loaded(before)

    def grant(self, *permissions: str) -> None:
        """What a person would be asked for."""
        self._browser.ask("Browser.grantPermissions", permissions=list(permissions), browserContextId=self._context)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are awaited. BrowserError for what it throws."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def text(self, selector: str = "body") -> str:
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def has(self, selector: str) -> bool:
        return bool(self.evaluate(f"document.querySelector({json.dumps(selector)}) !== null"))

    def fill(self, selector: str, value: str) -> None:
        """Types into a field as a person would, one insertion."""
        self.evaluate(
            f"(() => {{ const f = document.querySelector({json.dumps(selector)}); f.focus(); f.select?.(); }})()"
        )
        self.ask("Input.insertText", text=value)

    def click(self, selector: str) -> None:
        """A real click in the middle of the element, wherever that leads."""
        where = self.evaluate(
            f"""(() => {{
                const e = document.querySelector({json.dumps(selector)});
                e.scrollIntoView({{block: "center"}});
                const b = e.getBoundingClientRect();
                return [b.x + b.width / 2, b.y + b.height / 2];
            }})()"""
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=where[0], y=where[1], button="left", clickCount=1)

    def click_through(self, selector: str) -> None:
        """A click that leads to another page."""
        before = self._loads()
        self.click(selector)
        self._until_loaded(before)

    def press(self, key: str) -> None:
        """Tab, Enter or Space."""
        codes = {"Tab": (9, ""), "Enter": (13, "\r"), "Space": (32, " ")}
        code, text = codes[key]
        name = " " if key == "Space" else key
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text} if text and kind == "keyDown" else {}
            self.ask("Input.dispatchKeyEvent", type=kind, key=name, code=key, windowsVirtualKeyCode=code, **typed)

    def until(self, expression: str, patience_s: float = PATIENCE_S) -> Any:
        """Waits until the expression is true, and gives its value."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            try:
                if value := self.evaluate(expression):
                    return value
            except BrowserError:
                pass  # the page is just changing
            time.sleep(0.05)
        raise BrowserError(f"never true: {expression}\n{self.text()}")

    def picture(self, path: Path) -> None:
        """The whole page, as far down as it goes, as PNG."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000), "scale": 1}
        shot = self.ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """Errors and policy violations that the browser noted, and exceptions of scripts."""
        noted = [e["entry"]["text"] for e in self._browser.events(self._session, "Log.entryAdded")]
        thrown = [str(e["exceptionDetails"]) for e in self._browser.events(self._session, "Runtime.exceptionThrown")]
        return noted + thrown

    def requested(self) -> list[str]:
        """Every address that was asked for."""
        return [e["request"]["url"] for e in self._browser.events(self._session, "Network.requestWillBeSent")]

    def _loads(self) -> int:
        return len(self._browser.events(self._session, "Page.loadEventFired"))

    def _until_loaded(self, before: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self._loads() <= before:
            if time.monotonic() > deadline:
                raise BrowserError("the page did not load")
            time.sleep(0.02)


@contextmanager
def opened(program: str) -> Iterator[Browser]:
    """A browser with a profile that is thrown away."""
    to_browser, writing = os.pipe()
    reading, from_browser = os.pipe()
    with tempfile.TemporaryDirectory(prefix="face-api-browser-", ignore_cleanup_errors=True) as profile:

        def wire() -> None:
            """The browser reads commands from descriptor 3 and writes to 4."""
            here, there = os.dup2(to_browser, 10), os.dup2(from_browser, 11)
            os.dup2(here, 3)
            os.dup2(there, 4)

        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=wire,  # noqa: PLW1509 — only dup2
            close_fds=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"HOME": profile},
        )
        os.close(to_browser)
        os.close(from_browser)
        browser = Browser(process, reading, writing)
        try:
            yield browser
        finally:
            browser.close()
