"""Builds a lesson, not executed: python drafts/build.py 10 [FOLDER]. `<<name>>` becomes what bands_NN.json says; null is TO SET."""

import json
import re
import sys
from pathlib import Path

import nbformat

HERE = Path(__file__).parent
N = sys.argv[1]
NAME = {"10": "10_text_to_video"}[N]
BANDS = json.loads((HERE / f"bands_{N}.json").read_text())


def filled(kind, text):
    def band(f):
        v = BANDS.get(f[1])
        return str(v) if v is not None else ("at_least=-1e9" if kind == "code" else "**TO SET**")

    return re.sub(r"<<([a-z0-9_]+)>>", band, text.strip("\n"))


def build(src, dst, prefix):
    nb = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    parts = re.split(r"^# %% (md|code)\n", src.read_text(encoding="utf-8"), flags=re.M)[1:]
    for k, (kind, text) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
        new = nbformat.v4.new_markdown_cell if kind == "md" else nbformat.v4.new_code_cell
        nb.cells.append(new(filled(kind, text), id=f"{prefix}{N}-{k:03d}"))
    nbformat.write(nb, dst)


folder = Path(sys.argv[2]) if len(sys.argv) > 2 else HERE.parent / "notebooks"
build(HERE / f"lesson_{N}.txt", folder / f"{NAME}.ipynb", "c")
if (HERE / f"solutions_{N}.txt").exists():
    build(HERE / f"solutions_{N}.txt", folder / "solutions" / f"{NAME}.ipynb", "s")
