"""Fields in several CRSs, and what rasterio counts for them where pyproj puts them on a raster.

Standard input: {raster, rings: [[[lon, lat], ...], ...], systems: [name, ...]}; degrees are NAD83. Output: for each
system {forms: {code, projjson, wkt}, rings, histograms: [{class: pixels}, ...]}.
"""
import json
import sys

import numpy
import pyproj
import rasterio
import rasterio.mask
from shapely.geometry import Polygon, mapping

task = json.load(sys.stdin)
answers = []
with rasterio.open(task["raster"]) as raster:
    target = pyproj.CRS(raster.crs.to_wkt())
    for name in task["systems"]:
        crs = pyproj.CRS(name)
        there = pyproj.Transformer.from_crs("EPSG:4269", crs, always_xy=True)
        back = pyproj.Transformer.from_crs(crs, target, always_xy=True)
        rings, histograms = [], []
        for ring in task["rings"]:
            own = list(zip(*there.transform(*zip(*ring))))
            polygon = Polygon(zip(*back.transform(*zip(*own))))
            pixels, _ = rasterio.mask.mask(raster, [mapping(polygon)], crop=True, filled=False)
            counts = numpy.bincount(pixels.compressed(), minlength=1)
            rings.append(own)
            histograms.append({str(code): int(n) for code, n in enumerate(counts) if n > 0 and code != 0})
        anonymous = json.loads(crs.to_json())
        anonymous.pop("id", None)
        forms = {"code": name, "projjson": json.dumps(anonymous), "wkt": crs.to_wkt("WKT2_2019")}
        answers.append({"forms": forms, "rings": rings, "histograms": histograms})
json.dump(answers, sys.stdout)
