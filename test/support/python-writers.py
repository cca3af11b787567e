"""Field files as pyarrow, GeoPandas and polars write them, with the polygons where GeoPandas' to_crs puts them.

Standard input: {folder, raster_crs, systems: [name, ...], rings: [[[lon, lat], ...], ...]}; degrees are NAD83. Output:
for each file a line {path, options, ids: [text or null, ...], crs}, then for each CRS a line {crs, polygons: [coordinates, ...]},
rings in the raster's CRS. A writer that refuses what it is given gives a line {refused}.
"""
import decimal
import itertools
import json
import os
import sys

import geopandas
import numpy
import polars
import pyarrow
import pyarrow.parquet
import pyproj
import shapely

task = json.load(sys.stdin)
N = len(task["rings"])
degrees = geopandas.GeoSeries([shapely.Polygon(ring) for ring in task["rings"]], crs="EPSG:4269")
turn = itertools.count()


def path(extension="parquet"):
    return os.path.join(task["folder"], f"py{next(turn)}.{extension}")


def tell(where, ids, crs, **options):
    texts = [None if value is None else str(value) for value in ids]
    print(json.dumps({"path": where, "ids": texts, "crs": crs, "options": options}))


NUMBERS = [3 * i - 40 for i in range(N)]
NATURAL = [1000 - i for i in range(N)]
SMALL = [i - 15 for i in range(N)]
TEXTS = [f"K{900 - i}é" for i in range(N)]
GAPS = [None if i % 7 == 3 else 50 + i for i in range(N)]


def numbers(values, type):
    return pyarrow.array(values, type)


# Each column of ids: what pyarrow writes, and the ids.
IDS = {
    "int8": lambda: (numbers(SMALL, pyarrow.int8()), SMALL),
    "int16": lambda: (numbers(NUMBERS, pyarrow.int16()), NUMBERS),
    "int32": lambda: (numbers(NUMBERS, pyarrow.int32()), NUMBERS),
    "int64": lambda: (numbers([v - 2**62 for v in NUMBERS], pyarrow.int64()), [v - 2**62 for v in NUMBERS]),
    "uint8": lambda: (numbers([255 - i for i in range(N)], pyarrow.uint8()), [255 - i for i in range(N)]),
    "uint16": lambda: (numbers([65535 - i for i in range(N)], pyarrow.uint16()), [65535 - i for i in range(N)]),
    "uint32": lambda: (numbers([2**32 - 1 - i for i in range(N)], pyarrow.uint32()), [2**32 - 1 - i for i in range(N)]),
    "uint64": lambda: (numbers([2**64 - 1 - i for i in range(N)], pyarrow.uint64()), [2**64 - 1 - i for i in range(N)]),
    "nulls": lambda: (numbers(GAPS, pyarrow.int64()), GAPS),
    "float16": lambda: (pyarrow.array(numpy.array(SMALL, numpy.float16)), SMALL),
    "float32": lambda: (numbers([float(v) for v in NATURAL], pyarrow.float32()), NATURAL),
    "float64": lambda: (numbers([float(v + 2**50) for v in NATURAL], pyarrow.float64()), [v + 2**50 for v in NATURAL]),
    "NaN": lambda: (numbers([float("nan") if v is None else float(v) for v in GAPS], pyarrow.float64()), GAPS),
    "decimal32": lambda: (numbers([decimal.Decimal(v) for v in NATURAL], pyarrow.decimal32(7, 0)), NATURAL),
    "decimal64": lambda: (numbers([decimal.Decimal(v) for v in NATURAL], pyarrow.decimal64(15, 2)), NATURAL),
    "decimal128": lambda: (numbers([decimal.Decimal(v) for v in NUMBERS], pyarrow.decimal128(30, 3)), NUMBERS),
    "decimal256": lambda: (numbers([decimal.Decimal(v) for v in NUMBERS], pyarrow.decimal256(60, 0)), NUMBERS),
    "string": lambda: (pyarrow.array(TEXTS), TEXTS),
    "large_string": lambda: (pyarrow.array(TEXTS, pyarrow.large_string()), TEXTS),
    "string_view": lambda: (pyarrow.array(TEXTS, pyarrow.string_view()), TEXTS),
    "dictionary": lambda: (pyarrow.array(TEXTS).dictionary_encode(), TEXTS),
    "dictionary of int64": lambda: (numbers(NUMBERS, pyarrow.int64()).dictionary_encode(), NUMBERS),
    "dictionary of large_string": lambda: (pyarrow.array(TEXTS, pyarrow.large_string()).dictionary_encode(), TEXTS),
}


