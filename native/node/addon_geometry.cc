// Glue between JavaScript and polygons: GeoJSON and areas.
#include <napi.h>

#include <cmath>
#include <cstring>
#include <string>

#include "geometry/area.h"
#include "geometry/geojson.h"
#include "geometry/wkb.h"
#include "node/addon.h"

namespace fields {
namespace {

// geojson(column, firstId, properties: {values, offsets}, decimals) -> {text, status}
Napi::Value geojson(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const WkbColumn column(object_of(info[0], "column"));
  const uint64_t first_id = integer_of(info[1], "firstId", 0, (uint64_t{1} << 53) - 1 - column.count);
  const auto properties = object_of(info[2], "properties");
  const auto values = array_of<Napi::Uint8Array>(properties.Get("values"), "properties.values");
  const auto offsets = array_of<Napi::Int32Array>(properties.Get("offsets"), "properties.offsets");
  const auto decimals = static_cast<int>(integer_of(info[3], "decimals", 0, 9));
  if (offsets.ElementLength() != size_t{column.count} + 1) {
    fail(env, "properties.offsets: one text a row was expected");
  }
  check_offsets(offsets, values.ElementLength(), "properties.offsets");

  Polygons polygons;
  std::string out;
  out.reserve(static_cast<size_t>(column.offsets[column.count] - column.offsets[0]) * 2);
  auto status = Napi::Uint8Array::New(env, column.count);
  const auto* texts = reinterpret_cast<const char*>(values.Data());
  for (uint32_t i = 0; i < column.count; i++) {
    status[i] = column.is_null(i) ? kNull : read_wkb(column.bytes(i), column.size(i), polygons);
    if (status[i] == kOk && !on_globe(polygons)) status[i] = kNotFinite;
    if (status[i] != kOk) continue;
    const Text text{texts + offsets[i], static_cast<size_t>(offsets[i + 1] - offsets[i])};
    append_features(polygons, first_id + i, text, decimals, out);
  }
  auto result = Napi::Object::New(env);
  auto text = Napi::Uint8Array::New(env, out.size());
  if (!out.empty()) std::memcpy(text.Data(), out.data(), out.size());
  result.Set("text", text);
  result.Set("status", status);
  return result;
}

// areas(column, semiMajor, inverseFlattening) -> Float64Array, square meters; NaN for what cannot be read
Napi::Value areas(const Napi::CallbackInfo& info) {
  const WkbColumn column(object_of(info[0], "column"));
  const Ellipsoid ellipsoid{number_of(info[1], "semiMajor"), number_of(info[2], "inverseFlattening")};
  auto result = Napi::Float64Array::New(info.Env(), column.count);
  Polygons polygons;
  for (uint32_t i = 0; i < column.count; i++) {
    const uint8_t status = column.is_null(i) ? kNull : read_wkb(column.bytes(i), column.size(i), polygons);
    const bool known = status == kOk && on_globe(polygons);
    result[i] = known ? area_on_ellipsoid(polygons, ellipsoid) : std::nan("");
  }
  return result;
}

}  // namespace

void export_geometry(Napi::Env env, Napi::Object exports) {
  exports.Set("geojson", Napi::Function::New(env, geojson));
  exports.Set("areas", Napi::Function::New(env, areas));
}

}  // namespace fields
