"""What all exercises share: how a check is registered and asked, and how a reader's function is called."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

CHECKS: dict[str, Callable[[Any], str | None]] = {}
HINTS = {  # what NumPy says, and what a reader can do about it
    "broadcast": " (the shapes do not fit: make one of them a column with [:, None]?)",
    "inhomogeneous": " (np.linalg.lstsq gives four things back; the answer is the first, [0])",
    "matmul": " (for a sum over all pixels write np.sum(a * b))",
    "CastingError": " (convert with .astype('float32') before you compute)",
}


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Attributes:
        status: "right", "not attempted" or "wrong".
        message: a sentence for the reader.
    """

    status: str
    message: str

    def __repr__(self) -> str:
        sign = {"right": "✔ Right", "not attempted": "… Not attempted", "wrong": "✘ Not yet"}[self.status]
        return f"{sign}: {self.message}"


class NotAttemptedError(Exception):
    """The stub is still a stub."""


def exercise(name: str):
    """Registers a function (answer) → fault or None as the check of the exercise `name`."""

    def register(fault_of: Callable[[Any], str | None]):
        CHECKS[name] = fault_of
        return fault_of

    return register


def check(name: str, answer: Any) -> Verdict:
    """Says whether an answer is right, and what is wrong if it is not.

    Args:
        name: of the exercise, as the notebook gives it, such as "00.1".
        answer: the reader's function; `...` or a function that returns `...` is not attempted.

    Returns:
        A Verdict; shown when it is the last line of a cell. It never raises.
    """
    if not isinstance(name, str) or name not in CHECKS:
        first, *_, last = sorted(CHECKS)
        return Verdict(
            "wrong", f"there is no exercise {name!r:.40}; known: {first} to {last}, at most four of a lesson."
        )
    if answer is ...:
        return Verdict("not attempted", "replace the ... by your answer and run the cell again.")
    try:
        with np.errstate(all="ignore"):
            fault = CHECKS[name](answer)
    except NotAttemptedError:
        return Verdict("not attempted", "replace the ... by your answer and run the cell again.")
    except KeyboardInterrupt:
        return Verdict("wrong", "the check was interrupted; does your function end?")
    except BaseException as error:  # whatever the reader's function does, the notebook goes on
        words = _one_line(error)
        hint = next((hint for sign, hint in HINTS.items() if sign in words), "")
        return Verdict("wrong", f"it stopped with {words}{hint}")
    return Verdict("wrong", fault) if fault else Verdict("right", "the check found no fault.")


def _one_line(error: BaseException) -> str:
    """What an error says, on one line, whatever it says."""
    words = " ".join(traceback.format_exception_only(error)).split()
    return " ".join(words)[:300]


def call(function: Any, *arguments) -> Any:
    """The function's answer for copies of the arguments; NotAttemptedError if it is still `...`."""
    if not callable(function):
        raise TypeError(f"a function was expected, not {type(function).__name__}; give its name without brackets")
    copies = [argument.copy() if isinstance(argument, np.ndarray) else argument for argument in arguments]
    result = function(*copies)
    if result is ...:
        raise NotAttemptedError
    if result is None:
        raise TypeError("the function returns nothing; is its `return` missing?")
    return result


def array_of(function: Any, *arguments) -> np.ndarray:
    """As `call`, with the answer as an array of numbers."""
    result = np.asarray(call(function, *arguments))
    if result.dtype.kind not in "biuf":
        raise TypeError(f"numbers were expected as the answer, not {type(result.flat[0]).__name__}")
    return result


def number_of(function: Any, *arguments) -> float:
    """As `call`, with the answer as one number."""
    result = array_of(function, *arguments)
    if result.size != 1:
        raise TypeError(f"one number was expected as the answer, not an array of shape {result.shape}")
    return float(result.reshape(()))
