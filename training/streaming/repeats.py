"""Repeated augmentation: every picture several times, one soon after the other, in crops of its own.

Each showing counts as a sample: an epoch has as many as without, and shows one `repeats`th of the pictures. `repeats`
epochs in a row are a cycle, which shows every picture `repeats` times, but for the remainder that training leaves out,
drawn anew each cycle. A cycle goes once through one order (order.py, drawn for its number in place of the epoch's): the
order's positions are taken `lanes` at a time, a row, and each row is shown `repeats` times before the next one. So the
showings of a picture stand `lanes` positions apart: in one global batch (or two neighbouring ones, or epochs, where one
ends between them), on the same lane, hence on the same rank. Only the order counts: neither ranks nor workers appear.

Source: Hoffer et al. 2019 (arXiv 1901.09335), Berman et al. 2019 (MultiGrain, arXiv 1902.05509). DeiT's sampler
(Touvron et al. 2020, arXiv 2012.12877) deals showings to different ranks and stops where an epoch's samples are served;
the pictures that come in an epoch are then drawn by chance, here all come in turn.
"""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def unrepeated(positions: Ints, samples: int, lanes: int, repeats: int) -> tuple[Ints, Ints]:
    """Positions in the order, and which showing of its picture each is (0 to repeats - 1), of positions of a cycle.

    samples: that an epoch serves. Over the repeats * samples positions of a cycle, each of the order's first `samples`
    positions comes with each showing once.
    """
    row, last = lanes * repeats, samples % lanes  # the last row may be shorter
    order, showing = positions // row * lanes + positions % lanes, positions % row // lanes
    behind = positions - samples // lanes * row
    if last:
        order = np.where(behind >= 0, samples - last + behind % last, order)
        showing = np.where(behind >= 0, behind // last, showing)
    return order, showing
