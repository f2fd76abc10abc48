"""The checks of the exercises: `check(name, answer)` says right, not attempted, or what is wrong.

A check never raises and never stops a notebook: what goes wrong inside the reader's function is part of the
verdict. Each check is itself tested against one right and at least three plausible wrong answers
(`tests/test_exercises.py`).

To add one, write a function in the file of its lesson, `lesson_NN.py`. It takes the answer and returns the first
fault it finds as a sentence, or None; name it with `@exercise("NN.number")`. `array_of` and `number_of` in
`checking.py` call the reader's function. Every file `lesson_NN.py` in this folder is found by its name.
"""

import importlib
import pkgutil

from vidgen_tf.exercises.checking import CHECKS, Verdict, check

__all__ = ["CHECKS", "Verdict", "check"]

for _, _name, _ in pkgutil.iter_modules(__path__):
    if _name.startswith("lesson_"):
        importlib.import_module(f"{__name__}.{_name}")
