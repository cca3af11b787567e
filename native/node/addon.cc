// With addon_burn.cc, addon_table.cc and addon_tiles.cc the only source that knows N-API: checks arguments, calls the
// kernels, hands arrays back. No state is kept between calls, for one copy of this module serves all threads.
#include <napi.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <type_traits>

#include "geometry/area.h"
#include "geometry/geojson.h"
#include "geometry/wkb.h"
#include "node/addon.h"
#include "node/arguments.h"
#include "zonal/count.h"
#include "zonal/count_weighted.h"

namespace {

using namespace fields;

// layout: seven numbers a segment: offset of field, shape and run in words, entries, runs, row, col.
std::vector<Segment> segments_of(const Napi::Uint32Array& words, const Napi::Uint32Array& layout, size_t& entries) {
  std::vector<Segment> segments;
  for (size_t i = 0; i < layout.ElementLength(); i += 7) {
    const uint32_t* at = layout.Data() + i;
    const size_t length = words.ElementLength();
    if (at[0] + size_t{at[3]} > length || at[1] + size_t{at[3]} > length || at[2] + size_t{at[4]} > length) {
      fail(words.Env(), "layout: a segment reaches beyond words");
    }
    segments.push_back({words.Data() + at[0], words.Data() + at[1], words.Data() + at[2], at[3], at[4],
                        static_cast<int32_t>(at[5]), static_cast<int32_t>(at[6])});
    entries += at[3];
  }
  return segments;
}

// What both counts take: count(pixels, stride, words, layout, skip, clip, ..., mask?).
struct CountArguments {
  Napi::TypedArray pixels;
  uint32_t stride, height;
  Napi::Uint32Array words, layout;
  Napi::Float64Array skip;
  bool clip;
  // A byte a pixel; null without one.
  const uint8_t* mask = nullptr;
  size_t entries = 0;
  std::vector<Segment> segments;

  explicit CountArguments(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!info[0].IsTypedArray()) fail(env, "pixels: an array of another type was expected");
    pixels = info[0].As<Napi::TypedArray>();
    stride = static_cast<uint32_t>(integer_of(info[1], "stride", 1, 0xffffffff));
    words = array_of<Napi::Uint32Array>(info[2], "words");
    layout = array_of<Napi::Uint32Array>(info[3], "layout");
    skip = array_of<Napi::Float64Array>(info[4], "skip");
    clip = info[5].ToBoolean();
    if (pixels.ElementLength() % stride != 0) fail(env, "pixels: not a whole number of rows");
    height = static_cast<uint32_t>(pixels.ElementLength() / stride);
    if (layout.ElementLength() % 7 != 0) fail(env, "layout: seven numbers a segment were expected");
    segments = segments_of(words, layout, entries);
    if (info.Length() <= 7 || info[7].IsUndefined()) return;
    const auto bytes = array_of<Napi::Uint8Array>(info[7], "mask");
    if (bytes.ElementLength() != pixels.ElementLength()) fail(env, "mask: a byte a pixel was expected");
    mask = elements_of<uint8_t>(bytes);
  }
};

constexpr char kMisfit[] = "words: runs lie outside the window, or a segment's lengths disagree";

// The type of a band's pixels as N-API has it.
template <typename T>
constexpr napi_typedarray_type pixel_type() {
  if constexpr (std::is_same<T, uint8_t>::value) return napi_uint8_array;
  if constexpr (std::is_same<T, int8_t>::value) return napi_int8_array;
  if constexpr (std::is_same<T, uint16_t>::value) return napi_uint16_array;
  if constexpr (std::is_same<T, int16_t>::value) return napi_int16_array;
  if constexpr (std::is_same<T, uint32_t>::value) return napi_uint32_array;
  if constexpr (std::is_same<T, int32_t>::value) return napi_int32_array;
  if constexpr (std::is_same<T, float>::value) return napi_float32_array;
  return napi_float64_array;
}

template <typename T>
Answers<T> answers_of(const Napi::Object& from) {
  const auto array = [&](const char* name, napi_typedarray_type type) {
    const auto value = from.Get(name);
    auto found = value.IsTypedArray() ? value.As<Napi::TypedArray>().TypedArrayType() : napi_biguint64_array;
    if (found == napi_uint8_clamped_array) found = napi_uint8_array;
    if (found != type) {
      fail(from.Env(), std::string("answers.") + name + ": an array of another type was expected");
    }
    return value.As<Napi::TypedArray>();
  };
  const auto data = [](const Napi::TypedArray& of) {
    void* at = nullptr;
    napi_get_typedarray_info(of.Env(), of, nullptr, nullptr, &at, nullptr, nullptr);
    return at;
  };
  const auto code = array("code", pixel_type<T>()), second = array("second", pixel_type<T>());
  const auto counts = [&](const char* name) {
    const auto value = array(name, napi_uint32_array);
    if (value.ElementLength() != code.ElementLength()) fail(from.Env(), "answers: arrays of one length were expected");
    return static_cast<uint32_t*>(data(value));
  };
  if (second.ElementLength() != code.ElementLength()) fail(from.Env(), "answers: arrays of one length were expected");
  return {static_cast<T*>(data(code)),
          static_cast<T*>(data(second)),
          counts("pixels"),
          counts("valid"),
          counts("secondPixels"),
          counts("covered"),
          static_cast<uint32_t>(code.ElementLength())};
}

