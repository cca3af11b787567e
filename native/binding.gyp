{
  "targets": [
    {
      "target_name": "fields",
      "sources": [
        "node/addon.cc",
        "node/addon_geometry.cc",
        "node/addon_parquet.cc",
        "node/addon_zonal.cc",
        "node/addon_raster.cc",
        "node/addon_tiles.cc",
        "node/addon_tiler.cc",
        "geometry/wkb.cc",
        "geometry/albers.cc",
        "zonal/burn.cc",
        "parquet/codec.cc",
        "raster/lzw.cc",
        "raster/tiff_blocks.cc",
        "parquet/parquet_file.cc",
        "parquet/parquet_column.cc",
        "parquet/repeated_ids.cc",
        "parquet/row_join.cc",
        "zonal/count.cc",
        "zonal/count_weighted.cc",
        "geometry/antimeridian.cc",
        "geometry/area.cc",
        "geometry/geojson.cc",
        "tiles/gzip.cc",
        "tiles/audit/bucket_audit.cc",
        "tiles/audit/tile_check.cc",
        "tiles/tiler/bucket.cc",
        "tiles/tiler/cells.cc",
        "tiles/tiler/clip.cc",
        "tiles/tiler/field_shapes.cc",
        "tiles/tiler/field_tiler.cc",
        "tiles/tiler/mercator.cc",
        "tiles/tiler/repair.cc",
        "tiles/tiler/shape.cc",
        "tiles/tiler/simplify.cc",
        "tiles/tiler/slice_spiller.cc",
        "tiles/tiler/spill.cc",
        "tiles/tiler/tile_layers.cc",
        "tiles/rewrite.cc",
        "tiles/precompressed/base_tile.cc",
        "tiles/precompressed/huffman.cc",
        "tiles/precompressed/matcher.cc",
        "tiles/precompressed/record_filler.cc",
        "tiles/precompressed/record_maker.cc",
        "tiles/precompressed/tile_parts.cc",
        "parquet/encode.cc",
        "zonal/table.cc",
        "zonal/tally.cc"
      ],
      "include_dirs": [".", "<!(node -p \"require('node-addon-api').include_dir\")"],
      # Every C++ exception (no memory for a monstrous polygon, say) becomes a JavaScript error.
      # A worker may be ended while it is in a call: what can no longer be thrown there must not end the process.
      "defines": [
        "NAPI_VERSION=8",
        "NODE_ADDON_API_DISABLE_DEPRECATED",
        "NODE_ADDON_API_CPP_EXCEPTIONS_ALL",
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
      ],
      "cflags_cc!": ["-fno-exceptions", "-std=gnu++17"],
      # No fused multiply-add: the pixel rule is exact to the last rounding. Nobody looks at floating-point traps or
      # errno, which would keep loops from being done several lanes at a time; no result depends on it.
      "cflags_cc": ["-std=c++17", "-O3", "-ffp-contract=off", "-fno-trapping-math", "-fno-math-errno", "-fexceptions", "-Wall", "-Wextra", "-Wno-missing-field-initializers"],
      "conditions": [
        ["target_arch == 'x64'", { "cflags_cc": ["-mpopcnt"] }],
        # Parquet's compressions, as far as they are installed; other files are read by way of parquet-wasm.
        ["'<!(sh has-library.sh zstd.h zstd)' == '1'", { "defines": ["FIELDS_ZSTD"], "libraries": ["-lzstd"] }],
        ["'<!(sh has-library.sh snappy-c.h snappy)' == '1'", { "defines": ["FIELDS_SNAPPY"], "libraries": ["-lsnappy"] }],
        ["'<!(sh has-library.sh libdeflate.h deflate)' == '1'", { "defines": ["FIELDS_LIBDEFLATE"], "libraries": ["-ldeflate"] }],
        ["'<!(sh has-library.sh lz4.h lz4)' == '1'", { "defines": ["FIELDS_LZ4"], "libraries": ["-llz4"] }]
      ],
      "xcode_settings": {
        "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
        "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
        "OTHER_CPLUSPLUSFLAGS": ["-O3", "-ffp-contract=off"]
      }
    }
  ]
}
