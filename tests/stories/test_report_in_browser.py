"""Reports of trained models as a browser shows them, on a phone and on a wide screen."""

import functools
import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from stories.conftest import Lab
from trainwright.experiment import run_experiment
from trainwright.report.picture import draw_picture
from trainwright.spec.read import read_experiment

pytest.importorskip("torch")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="there is no chromium, chromium-browser or google-chrome"
)

WIDTHS = (400, 1600)
EVERYWHERE = {"results", "curves", "samples", "data", "versions", "lineage", "environment", "repeat"}
WANTED = {
    "classification": {"confusion", "classes", "probabilities"},
    "image": {"confusion", "classes", "probabilities"},
    "regression": {"values", "residuals", "spread", "slices"},
    "embedding": {"embedding"},
}
MODELS = {
    "classification": "{architecture: mlp, hidden_dims: [8]}",
    "image": "{architecture: cnn, hidden_dims: [4], input: image}",
    "regression": "{architecture: mlp, hidden_dims: [8], task_type: regression, head: mean_variance}",
    "embedding": "{architecture: mlp, hidden_dims: [8], task_type: embedding, output_dim: 4}",
}
SPEC = """\
name: a_model_with_a_rather_long_name_{kind}
data: {{path: {data}, split: {{val: 0.2, test: 0.3}}}}
model: {model}
train: {{backend: torch, epochs: 3, batch_size: 32}}
"""
# What the page says of itself, and which files it asked for.
PROBE = """<script>addEventListener("load", () => parent.postMessage({
  width: innerWidth,
  content: document.documentElement.scrollWidth,
  sections: [...document.querySelectorAll("section")].map(one => one.id),
  broken: [...document.images].filter(one => !one.naturalWidth).length,
  pictures: document.images.length,
  asked: performance.getEntriesByType("resource").map(one => one.name),
}, "*"))</script>"""
FRAME = """<!doctype html><body><script>addEventListener("message", told => {{
  document.body.dataset.told = JSON.stringify(told.data) }})</script>
<iframe src="{name}" style="width:{width}px;height:900px;border:0"></iframe>"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The report of a run of each kind."""
    lab = Lab(tmp_path_factory.mktemp("reports"))
    numbers = np.random.default_rng(0)
    for kind in ("classification", "embedding"):
        np.savez(lab.folder / f"{kind}.npz", x=lab.x, y=lab.y)
    np.savez(lab.folder / "image.npz", x=numbers.random((200, 3, 8, 8)).astype(np.float32), y=lab.y)
    names = [f"a_column_with_a_rather_long_name_{one}" for one in range(4)]
    rows = np.column_stack([lab.x, lab.x[:, 0] + numbers.normal(size=200)]).tolist()
    lines = [",".join(map(str, row)) for row in rows]
    (lab.folder / "regression.csv").write_text("\n".join([",".join([*names, "y"]), *lines]))
    return {kind: train(lab, kind) for kind in MODELS}


def train(lab, kind):
    data = "regression.csv, target: y" if kind == "regression" else f"{kind}.npz"
    lab.file.write_text(SPEC.format(kind=kind, data=data, model=MODELS[kind]))
    return run_experiment(read_experiment(lab.file).experiment, folder=lab.folder, home=lab.home).report


@functools.cache
def look(path, width):
    """Opens a copy of a page that says what became of it, in a frame: no window is as narrow as a phone."""
    name = f"{path.stem}-probed.html"
    (path.parent / name).write_text(path.read_text().replace("</body>", f"{PROBE}</body>"))
    frame = path.parent / f"{path.stem}-{width}.html"
    frame.write_text(FRAME.format(name=name, width=width))
    return json.loads(html.unescape(re.findall(r'data-told="([^"]*)"', dump(frame))[0]))


def dump(path):
    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--virtual-time-budget=5000",
    )
    command = [BROWSER, *options, f"--user-data-dir={path.parent / 'profile'}", "--dump-dom", path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", WANTED)
def test_nothing_is_wider_than_the_screen(reports, kind, width):
    seen = look(reports[kind], width)
    assert seen["width"] == width
    assert seen["content"] <= width


@pytest.mark.parametrize("kind", WANTED)
def test_every_section_is_there_and_every_picture_can_be_seen(reports, kind):
    seen = look(reports[kind], WIDTHS[0])
    assert set(seen["sections"]) == EVERYWHERE | WANTED[kind]
    assert seen["broken"] == 0 and (seen["pictures"] > 0) == (kind == "image")


@pytest.mark.parametrize("kind", WANTED)
def test_a_page_asks_for_no_other_file(reports, kind):
    assert look(reports[kind], WIDTHS[0])["asked"] == []
    text = reports[kind].read_text()
    named = re.findall(r"""\s(?:src|href|srcset|poster|action)\s*=\s*["']?([^"'>]*)""", text)
    assert named and all(one.startswith(("#", "data:image/png;base64,")) for one in named)
    assert not re.search(r"url\(|@import|<script|<link|<iframe", text)
    assert len(text) < 300_000


def test_a_page_that_is_too_wide_or_asks_for_a_file_would_be_found(tmp_path):
    page = tmp_path / "wide.html"
    page.write_text(
        '<!doctype html><body><div style="width:700px">x</div><img src="http://127.0.0.1:9/x.png"></body>'
    )
    seen = look(page, 400)
    assert seen["content"] > 700 and seen["asked"] == ["http://127.0.0.1:9/x.png"] and seen["broken"] == 1


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_browser_sees_the_pixels_that_were_written(tmp_path, channels):
    pixels = np.random.default_rng(channels).integers(0, 256, size=(3, 5, channels), dtype=np.uint8)
    if channels == 4:
        pixels[..., 3] = 255  # half transparent colours are rounded by the browser
        pixels[0, 0] = 0
    page = tmp_path / "picture.html"
    page.write_text(
        f"<!doctype html><body>{draw_picture(pixels, 'picture')}"
        """<script>addEventListener("load", () => {
  const image = document.images[0], canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const brush = canvas.getContext("2d");
  brush.drawImage(image, 0, 0);
  const seen = brush.getImageData(0, 0, canvas.width, canvas.height);
  document.body.dataset.told = [canvas.height, canvas.width, ...seen.data].join(" ") })</script></body>"""
    )
    height, width, *found = map(int, re.findall(r'data-told="([^"]*)"', dump(page))[0].split())
    colors = np.array(found).reshape(height, width, 4)
    wanted = np.full((3, 5, 4), 255)
    wanted[..., :3] = pixels[..., : min(channels, 3)]
    if channels == 4:
        wanted[..., 3] = pixels[..., 3]
    np.testing.assert_array_equal(colors, wanted)
