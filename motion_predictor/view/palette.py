"""Colours of the view, light and dark. Colour-blind readers can also tell these colours apart.

The page applies a tone curve (ACES), which makes every colour paler. Therefore the colours in this
module are more vivid than the colours on the screen.
"""

from dataclasses import dataclass

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Palette:
    """Colours of the view as red, green and blue from 0 to 255."""

    paper: Rgb
    """The background, into which lines fade."""
    floor: Rgb
    grid: Rgb
    person: Rgb
    """People at present."""
    lost: Rgb
    """People who cannot be predicted now."""
    future: Rgb
    """Predictions."""
    truth: Rgb
    """The true motion that followed a prediction."""
    robot: Rgb

    def faded(self, colour: Rgb, share: float) -> Rgb:
        """Mix a colour with the background. A share of 1 gives the colour, 0 the background."""
        mixed = (round(p + (c - p) * share) for c, p in zip(colour, self.paper, strict=True))
        r, g, b = mixed
        return r, g, b


LIGHT = Palette(
    paper=(255, 255, 255),
    floor=(238, 240, 243),
    grid=(205, 210, 216),
    person=(15, 85, 215),
    lost=(150, 155, 160),
    future=(245, 95, 0),
    truth=(0, 160, 85),
    robot=(110, 112, 118),
)
DARK = Palette(
    paper=(20, 20, 20),
    floor=(34, 36, 40),
    grid=(62, 66, 72),
    person=(30, 100, 255),
    lost=(120, 124, 130),
    future=(255, 110, 0),
    truth=(0, 220, 100),
    robot=(190, 192, 198),
)
