"""CRSs as other programs name them, and points in them by pyproj with x first: what GeoPandas' to_crs gives.

Standard input: a JSON list of [name, lon, lat]. Output: for each {x, y, base, forms: {code, projjson, wkt}}; `base` is
the CRS of the degrees, so that no change of datum is part of it.
"""
import json
import sys

import pyproj

answers = []
for name, lon, lat in json.load(sys.stdin):
    crs = pyproj.CRS(name)
    horizontal = crs.sub_crs_list[0] if crs.is_compound else crs
    base = horizontal.geodetic_crs
    x, y = pyproj.Transformer.from_crs(base, horizontal, always_xy=True).transform(lon, lat)
    anonymous = json.loads(crs.to_json())
    anonymous.pop("id", None)
    for part in anonymous.get("components", []):
        part.pop("id", None)
    base_json = json.loads(base.to_json())
    base_json.pop("id", None)
    forms = {"code": name, "projjson": json.dumps(anonymous), "wkt": crs.to_wkt("WKT2_2019")}
    answers.append({"x": x, "y": y, "base": json.dumps(base_json), "forms": forms})
json.dump(answers, sys.stdout)
