"""Builds notebooks/17_scoreboard.ipynb and its solutions, not executed: python drafts/17/build.py [FOLDER]

Bands of claims are in bands.json: `<<name>>` in a cell becomes what stands there, such as "0.86, within=0.06" or
"at_least=0.8". What is null there is still TO SET: a claim that holds for anything, and the words TO SET in the prose.
"""

import json
import re
import sys
from pathlib import Path

import nbformat

HERE = Path(__file__).parent
BANDS = json.loads((HERE / "bands.json").read_text(encoding="utf-8"))
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def filled(kind, text):
    def band(found):
        value = BANDS[kind][found[1]]
        if value is not None:
            return str(value)
        return "at_least=-1e9" if kind == "code" else "**TO SET**"

    return re.sub(r"<<([a-z0-9_]+)>>", band, text.strip("\n"))


def write(cells, path, prefix):
    notebook = nbformat.v4.new_notebook(metadata=METADATA)
    for number, (kind, text) in enumerate(cells):
        new = nbformat.v4.new_markdown_cell if kind == "md" else nbformat.v4.new_code_cell
        notebook.cells.append(new(filled(kind, text), id=f"{prefix}-{number:03d}"))
    nbformat.write(notebook, path)


def cells_of(path):
    """The cells of a file with lines "# %% md" and "# %% code" above each."""
    parts = re.split(r"^# %% (md|code)\n", path.read_text(encoding="utf-8"), flags=re.M)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent.parent / "notebooks"
    write(cells_of(HERE / "lesson.txt"), folder / "17_scoreboard.ipynb", "c17")
    write(cells_of(HERE / "solutions.txt"), folder / "solutions" / "17_scoreboard.ipynb", "s17")