Napi::Object object_of_partial(Napi::Env env, const Partial& partial) {
  auto part = Napi::Object::New(env);
  part.Set("field", copy_of<Napi::Uint32Array>(env, partial.field));
  part.Set("parts", copy_of<Napi::Uint32Array>(env, partial.parts));
  part.Set("covered", copy_of<Napi::Uint32Array>(env, partial.covered));
  part.Set("end", copy_of<Napi::Uint32Array>(env, partial.end));
  part.Set("code", copy_of<Napi::Float64Array>(env, partial.code));
  part.Set("pixels", copy_of<Napi::Uint32Array>(env, partial.pixels));
  return part;
}

// count(pixels, stride, words, layout, skip, clip, answers | null, mask?) -> {field, parts, covered, end, code, pixels}
Napi::Value count(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const CountArguments in(info);
  Partial partial;
  const bool fits = with_classes(in.pixels, "pixels", [&](const auto* data) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(data)>>;
    Answers<T> answers{};
    if (!info[6].IsNull()) answers = answers_of<T>(object_of(info[6], "answers"));
    return std::all_of(in.segments.begin(), in.segments.end(), [&](const Segment& segment) {
      return count_segment(data, in.mask, in.stride, in.height, segment, in.skip.Data(), in.skip.ElementLength(),
                           in.clip, info[6].IsNull() ? nullptr : &answers, partial);
    });
  });
  if (!fits) fail(env, kMisfit);
  return object_of_partial(env, partial);
}

PartialView partial_of(const Napi::Object& from) {
  const auto words = [&](const char* name) { return array_of<Napi::Uint32Array>(from.Get(name), name); };
  const auto field = words("field"), parts = words("parts"), covered = words("covered"), end = words("end");
  const auto pixels = words("pixels");
  const auto code = array_of<Napi::Float64Array>(from.Get("code"), "code");
  const size_t entries = field.ElementLength();
  if (parts.ElementLength() != entries || covered.ElementLength() != entries || end.ElementLength() != entries) {
    fail(from.Env(), "lists: arrays of one length were expected");
  }
  uint32_t before = 0;
  for (size_t i = 0; i < entries; i++) {
    if (end[i] < before) fail(from.Env(), "lists: pairs do not follow one another");
    before = end[i];
  }
  if (code.ElementLength() != before || pixels.ElementLength() != before) {
    fail(from.Env(), "lists: pairs do not follow one another");
  }
  return {field.Data(),
          parts.Data(),
          covered.Data(),
          end.Data(),
          code.Data(),
          pixels.Data(),
          static_cast<uint32_t>(entries)};
}

// merge(lists, answers, last) -> {field, parts, covered, end, code, pixels}
Napi::Value merge(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsArray()) fail(env, "lists: an array was expected");
  const auto lists = info[0].As<Napi::Array>();
  std::vector<PartialView> views;
  for (uint32_t i = 0; i < lists.Length(); i++) views.push_back(partial_of(object_of(lists.Get(i), "lists")));
  const auto answers = object_of(info[1], "answers");
  if (!answers.Get("code").IsTypedArray()) fail(env, "answers.code: an array of another type was expected");
  Partial open;
  const bool fits = with_classes(answers.Get("code").As<Napi::TypedArray>(), "answers.code", [&](const auto* data) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(data)>>;
    return merge_partial(views, answers_of<T>(answers), info[2].ToBoolean(), open);
  });
  if (!fits) fail(env, "lists: a field is beyond the answers");
  return object_of_partial(env, open);
}

// countWeighted(pixels, stride, words, layout, skip, clip, rowWeights, mask?) -> {field, parts, covered, end, code,
// pixels}
Napi::Value count_weights(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const CountArguments in(info);
  const auto row_weights = array_of<Napi::Float64Array>(info[6], "rowWeights");
  if (row_weights.ElementLength() != in.height) fail(env, "rowWeights: one a row was expected");
  WeightedPartial partial;
  const bool fits = with_classes(in.pixels, "pixels", [&](const auto* data) {
    return std::all_of(in.segments.begin(), in.segments.end(), [&](const Segment& segment) {
      return count_weighted(data, in.mask, in.stride, in.height, segment, in.skip.Data(), in.skip.ElementLength(),
                            in.clip, row_weights.Data(), partial);
    });
  });
  if (!fits) fail(env, kMisfit);
  auto result = Napi::Object::New(env);
  result.Set("field", copy_of<Napi::Uint32Array>(env, partial.field));
  result.Set("parts", copy_of<Napi::Uint32Array>(env, partial.parts));
  result.Set("covered", copy_of<Napi::Float64Array>(env, partial.covered));
  result.Set("end", copy_of<Napi::Uint32Array>(env, partial.end));
  result.Set("code", copy_of<Napi::Float64Array>(env, partial.code));
  result.Set("pixels", copy_of<Napi::Float64Array>(env, partial.weight));
  return result;
}

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

Napi::Object init(Napi::Env env, Napi::Object exports) {
  export_burn(env, exports);
  exports.Set("count", Napi::Function::New(env, count));
  exports.Set("merge", Napi::Function::New(env, merge));
  exports.Set("countWeighted", Napi::Function::New(env, count_weights));
  export_table(env, exports);
  export_raster(env, exports);
  exports.Set("geojson", Napi::Function::New(env, geojson));
  exports.Set("areas", Napi::Function::New(env, areas));
  export_tiles(env, exports);
  export_tiler(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(fields, init)
