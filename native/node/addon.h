// Shared by the glue files.
#pragma once
#include <napi.h>

#include <cstring>
#include <vector>

#include "node/arguments.h"

namespace fields {

template <typename Array, typename T>
Array copy_of(Napi::Env env, const std::vector<T>& from) {
  Array array = Array::New(env, from.size());
  if (!from.empty()) std::memcpy(array.Data(), from.data(), from.size() * sizeof(T));
  return array;
}

// An Arrow binary column: values, offsets (n + 1), and optional validity bits, beginning at bit `validityOffset`.
struct WkbColumn {
  const uint8_t* values;
  const int32_t* offsets;
  const uint8_t* validity = nullptr;
  size_t validity_offset = 0;
  uint32_t count;

  explicit WkbColumn(const Napi::Object& from) {
    const auto value_array = array_of<Napi::Uint8Array>(from.Get("values"), "values");
    const auto offset_array = array_of<Napi::Int32Array>(from.Get("offsets"), "offsets");
    if (offset_array.ElementLength() == 0) fail(from.Env(), "offsets: at least one element was expected");
    check_offsets(offset_array, value_array.ElementLength(), "offsets");
    values = value_array.Data();
    offsets = offset_array.Data();
    count = static_cast<uint32_t>(offset_array.ElementLength() - 1);
    if (!from.Get("validity").IsUndefined()) {
      const auto bits = array_of<Napi::Uint8Array>(from.Get("validity"), "validity");
      validity_offset = integer_of(from.Get("validityOffset"), "validityOffset", 0, uint64_t{1} << 32);
      if (bits.ElementLength() * 8 < validity_offset + count) fail(from.Env(), "validity: shorter than the column");
      validity = bits.Data();
    }
  }

  bool is_null(uint32_t i) const {
    if (validity == nullptr) return false;
    const size_t bit = validity_offset + i;
    return ((validity[bit >> 3] >> (bit & 7)) & 1) == 0;
  }
  const uint8_t* bytes(uint32_t i) const { return values + offsets[i]; }
  size_t size(uint32_t i) const { return static_cast<size_t>(offsets[i + 1] - offsets[i]); }
};

// Each adds the functions of one folder of native/.
void export_geometry(Napi::Env env, Napi::Object exports);
void export_parquet(Napi::Env env, Napi::Object exports);
void export_raster(Napi::Env env, Napi::Object exports);
void export_zonal(Napi::Env env, Napi::Object exports);
void export_tiles(Napi::Env env, Napi::Object exports);
void export_tiler(Napi::Env env, Napi::Object exports);

}  // namespace fields
