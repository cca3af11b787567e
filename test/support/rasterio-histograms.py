"""Histogram of each polygon over the first band by rasterio.mask, as an independent answer: rasterio-histograms.py RASTER ALL_TOUCHED < IN

IN holds one polygon a line as GeoJSON; for each a line of JSON comes out: {class: pixels}, or null outside the raster.
"""

import json
import sys
import warnings

import numpy
import rasterio
from rasterio.mask import mask

warnings.simplefilter("ignore")
with rasterio.open(sys.argv[1]) as dataset:
    for line in sys.stdin:
        try:
            pixels, _ = mask(dataset, [json.loads(line)], crop=True, all_touched=sys.argv[2] == "1", filled=False, indexes=1)
            codes, counts = numpy.unique(pixels.compressed(), return_counts=True)
            print(json.dumps({repr(code.item()): int(count) for code, count in zip(codes, counts)}))
        except ValueError:
            print("null")
