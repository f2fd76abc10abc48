"""Quiet: TensorFlow says nothing when it starts, failures still do, and what needs no network loads none."""

import os
import subprocess
import sys

import pytest

from vidgen_tf.quiet import quiet_stderr


def run(code: str) -> subprocess.CompletedProcess:
    """A fresh Python process that runs the code."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "KERAS"))}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean, timeout=120)


def test_what_python_writes_is_kept_back_too():
    # That TensorFlow starts in silence is seen in test_command_line.py; here it is a dummy, to be quick.
    done = run(
        "import sys\n"
        "from unittest.mock import MagicMock\n"
        "sys.modules['keras'] = sys.modules['tensorflow'] = MagicMock()\n"
        "from vidgen_tf.quiet import quiet_stderr\n"
        "with quiet_stderr():\n"
        "    print('Python is not heard either,', file=sys.stderr)\n"
        "    sys.stderr.write('nor is an unfinished line')"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_needs_no_network_loads_none():
    done = run(
        "import sys, vidgen_tf\n"
        "from vidgen_tf import clips, metrics, preview\n"
        "from vidgen_tf.worlds import footage, shapes\n"
        "clip = vidgen_tf.Footage('bunny', 4, 8).sample(1, 0).clips\n"
        "vidgen_tf.filmstrip(clip), vidgen_tf.psnr(clip, clip), vidgen_tf.Shapes().sample(1, 0)\n"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_a_body_that_works_is_silent_and_gives_the_stream_back(capfd):
    with quiet_stderr():
        os.write(2, b"noise from C\n")
    os.write(2, b"heard")
    assert capfd.readouterr() == ("", "heard")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_body_that_fails_shows_what_it_wrote(capfd, error):
    def body():
        with quiet_stderr():
            os.write(2, b"the reason\n")
            raise error("stop")

    with pytest.raises(error):
        body()
    os.write(2, b"heard")
    assert capfd.readouterr() == ("", "the reason\nheard")


def test_no_file_stays_open():
    before = sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    if before is None:
        pytest.skip("open files cannot be counted here")
    for _ in range(3):
        with quiet_stderr():
            pass
    assert sorted(os.listdir("/proc/self/fd")) == before