def ewkb(shapes, **options):
    return [shapely.to_wkb(shape, **options) for shape in shapes]


def with_z(shapes):
    return shapely.force_3d(list(shapes), z=7.5)


# Each way to write polygons in WKB.
SHAPES = {
    "binary": lambda s: pyarrow.array(ewkb(s)),
    "large_binary": lambda s: pyarrow.array(ewkb(s), pyarrow.large_binary()),
    "binary_view": lambda s: pyarrow.array(ewkb(s), pyarrow.binary_view()),
    "dictionary": lambda s: pyarrow.array(ewkb(s)).dictionary_encode(),
    "big endian": lambda s: pyarrow.array(ewkb(s, byte_order=0)),
    "EWKB with SRID": lambda s: pyarrow.array(ewkb(shapely.set_srid(list(s), 4269), include_srid=True)),
    "ISO with Z": lambda s: pyarrow.array(ewkb(with_z(s), flavor="iso")),
    "EWKB with Z": lambda s: pyarrow.array(ewkb(with_z(s), flavor="extended")),
    "multipolygons": lambda s: pyarrow.array(ewkb([shapely.MultiPolygon([p]) for p in s])),
    "collections": lambda s: pyarrow.array(ewkb([shapely.GeometryCollection([p]) for p in s])),
    "collections in collections": lambda s: pyarrow.array(
        ewkb([shapely.GeometryCollection([shapely.MultiPolygon([p]), shapely.GeometryCollection([])]) for p in s])
    ),
}

WRITERS = {
    "plain": {},
    "version 1.0": {"version": "1.0", "compression": "gzip"},
    "pages of version 2": {"data_page_version": "2.0", "compression": "zstd"},
    "no dictionaries": {"use_dictionary": False, "compression": "none"},
    "lz4": {"compression": "lz4", "row_group_size": 7},
    "brotli": {"compression": "brotli", "data_page_size": 64},
    "page index and checksums": {"write_page_index": True, "write_page_checksum": True, "data_page_size": 512},
    "delta": {
        "use_dictionary": False,
        "column_encoding": {"geometry": "DELTA_LENGTH_BYTE_ARRAY"},
        "data_page_version": "2.0",
    },
    "delta texts": {"use_dictionary": False, "column_encoding": {"geometry": "DELTA_BYTE_ARRAY"}},
    "no schema of Arrow": {"store_schema": False},
}


def unrelated():
    """Columns that nobody asks for, of the types that readers know least."""
    lists = [[1, 2], None, []] * N
    return {
        "list": pyarrow.array(lists[:N]),
        "list_view": pyarrow.array(lists[:N], pyarrow.list_view(pyarrow.int64())),
        "map": pyarrow.array([[("a", 1)]] * N, pyarrow.map_(pyarrow.string(), pyarrow.int32())),
        "struct": pyarrow.array([{"a": 1, "b": {"c": [1.5]}}] * N),
        "time": pyarrow.array([1] * N, pyarrow.time64("ns")),
        "zoned": pyarrow.array([1] * N, pyarrow.timestamp("us", "America/Chicago")),
        "duration": pyarrow.array([1] * N, pyarrow.duration("ms")),
        "half": pyarrow.array(numpy.ones(N, numpy.float16)),
        "null": pyarrow.nulls(N),
        "fixed": pyarrow.array([b"abc"] * N, pyarrow.binary(3)),
        "bool": pyarrow.array([True] * N),
    }


def metadata(crs, encoding):
    column = {"encoding": encoding, "geometry_types": [], "crs": pyproj.CRS(crs).to_json_dict()}
    return {"geo": json.dumps({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}})}


