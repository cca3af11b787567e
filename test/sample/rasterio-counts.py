"""Pixels per field by rasterio, an independent counter.

usage: rasterio-counts.py RASTER < lines of 'id,hex of WKB in EPSG:4326'
prints: id, square meters, pixels, pixels of code 0, majority code of the others (-1: none), its pixels;
or 'id,square meters,outside'
"""
import struct
import sys

import numpy
import pyproj
import rasterio
import rasterio.mask

project = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:5070", always_xy=True).transform


def polygon(wkb, at):
    rings = []
    (count,) = struct.unpack_from("<I", wkb, at + 5)
    at += 9
    for _ in range(count):
        (points,) = struct.unpack_from("<I", wkb, at)
        values = numpy.frombuffer(wkb, "<f8", points * 2, at + 4).reshape(-1, 2)
        at += 4 + points * 16
        rings.append(list(zip(*project(values[:, 0], values[:, 1]))))
    return rings, at


def geometry(wkb):
    (kind,) = struct.unpack_from("<I", wkb, 1)
    if kind == 3:
        return {"type": "Polygon", "coordinates": polygon(wkb, 0)[0]}
    (parts,) = struct.unpack_from("<I", wkb, 5)
    at, polygons = 9, []
    for _ in range(parts):
        rings, at = polygon(wkb, at)
        polygons.append(rings)
    return {"type": "MultiPolygon", "coordinates": polygons}


def shoelace(ring):
    x, y = numpy.array(ring).T
    x, y = x - x[0], y - y[0]
    return abs(numpy.dot(x[:-1], y[1:]) - numpy.dot(x[1:], y[:-1])) / 2


def area(shape):
    polygons = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
    return sum(shoelace(rings[0]) - sum(map(shoelace, rings[1:])) for rings in polygons)


with rasterio.open(sys.argv[1]) as source:
    for line in sys.stdin:
        field, text = line.strip().split(",")
        shape = geometry(bytes.fromhex(text))
        try:
            masked, _ = rasterio.mask.mask(source, [shape], crop=True, filled=False)
        except ValueError:
            print(f"{field},{area(shape)},outside")
            continue
        counts = numpy.bincount(masked.compressed(), minlength=256)
        pixels, background = counts.sum(), counts[0]
        counts[0] = 0
        code = counts.argmax() if counts.sum() else -1
        print(f"{field},{area(shape)},{pixels},{background},{code},{counts.max()}")
