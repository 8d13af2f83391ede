"""Compiled joining of times and values into the points of Prometheus' JSON."""

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
OPENING, COMMA, QUOTE, CLOSING = ord("["), ord(","), ord('"'), ord("]")
DOT, ZERO, EXPONENT = ord("."), ord("0"), ord("e")


@njit(cache=True, nogil=True)
def join_points(
    values: Bytes, times: Bytes, time_ends: Ints, steps: Ints, out: Bytes, row_ends: Ints, row_counts: Ints, odd: Bytes
) -> None:
    """Write `[time,"value"],…` row by row into `out`; `values` are numbers with a comma or a bracket after each.

    Point k shows the time of step steps[k]; row r has row_counts[r] points and ends at row_ends[r]. A trailing `.0` is
    left out. `odd` is set where a row has a number with an exponent or none at all: those are for the caller to write.
    """
    at = 0
    place = 0
    point = 0
    for row in range(row_counts.size):
        for number in range(row_counts[row]):
            if number:
                out[place] = COMMA
                place += 1
            out[place] = OPENING
            place += 1
            step = steps[point]
            point += 1
            for index in range(time_ends[step], time_ends[step + 1]):
                out[place] = times[index]
                place += 1
            out[place] = COMMA
            out[place + 1] = QUOTE
            place += 2
            while values[at] != COMMA and values[at] != CLOSING:
                if values[at] >= EXPONENT:
                    odd[row] = 1
                out[place] = values[at]
                place += 1
                at += 1
            if out[place - 1] == ZERO and out[place - 2] == DOT:
                place -= 2
            at += 1
            out[place] = QUOTE
            out[place + 1] = CLOSING
            place += 2
        row_ends[row] = place


def warm_up() -> None:
    """Compile for the types in use."""
    digits, whole = np.frombuffer(b"1,", np.uint8), np.zeros(2, np.int64)
    room = np.zeros(16, np.uint8)
    join_points(digits, digits, whole, whole, room, whole.copy(), np.ones(1, np.int64), room.copy())
