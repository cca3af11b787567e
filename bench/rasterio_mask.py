"""Majority per field as rasterio's users find it: rasterio_mask.py RASTER GEOMETRIES CRS ANSWERS FORM (CRS is WKT)

FORM is how mask() gets a geometry: `geojson`, a dictionary that is ready, or `shapely`, an object as GeoPandas
holds it, which rasterio turns into one. GEOMETRIES holds WKB, each behind its length. All are read and projected beforehand, and all are counted twice:
first with every figure, for ANSWERS (five int64 a field: code, pixels, all pixels, second code, its pixels; code -1
where there is none), which also fills GDAL's block cache; then as users do it, timed. Prints the times as JSON.
"""

import json
import resource
import struct
import sys
import time
import warnings

import numpy
import rasterio
import rasterio.crs
import rasterio.mask
import rasterio.warp

BACKGROUND = 0


def polygon(wkb, at):
    (count,) = struct.unpack_from("<I", wkb, at + 5)
    at += 9
    rings = []
    for _ in range(count):
        (points,) = struct.unpack_from("<I", wkb, at)
        rings.append(numpy.frombuffer(wkb, "<f8", points * 2, at + 4).reshape(-1, 2))
        at += 4 + points * 16
    return rings, at


def polygons(wkb):
    (kind,) = struct.unpack_from("<I", wkb, 1)
    if kind == 3:
        return [polygon(wkb, 0)[0]]
    (parts,) = struct.unpack_from("<I", wkb, 5)
    at, found = 9, []
    for _ in range(parts):
        rings, at = polygon(wkb, at)
        found.append(rings)
    return found


def projected(shapes, crs, target):
    """All rings through PROJ in one call."""
    rings = [ring for shape in shapes for part in shape for ring in part]
    points = numpy.concatenate(rings)
    x, y = rasterio.warp.transform(crs, target, points[:, 0], points[:, 1])
    points = list(zip(x, y))
    at = 0
    geometries = []
    for shape in shapes:
        parts = []
        for part in shape:
            parts.append([])
            for ring in part:
                parts[-1].append(points[at : at + len(ring)])
                at += len(ring)
        geometries.append({"type": "MultiPolygon", "coordinates": parts})
    return geometries


def as_shapely(geometry):
    import shapely.geometry

    return shapely.geometry.MultiPolygon([(part[0], part[1:]) for part in geometry["coordinates"]])


def all_figures(source, geometry):
    try:
        masked, _ = rasterio.mask.mask(source, [geometry], crop=True, filled=False)
    except ValueError:
        return -1, 0, 0, -1, 0
    counts = numpy.bincount(masked.compressed(), minlength=256)
    counts[BACKGROUND] = 0
    total, code = counts.sum(), counts.argmax()
    pixels = counts[code]
    counts[code] = 0
    second = counts.argmax()
    return code if pixels else -1, pixels, total, second if counts[second] else -1, counts[second]


def majority(source, geometry):
    try:
        pixels, _ = rasterio.mask.mask(source, [geometry], crop=True)
    except ValueError:
        return None
    counts = numpy.bincount(pixels.ravel())
    counts[BACKGROUND] = 0
    return counts.argmax()


def main():
    raster, source_path, wkt, answers_path, form = sys.argv[1:]
    crs = rasterio.crs.CRS.from_wkt(wkt)
    with open(source_path, "rb") as file:
        data = file.read()
    shapes, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        shapes.append(polygons(data[at + 4 : at + 4 + size]))
        at += 4 + size
    warnings.simplefilter("ignore")
    with rasterio.open(raster) as source:
        geometries = projected(shapes, crs, source.crs)
        if form == "shapely":
            geometries = [as_shapely(geometry) for geometry in geometries]
        answers = numpy.array([all_figures(source, geometry) for geometry in geometries], "<i8")
        answers.tofile(answers_path)
        wall, cpu = time.perf_counter(), time.process_time()
        for geometry in geometries:
            majority(source, geometry)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        json.dumps(
            {
                "fields": len(geometries),
                "wallS": wall,
                "cpuS": cpu,
                "peakRssMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "version": f"rasterio {rasterio.__version__}, GDAL {rasterio.__gdal_version__}, numpy {numpy.__version__}",
            }
        )
    )


main()
