"""Pictures that lie on their side or in the mirror, as a camera stores them, and how they are to be seen."""

from dataclasses import dataclass

import numpy as np

from tarn.sharding.pillow import Bytes, orientation
from tarn.sharding.segments import may_be_turned
from tarn.training.pixels.geometry import Box
from tarn.training.pixels.pictures import Pixels


@dataclass(frozen=True, slots=True)
class Turn:
    """What makes the picture that is seen of the one that is stored: first mirrored, then its axes exchanged.

    Sizes are width and height.
    """

    left_right: bool = False
    top_bottom: bool = False
    exchanged: bool = False

    def size(self, stored: tuple[int, int]) -> tuple[int, int]:
        """As it is seen."""
        return (stored[1], stored[0]) if self.exchanged else stored

    def box(self, seen: Box, stored: tuple[int, int]) -> Box:
        """Where a box of the seen picture lies in the stored one."""
        left, top, right, bottom = (seen[1], seen[0], seen[3], seen[2]) if self.exchanged else seen
        if self.left_right:
            left, right = stored[0] - right, stored[0] - left
        if self.top_bottom:
            top, bottom = stored[1] - bottom, stored[1] - top
        return left, top, right, bottom

    def pixels(self, stored: Pixels) -> Pixels:
        """height x width x 3, as they are seen, contiguous."""
        seen = stored[:: -1 if self.top_bottom else 1, :: -1 if self.left_right else 1]
        return np.ascontiguousarray(seen.swapaxes(0, 1) if self.exchanged else seen)


AS_IT_IS = Turn()
TURNS = {  # by the number of the orientation (Exif 2.32, 4.6.4)
    1: AS_IT_IS,
    2: Turn(left_right=True),
    3: Turn(left_right=True, top_bottom=True),
    4: Turn(top_bottom=True),
    5: Turn(exchanged=True),
    6: Turn(top_bottom=True, exchanged=True),
    7: Turn(left_right=True, top_bottom=True, exchanged=True),
    8: Turn(left_right=True, exchanged=True),
}


def turn_of(data: Bytes) -> Turn:
    """As its Exif tells, or XMP where that does not, without a look at Pillow where a JPEG has neither. Raises
    BrokenPictureError."""
    if data[:2] == b"\xff\xd8" and not may_be_turned(data):
        return AS_IT_IS
    return TURNS[orientation(data)]
