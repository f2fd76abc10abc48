"""A few hundred broken files in every run of the tests; `make fuzz` reads ten thousand, those that need TensorFlow too."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fuzz import ALL, KINDS, Kind, broken, input_of, run, verdict

pytest.importorskip("resource", reason="memory cannot be limited here")
QUICK = [name for name in ALL if not KINDS[name].slow]


def test_broken_files_are_read_or_refused_in_one_sentence_and_cost_little(tmp_path, capsys):
    rows = run(QUICK, 400, seed=1, keep=tmp_path, first=100)  # the hostile ones take long
    assert [row.failures for row in rows.values()] == [[] for _ in QUICK], capsys.readouterr().out
    assert sum(sum(row.counts.values()) for row in rows.values()) >= 390
    for name, row in rows.items():  # what is broken is neither always noticed nor never
        assert row.counts["refused"], name
        assert row.counts["accepted"] or name == "shards", name  # hardly a lie in an index is not noticed


def test_an_input_is_the_same_again_and_another_one_differs():
    kind = KINDS["idx"]
    first, second, other = input_of(kind, 7, 0), input_of(kind, 7, 0), input_of(kind, 9, 0)
    assert first == second != other
    assert len({broken(b"x" * 99, np.random.default_rng(seed)) for seed in range(50)}) > 30


def raises(error):
    def read(path):
        if path.read_bytes() != b"whole file":
            raise error

    return read


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (ValueError("file.bin is broken, so it is refused"), "refused"), (FileNotFoundError("file.bin is not there at all"), "refused"),
        (ValueError("too terse"), "failed"), (ValueError("this does not say which one it is"), "failed"),
        (ValueError("file.bin has a sentence\nof two lines"), "failed"), (KeyError("file.bin has no such key"), "failed"),
        (ValueError("file.bin " * 40), "failed"), (MemoryError(), "failed"), (UnicodeDecodeError("utf-8", b"", 0, 1, "file.bin"), "refused"),
    ],
)  # fmt: skip
def test_it_tells_a_refusal_from_a_failure(tmp_path, error, found):
    kind, path = Kind("file.bin", raises(error), lambda: [b"whole file"], 1), tmp_path / "file.bin"
    path.write_bytes(b"whole file")
    assert verdict(kind, path)[0] == "accepted"
    path.write_bytes(b"broken file")
    assert verdict(kind, path)[0] == found


def test_crashes_hangs_and_gluttons_are_found_and_kept(tmp_path):
    # In a process of its own, so that its patience is short, whatever the watch was told elsewhere.
    code = f"import fuzz, pathlib; fuzz.PATIENCE = 15; print(fuzz.watched('trial', 0, 5, 0, pathlib.Path({str(tmp_path)!r})))"
    told = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        env=os.environ | {"FUZZ_MEBIBYTES": "64"},
    ).stdout
    for count in ("'accepted': 1", "'failed': 3", "'refused': 1"):
        assert count in told
    assert re.search(r"\(1, 'the process died.*\(2, 'no answer for 15 seconds.*\(3, 'took \d+ MiB", told), told
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"trial-{number}-trial" for number in (1, 2, 3)]
