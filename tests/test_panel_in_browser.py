"""The panel in a real JupyterLab in headless Chromium: a notebook is opened and run, a prompt typed, a clip taken away.

What a panel does without a browser is tested in `test_panel.py`. `Lab` knows no panel, so another notebook is tested by
the same few words.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from vidgen_tf.clips import read_clip

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
PATIENCE = 240  # seconds for one thing to happen: two slow cores may be busy with notebooks
CLIP = (8, 24, 24, 3)

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER),
    reason="No Chromium with its chromedriver was found, so no browser drives the panel; on Debian install them with: "
    "apt-get install chromium chromium-driver",
)


class Lab:
    """A JupyterLab of its own, seen by a browser of its own; both end with the `with` block, and nothing stays.

    Args:
        folder: an empty one, where all that the two write goes: notebooks, downloads, settings, logs.
    """

    def __init__(self, folder: Path):
        self.notebooks, self.downloads, self.home = (folder / name for name in ("notebooks", "downloads", "home"))
        for made in (self.notebooks, self.downloads, self.home):
            made.mkdir()
        self.log, self.server, self.browser = folder / "jupyterlab.log", None, None

    def __enter__(self) -> "Lab":
        try:
            self.address = self._start_server()
            self._start_browser()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        try:
            if self.browser is not None:
                self.browser.quit()
        finally:
            if self.server is not None:
                self.server.terminate()  # it ends its kernels first; without it they end by themselves
                try:
                    self.server.wait(60)
                except subprocess.TimeoutExpired:
                    self.server.kill()
                    self.server.wait()

    def _environment(self) -> dict[str, str]:
        """Ours, but with no settings of the user's, and none written there."""
        folders = {"HOME": "", "IPYTHONDIR": "ipython", "MPLCONFIGDIR": "matplotlib"}
        folders |= {f"JUPYTER_{kind.upper()}_DIR": f"jupyter/{kind}" for kind in ("config", "data", "runtime")}
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "XDG_"))}
        return ours | {name: str(self.home / path) for name, path in folders.items()}

    def _start_server(self) -> str:
        """Starts JupyterLab on a free port, and returns its address once it listens, with {} for a path in it."""
        settings = self.home / "jupyter/config/lab/user-settings/@jupyterlab/apputils-extension"
        settings.mkdir(parents=True)
        quiet = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
        (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet), encoding="utf-8")
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.port=0"]
        with self.log.open("w", encoding="utf-8") as log:
            self.server = subprocess.Popen(
                [*command, f"--ServerApp.root_dir={self.notebooks}"],
                env=self._environment(), cwd=self.notebooks, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        told = self.home / f"jupyter/runtime/jpserver-{self.server.pid}.json"
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.server.poll() is None:
            if told.exists() and (text := told.read_text(encoding="utf-8")).strip().endswith("}"):
                server = json.loads(text)
                return f"http://127.0.0.1:{server['port']}/{{}}?token={server['token']}"
            time.sleep(0.2)
        raise AssertionError(f"JupyterLab did not start; it wrote: {self.log.read_text(encoding='utf-8')[-2000:]}")

    def _start_browser(self) -> None:
        options = ChromeOptions()
        options.binary_location = BROWSER  # both paths are given, so selenium looks for no download
        options.page_load_strategy = "eager"
        for argument in (
            "headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "no-first-run", "no-proxy-server",
            "disable-background-networking", "disable-component-update", "window-size=1300,1300",
            f"user-data-dir={self.home / 'chromium'}",
        ):  # fmt: skip
            options.add_argument(f"--{argument}")
        options.add_experimental_option("prefs", {"download.default_directory": str(self.downloads)})
        service = ChromeService(executable_path=DRIVER, env=self._environment())
        self.browser = Chrome(options, service)

    def wait(self, what: str, condition):
        """What `condition()` returns as soon as that is true; `what` says in words what did not come."""
        ignored = (WebDriverException, IndexError)  # not there yet, not there any more, something before it
        try:
            return WebDriverWait(self.browser, PATIENCE, 0.3, ignored).until(lambda _: condition())
        except TimeoutException:
            page = self.browser.find_element(By.TAG_NAME, "body").text[-2000:]
            raise AssertionError(f"{what} did not come in {PATIENCE} s; the page says: {page}") from None

    def all(self, css: str, text: str = "") -> list:
        """The elements on the screen that a selector finds and that show this text."""
        found = self.browser.find_elements(By.CSS_SELECTOR, css)
        return [element for element in found if element.is_displayed() and text in element.text]

    def one(self, css: str, text: str = ""):
        """The first such element, as soon as there is one."""
        return self.wait(f"{css} {text!r}", lambda: self.all(css, text)[0])

    def click(self, css: str, text: str = "") -> None:
        """Clicks on the first such element, as soon as it can be clicked."""

        def clicked() -> bool:
            self.all(css, text)[0].click()
            return True

        self.wait(f"A click on {css} {text!r}", clicked)

    def type(self, css: str, text: str) -> None:
        """Replaces what a field holds."""
        self.one(css).send_keys(Keys.CONTROL, "a", Keys.NULL, text)

    def run(self, name: str, *cells: str) -> None:
        """Writes a notebook, opens it, and runs all its cells by the menu, as a reader would."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.notebooks / name)
        self.browser.get(self.address.format(f"lab/tree/{name}") + "&reset")
        self.one(".jp-StatusBar-TextItem", "Python 3")  # cells that run before the kernel is there lose their outputs
        self.one(".jp-StatusBar-TextItem", "| Idle")
        self.click(".lm-MenuBar-item", "Run")
        self.click(".lm-Menu-item[data-command='runmenu:run-all']")

    def downloaded(self, name: str) -> Path:
        """A file that the browser has taken, once it is there; it gets its name when it is whole."""
        path = self.downloads / name
        self.wait(f"The download {name}", path.exists)
        return path


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


def test_a_prompt_becomes_a_clip_that_can_be_taken_away(lab):
    lab.run(
        "panel.ipynb",
        "import vidgen_tf as vg\nfrom vidgen_tf.panel import Studio, panel\nfrom vidgen_tf.worlds.shapes import parse",
        f"model = vg.Diffusion({CLIP}, vg.Shapes.words, patch=(4, 8, 8), width=8, blocks=1, heads=2, jumps=0.25)\n"
        "panel(Studio(model, ['a red circle moves left', 'a small blue cross rotates'], check=parse))",
    )
    prompt = ".jp-OutputArea input[list]"
    lab.type(prompt, "a red cirle moves left")
    lab.click("button", "generate")
    lab.one(".widget-html", "'cirle'")
    assert not lab.all(".widget-image")

    lab.type(prompt, "a small blue cross rotates")
    lab.click("button", "generate")
    picture = lab.one("img.widget-image")
    lab.wait("The picture", lambda: int(picture.get_property("naturalWidth")) > 0)
    assert not lab.all(".widget-html", "'cirle'")
    for kind in ("mp4", "gif", "png"):
        lab.click(".widget-html a", kind)
        assert read_clip(lab.downloaded(f"a-small-blue-cross-rotates-0.{kind}")).shape == CLIP


def test_a_sketch_and_a_prompt_become_a_clip_that_can_be_taken_away(lab):
    lab.run(
        "sketch.ipynb",
        "import vidgen_tf as vg\nfrom vidgen_tf.canvas import sketch_panel\nfrom vidgen_tf.panel import Studio\n"
        "from vidgen_tf.worlds.shapes import parse",
        f"model = vg.Diffusion({CLIP}, vg.Shapes.words, patch=(4, 8, 8), width=8, blocks=1, heads=2, jumps=0.25)\n"
        f"model = vg.SketchAdapter({CLIP}, model, width=8, blocks=1, heads=2)\n"
        "box = sketch_panel(Studio(model, ['a red circle moves left'], check=parse), lambda drawing: vg.region_of(drawing, 24),\n"
        "    lambda region, prompt: {'region': region[None]})\n"
        "box",
        "told = __import__('ipywidgets').HTML()\n"
        "def tell(_):\n    told.value = f'enclosed: {vg.region_of(box.canvas.picture(), 24).sum():.0f} of 576'\n"
        "box.button.on_click(tell)\ntold",
    )
    canvas = lab.one(".vidgen-canvas canvas")
    lab.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    lab.type(".jp-OutputArea input[list]", "a red circle moves left")

    def draw(*corners):  # by the pointer, from the middle of the canvas, and back to where the line begins
        hand = ActionChains(lab.browser, duration=60).move_to_element_with_offset(canvas, *corners[0]).click_and_hold()
        for corner in (*corners[1:], corners[0]):
            hand.move_to_element_with_offset(canvas, *corner)
        hand.release().perform()

    draw((-60, -20), (-60, -19), (-59, -19))  # a dot encloses nothing, and the panel says so
    lab.one(".widget-html", "enclose nothing")
    lab.click("button", "clear")
    lab.wait("The empty canvas", lambda: not lab.all(".widget-html", "enclose nothing"))

    canvas = lab.one(".vidgen-canvas canvas[data-round='1']")  # made anew
    draw((-64, -64), (64, -64), (64, 64), (-64, 64))  # half of 256 a side: a quarter of the canvas
    lab.click("button", "generate")
    lab.one(".widget-html a", "mp4")
    told = lab.one(".widget-html", "enclosed").text
    assert 100 < int(told.split()[1]) < 200  # 144 of 576, and half of the line
    lab.click(".widget-html a", "mp4")
    assert read_clip(lab.downloaded("a-red-circle-moves-left-0.mp4")).shape == CLIP
