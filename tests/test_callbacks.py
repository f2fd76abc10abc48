"""LiveFrames: the right moments, in order, as pictures that tell what they are."""

import re

import numpy as np
import pytest
from conftest import refuses, smooth

from vidgen_tf.callbacks import LiveFrames
from vidgen_tf.families.dense import DenseFrameGenerator
from vidgen_tf.preview import Picture
from vidgen_tf.quiet import keras

CLIP = (4, 6, 6, 3)


def fit(epochs: int, **options) -> list[Picture]:
    """The pictures that a tiny training shows."""
    shown = []
    model = DenseFrameGenerator(CLIP, latent_size=4, hidden=(8, 8))
    model.compile(keras.optimizers.Adam(0.01))
    live = LiveFrames(lambda model: model.generate(2, seed=0), show=shown.append, **options)
    model.fit(smooth(*CLIP)[None], epochs=epochs, verbose=0, callbacks=[live])
    return shown


@pytest.mark.parametrize(("epochs", "after"), [(1, [1]), (2, [1, 2]), (5, [1, 2, 4, 5]), (8, [1, 2, 4, 8])])
def test_it_shows_the_start_powers_of_two_and_the_end(epochs, after):
    moments = ["before training", *(f"after epoch {epoch} of {epochs}" for epoch in after)]
    shown = fit(epochs)
    assert [picture.description.split(", ")[-1] for picture in shown] == moments
    assert all("2 clips of 4 frames" in picture.description for picture in shown)
    assert len({picture.png for picture in shown}) == len(shown)  # the frames change while it learns


def test_captions_say_moment_and_losses(monkeypatch):
    captions = []

    def filmstrip(clips, frames, words, titles):
        captions.append((len(clips), frames, words))
        return Picture(b"", "a strip")

    monkeypatch.setattr("vidgen_tf.preview.filmstrip", filmstrip)
    fit(2, frames=3)
    assert captions[0] == (2, 3, ["before training", ""])
    for epoch, (_, _, (words, empty)) in enumerate(captions[1:], 1):
        assert empty == ""
        moment, numbers = words.split(": ")
        assert moment == f"after epoch {epoch} of 2"
        assert [number.split(" ")[0] for number in numbers.split(", ")] == ["loss", "psnr"]
        assert np.isfinite([float(number.split(" ")[1]) for number in numbers.split(", ")]).all()


def test_the_description_holds_no_trained_number():
    # Notebooks are compared to the letter, and a trained number differs from processor to processor.
    for picture in fit(1):
        assert set(re.findall(r"\d+", picture.description)) <= {"1", "2", "4", "6"}
        assert "loss" not in picture.description


def test_without_a_notebook_the_description_is_printed(capsys):
    model = DenseFrameGenerator(CLIP, latent_size=4, hidden=(8, 8))
    live = LiveFrames(lambda model: model.generate(1, seed=0))
    live.set_model(model)
    live.set_params({"epochs": 1})
    live.on_train_begin()
    assert "before training" in capsys.readouterr().out


@pytest.mark.parametrize("bad", [0, -1, 2.5, True])
def test_bad_numbers_are_refused(bad):
    with refuses("frames", repr(bad)):
        LiveFrames(lambda model: None, frames=bad)
