"""What several tests share: how a refusal must read, and clips whose truth is known."""

from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from vidgen_tf.clips import to_float


@contextmanager
def refuses(*words: str, error: type[Exception] = ValueError):
    """The body must raise `error` with one sentence: one line, under 300 characters, with all these words in it."""
    with pytest.raises(error) as caught:
        yield
    one_sentence(str(caught.value), *words)


def one_sentence(message: str, *words: str) -> None:
    """Asserts that a message is one line, neither terse nor long, and has these words in it."""
    message = message.rstrip("\n")
    assert "\n" not in message, message
    assert 15 < len(message) < 300, message
    for word in words:
        assert word in message, f"{word!r} is missing in: {message}"


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Independent uniform pixels at exact uint8 levels, as float32 in [-1, 1]."""
    return to_float(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def steps(time: int, height: int = 8, width: int = 8, channels: int = 1) -> np.ndarray:
    """One clip whose frame t is flat with grey level 10 · (t + 1), so that a level tells which frame it is."""
    levels = 10 * (1 + np.arange(time, dtype=np.uint8))
    return to_float(np.broadcast_to(levels[:, None, None, None], (time, height, width, channels)).copy())


def smooth(time: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    """One clip of slow waves that drift: the kind of picture that video codecs are made for."""
    t, y, x, c = np.meshgrid(*(np.arange(n) for n in (time, height, width, channels)), indexing="ij")
    return (0.8 * np.sin(0.15 * x + 0.1 * t + c) * np.cos(0.12 * y - 0.05 * t)).astype(np.float32)


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder, hidden things too: path to content, None for folders."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


class KernelMemory:
    """With each cell of a notebook goes the peak memory of its kernel up to now, where the system tells it (Linux)."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        kernel = getattr(item.parent, "kernel", None)
        if kernel is not None and call.when == "call":
            with suppress(OSError, StopIteration, AttributeError):
                status = Path(f"/proc/{kernel.km.provisioner.pid}/status").read_text(encoding="utf-8")
                peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))  # KiB
                report.user_properties.append(("kernel_gib", int(peak) / 2**20))
        return report


def pytest_configure(config):
    config.pluginmanager.register(KernelMemory())  # hooks of this file itself would see the tests in this folder alone


def pytest_terminal_summary(terminalreporter):
    """After the run: how long each file took, kernel start included, and a notebook's most memory; two ran at a time."""
    seconds, gib = Counter(), {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            name = getattr(report, "nodeid", "").split("::")[0]
            seconds[name] += getattr(report, "duration", 0)
            if name.endswith(".ipynb"):
                gib[name] = max(gib.get(name, 0), dict(getattr(report, "user_properties", ())).get("kernel_gib", 0))
    if gib:
        terminalreporter.section("seconds and peak memory (GiB) of each notebook")
        for name in sorted(gib):
            terminalreporter.write_line(f"{seconds.pop(name):6.1f}  {gib[name]:5.2f}  {name}")
        terminalreporter.section("seconds of the other files, where they are ten or more")
        for name, total in seconds.most_common():
            if total >= 10:
                terminalreporter.write_line(f"{total:6.1f}  {name}")
