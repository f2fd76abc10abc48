"""Trains talk-faces by the recipe in drafts/12/presets and puts card and weights into vidgen_tf/presets, on two quiet cores:

python drafts/12/train.py
"""

from pathlib import Path

from vidgen_tf import presets

HERE = Path(__file__).parent
there, presets.FOLDER = presets.FOLDER, HERE / "presets"
presets.train("talk-faces", there)
