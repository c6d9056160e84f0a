"""Image files to arrays and back: orientation, EXIF, ICC, alpha and 16 bit survive, and no half file is ever left.

Pillow reads 8 bit, as it notices when a file is cut short; OpenCV reads 16 bit, which Pillow cannot hold. Pillow writes
all but PNG and TIFF: `strips` does these, as fast, and row by row. Not kept: XMP, text, resolution outside EXIF,
embedded thumbnails. 16-bit RGB of a PPM is read as 8 bit; 16-bit grey with alpha is written as RGBA. `lost` names
what a format cannot hold.
"""

from translate.formats import DEFAULT_MAX_PIXELS, is_image
from translate.images.decode import read
from translate.images.encode import by_rows, lost, write, write_strips
from translate.images.picture import Picture

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "Picture",
    "by_rows",
    "is_image",
    "lost",
    "read",
    "write",
    "write_strips",
]
