"""Which pixels rasterio puts in each polygon, as an independent answer: rasterio-oracle.py GRID [touched] < IN > OUT

GRID is "a c e f width height" (x = c + col * a, y = f + row * e). IN holds polygons as length-prefixed
little-endian WKB; OUT has for each a number of pixels and their row * width + col, ascending, or 2^32 - 1 when
the polygon lies outside the raster. All numbers are little-endian uint32.
"""

import struct
import sys
import warnings

import numpy
import rasterio
from rasterio.mask import raster_geometry_mask

OUTSIDE = 0xFFFFFFFF
TOUCHED = sys.argv[2:] == ["touched"]


def read_polygon(wkb, at):
    """Coordinates of a polygon at `at`, and where it ends."""
    order, kind, rings = struct.unpack_from("<BII", wkb, at)
    assert order == 1 and kind == 3
    at += 9
    polygon = []
    for _ in range(rings):
        (count,) = struct.unpack_from("<I", wkb, at)
        at += 4
        numbers = struct.unpack_from(f"<{2 * count}d", wkb, at)
        at += 16 * count
        polygon.append(list(zip(numbers[0::2], numbers[1::2])))
    return polygon, at


def read_geometry(wkb):
    order, kind, parts = struct.unpack_from("<BII", wkb, 0)
    if kind == 3:
        return {"type": "Polygon", "coordinates": read_polygon(wkb, 0)[0]}
    polygons, at = [], 9
    for _ in range(parts):
        polygon, at = read_polygon(wkb, at)
        polygons.append(polygon)
    return {"type": "MultiPolygon", "coordinates": polygons}


def pixels_of(dataset, geometry):
    """As rasterio.mask.mask(dataset, [geometry], crop=True) has it, with all_touched when asked for."""
    try:
        mask, _, window = raster_geometry_mask(dataset, [geometry], crop=True, all_touched=TOUCHED)
    except ValueError:
        return None
    rows, cols = numpy.nonzero(~mask)
    return (rows + int(window.row_off)) * dataset.width + cols + int(window.col_off)


def main():
    a, c, e, f = (float(v) for v in sys.argv[1].split()[:4])
    width, height = (int(v) for v in sys.argv[1].split()[4:])
    data = sys.stdin.buffer.read()
    out = []
    warnings.simplefilter("ignore")
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 1,
        "width": width,
        "height": height,
        "transform": rasterio.Affine(a, 0, c, 0, e, f),
        "sparse_ok": True,
    }
    with rasterio.Env(), rasterio.MemoryFile() as memory:
        with memory.open(**profile):
            pass
        with memory.open() as dataset:
            assert dataset.transform == profile["transform"]
            at = 0
            while at < len(data):
                (size,) = struct.unpack_from("<I", data, at)
                pixels = pixels_of(dataset, read_geometry(data[at + 4 : at + 4 + size]))
                at += 4 + size
                if pixels is None:
                    out.append(struct.pack("<I", OUTSIDE))
                else:
                    out.append(struct.pack("<I", len(pixels)) + pixels.astype("<u4").tobytes())
    sys.stdout.buffer.write(b"".join(out))


main()
