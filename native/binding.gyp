{
  "targets": [
    {
      "target_name": "fields",
      "sources": ["addon.cc", "wkb.cc", "albers.cc", "burn.cc", "count.cc", "count_weighted.cc", "antimeridian.cc", "geojson.cc", "gzip.cc", "swap.cc"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      # Every C++ exception (no memory for a monstrous polygon, say) becomes a JavaScript error.
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_DEPRECATED", "NODE_ADDON_API_CPP_EXCEPTIONS_ALL"],
      "cflags_cc!": ["-fno-exceptions", "-std=gnu++17"],
      # No fused multiply-add: the pixel rule is exact to the last rounding.
      "cflags_cc": ["-std=c++17", "-O3", "-ffp-contract=off", "-fexceptions", "-Wall", "-Wextra", "-Wno-missing-field-initializers"],
      # Without libdeflate (Debian: libdeflate-dev) the zlib that Node exports does its work.
      "variables": { "libdeflate%": "<!(sh has-libdeflate.sh)" },
      "conditions": [
        ["target_arch == 'x64'", { "cflags_cc": ["-mpopcnt"] }],
        ["libdeflate == 1", { "defines": ["FIELDS_LIBDEFLATE"], "libraries": ["-ldeflate"] }]
      ],
      "xcode_settings": {
        "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
        "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
        "OTHER_CPLUSPLUSFLAGS": ["-O3", "-ffp-contract=off"]
      }
    }
  ]
}
