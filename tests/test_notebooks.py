"""What every committed notebook keeps, besides running (which nbval checks)."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted(path for path in ROOT.glob("notebooks/**/*.ipynb") if ".ipynb_checkpoints" not in path.parts)
LESSONS = [path for path in NOTEBOOKS if path.parent.name == "notebooks"]


def cells_of(path, kind="code"):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == kind and "".join(cell["source"]).strip()]


def source_of(cell):
    return "".join(cell["source"])


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: "/".join(path.parts[-2:]))
def notebook(request):
    return request.param


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return request.param


def test_there_are_lessons_with_solutions():
    assert {path.name for path in LESSONS} >= {"00_start_here.ipynb", "01_dense_frame_generator.ipynb"}
    for path in LESSONS:
        assert re.fullmatch(r"\d\d_[a-z0-9_]+\.ipynb", path.name), f"{path.name} is not named NN_topic.ipynb"
        assert (path.parent / "solutions" / path.name).exists(), f"{path.name} has no solutions"


def test_was_executed_from_top_to_bottom(notebook):
    counts = [cell["execution_count"] for cell in cells_of(notebook)]
    assert counts == list(range(1, len(counts) + 1)), "run all cells in a fresh kernel before committing"


def test_has_no_error_and_no_warning(notebook):
    for cell in cells_of(notebook):
        for output in cell["outputs"]:
            assert output["output_type"] != "error", source_of(cell)
            assert output.get("name") != "stderr", "".join(output["text"])


def test_has_no_path_of_a_machine(notebook):
    text = notebook.read_text(encoding="utf-8")
    assert not re.search(r"/(home|Users|root|tmp|work)/\w|[A-Z]:\\\\\\\\Users|site-packages", text)


def test_stays_small(notebook):
    assert notebook.stat().st_size < 3_000_000  # a web viewer must show it, and git keeps every version


def test_every_cell_fits_on_a_screen(notebook):
    for cell in cells_of(notebook):
        assert source_of(cell).count("\n") < 30, source_of(cell)[:80]


def test_runs_on_any_machine_with_a_python_kernel(notebook):
    metadata = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]
    assert metadata["kernelspec"]["name"] == "python3"
    assert "widgets" not in metadata or len(json.dumps(metadata["widgets"])) < 500_000


def test_lesson_claims_numbers(lesson):
    claims = [
        cell
        for cell in cells_of(lesson)
        if re.search(r"vg\.claim\(|np\.testing\.assert|^assert ", source_of(cell), re.M)
    ]
    assert len(claims) >= 8, "a lesson asserts what it says"


def test_lesson_shows_something_often(lesson):
    pictures = [
        cell for cell in cells_of(lesson) if any("image/png" in output.get("data", {}) for output in cell["outputs"])
    ]
    assert len(pictures) >= 10


def test_every_picture_can_be_read_aloud(lesson):
    for cell in cells_of(lesson):
        for output in cell["outputs"]:
            if "image/png" in output.get("data", {}):
                described = output.get("metadata", {}).get("image/png", {}).get("alt")
                assert described or "title" in source_of(cell), f"neither alt text nor title: {source_of(cell)[:80]}"


def test_lesson_ends_with_exercises_not_attempted(lesson):
    stubs = [cell for cell in cells_of(lesson) if "vg.check(" in source_of(cell)]
    assert len(stubs) >= 3
    for cell in stubs:
        shown = "".join(cell["outputs"][0]["data"]["text/plain"])
        assert shown.startswith("… Not attempted"), shown


def test_solutions_are_right(lesson):
    exercises = re.findall(r'vg\.check\("([\d.]+)"', "".join(source_of(cell) for cell in cells_of(lesson)))
    solution = lesson.parent / "solutions" / lesson.name
    shown = {}
    for cell in cells_of(solution):
        for name in re.findall(r'vg\.check\("([\d.]+)"', source_of(cell)):
            shown[name] = "".join(cell["outputs"][0]["data"]["text/plain"])
    assert sorted(shown) == sorted(exercises)
    assert all(text.startswith("✔ Right") for text in shown.values()), shown