def by_pyarrow():
    systems, shapes, writers = (itertools.cycle(each) for each in (task["systems"], SHAPES.items(), WRITERS.items()))
    # Of 23, 11, 10 and 8: each file pairs others.
    ids = itertools.cycle(IDS.items())
    for _ in range(3 * len(IDS)):
        crs = next(systems)
        (id_name, id_of), (shape_name, shape_of), (writer_name, writer) = next(ids), next(shapes), next(writers)
        column, values = id_of()
        columns = {"field_id": column, "geometry": shape_of(degrees.to_crs(crs))}
        if writer_name == "no schema of Arrow":
            columns |= {name: data for name, data in unrelated().items() if name != "zoned"}
        elif writer_name == "plain":
            columns = unrelated() | columns
        table = pyarrow.table(columns).replace_schema_metadata(metadata(crs, "WKB"))
        where = path()
        try:
            pyarrow.parquet.write_table(table, where, **writer)
        except (pyarrow.ArrowNotImplementedError, pyarrow.ArrowInvalid) as refusal:
            print(json.dumps({"refused": f"{id_name}, {shape_name}, {writer_name}: {refusal}"}))
            continue
        # pyarrow leaves out all metadata together with its own schema.
        given = {"fieldsCrs": crs} if writer_name == "no schema of Arrow" else {}
        tell(where, values, crs, what=f"pyarrow, {id_name}, {shape_name}, {writer_name}", **given)


def by_geopandas():
    systems = itertools.cycle(task["systems"])
    variants = [
        {"schema_version": "0.1.0"},
        {"schema_version": "0.4.0"},
        {"schema_version": "1.0.0"},
        {"schema_version": "1.1.0", "write_covering_bbox": True},
        {"geometry_encoding": "geoarrow", "schema_version": "1.1.0"},
        {"geometry_encoding": "geoarrow", "schema_version": "1.1.0", "compression": "brotli"},
        {"compression": None, "index": True},
    ]
    for variant in variants:
        for multi in (False, True):
            crs = next(systems)
            frame = geopandas.GeoDataFrame({"ID": NUMBERS, "name": TEXTS}, geometry=degrees.to_crs(crs))
            if multi:
                frame = frame.set_geometry([shapely.MultiPolygon([p]) for p in frame.geometry], crs=frame.crs)
            where = path()
            frame.to_parquet(where, **variant)
            tell(where, NUMBERS, crs, what=f"GeoPandas, {variant}, {'multi' if multi else 'polygons'}")
    frame = geopandas.GeoDataFrame({"x": 1}, geometry=degrees, index=range(N)).rename_geometry("shape")
    frame["other"] = frame.geometry.centroid
    frame.index = NUMBERS
    frame.index.name = "fid"
    where = path()
    frame.to_parquet(where)
    tell(where, NUMBERS, "EPSG:4269", what="GeoPandas, two geometries, ids as the index")
    for extension, driver in {"gpkg": "GPKG", "shp": "ESRI Shapefile", "geojson": "GeoJSON", "fgb": "FlatGeobuf"}.items():
        crs = "EPSG:4326" if extension == "geojson" else next(systems)
        frame = geopandas.GeoDataFrame({"Field_Id": [float(v) for v in NUMBERS]}, geometry=degrees.to_crs(crs))
        where = path(extension)
        frame.to_file(where, driver=driver, **({"SPATIAL_INDEX": "NO"} if extension == "fgb" else {}))
        tell(where, NUMBERS, crs, what=f"GeoPandas, {driver}")


def by_polars():
    systems = itertools.cycle(task["systems"])
    types = {
        "Int64": (NUMBERS, polars.Int64),
        "UInt64": ([2**64 - 1 - i for i in range(N)], polars.UInt64),
        "Float64": (NATURAL, polars.Float64),
        "Decimal": (NATURAL, polars.Decimal(20, 2)),
        "String": (TEXTS, polars.String),
        "Categorical": (TEXTS, polars.Categorical),
        "Enum": (TEXTS, polars.Enum(sorted(TEXTS))),
        "nulls": (GAPS, polars.Int32),
    }
    for name, (values, type) in types.items():
        for writer in ({}, {"compression": "snappy", "row_group_size": 9, "statistics": False}, {"use_pyarrow": True}):
            crs = next(systems)
            shapes = polars.Series("geometry", ewkb(degrees.to_crs(crs)), polars.Binary)
            frame = polars.DataFrame({"field_id": polars.Series(values, dtype=type, strict=False), "geometry": shapes})
            where = path()
            try:
                frame.write_parquet(where, **writer)
            except Exception as refusal:
                print(json.dumps({"refused": f"polars {name} {writer}: {refusal}"}))
                continue
            tell(where, values, crs, what=f"polars, {name}, {writer}", fieldsCrs=crs)


by_pyarrow()
by_geopandas()
by_polars()
for name in dict.fromkeys([*task["systems"], "EPSG:4269", "EPSG:4326"]):
    there = degrees.to_crs(name).to_crs(task["raster_crs"])
    print(json.dumps({"crs": name, "polygons": [[list(p.exterior.coords)] for p in there]}))
