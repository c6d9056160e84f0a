"""Large pictures through networks without norms: tiles and strips whose results are those of the whole picture."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from translate.models.pretrained_unet import STRIDE, PretrainedUNet, seen, smaller

Source = Callable[[int, int, int, int], Tensor]  # top, bottom, left, right -> (1, 3, bottom - top, right - left)
Piece = tuple[int, int, Tensor]  # top and left in the result, and (1, 3, h, w) of it


def in_tiles(
    network: Callable[[Tensor], Tensor],
    source: Source,
    height: int,
    width: int,
    *,
    side: int,
    halo: int,
    multiple: int = 1,
    scale: int = 1,
) -> Iterator[Piece]:
    """Run a network on tiles, each with its surroundings; the pieces are exactly those of the whole result.

    An output pixel of a network of convolutions depends on no input pixel that is further away than the halo. At the
    picture's own border a tile ends there, so that the network pads it as it would pad the picture.

    Args:
        network: (1, 3, h, w) -> (1, 3, scale·h, scale·w).
        source: gives a part of the picture, in the network's range.
        height: of the picture.
        width: of the picture.
        side: of a tile, without its halo.
        halo: in input pixels.
        multiple: sides that the network takes; the picture's are multiples of it.
        scale: of the enlargement.
    """
    side, halo = max(multiple, side // multiple * multiple), -(-halo // multiple) * multiple
    for top in range(0, height, side):
        for left in range(0, width, side):
            bottom, right = min(top + side, height), min(left + side, width)
            above, before = max(0, top - halo), max(0, left - halo)
            y = network(source(above, min(bottom + halo, height), before, min(right + halo, width)))
            rows = slice((top - above) * scale, (bottom - above) * scale)
            columns = slice((left - before) * scale, (right - before) * scale)
            yield top * scale, left * scale, y[:, :, rows, columns]


def in_strips(network: PretrainedUNet, source: Source, height: int, width: int, *, rows: int) -> Iterator[Piece]:
    """Run the network on a picture that is never in memory as a whole; the strips are exactly those of the result.

    Args:
        network: of one picture.
        source: gives a part of the picture, in the network's range.
        height: of the picture.
        width: of the picture.
        rows: of a strip, about.
    """
    times = smaller(height, width, network.side)
    step = max(1, rows // (STRIDE * times)) * STRIDE * times
    strips = [(top, min(top + step, height)) for top in range(0, height, step)]
    found = network.look(torch.cat([seen(source(*strip, 0, width), times) for strip in strips], 2))
    for top, bottom in strips:
        yield top, 0, network.applied(found, source(top, bottom, 0, width), times, top)
