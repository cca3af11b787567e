// The only file that knows N-API: checks types and lengths, calls the kernels, hands arrays back.
// No state is kept between calls, for one copy of this module serves all threads.
#include <napi.h>

#include <cstring>
#include <string>

#include "burn.h"
#include "count.h"
#include "geojson.h"
#include "wkb.h"

namespace {

using namespace fields;

[[noreturn]] void fail(Napi::Env env, const std::string& message) { throw Napi::TypeError::New(env, message); }

template <typename Array>
Array typed(const Napi::Object& from, const char* name, napi_typedarray_type type) {
  const Napi::Value value = from.Get(name);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
    fail(from.Env(), std::string(name) + ": a typed array of another type was expected");
  }
  return value.As<Array>();
}

double number(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  if (!value.IsNumber()) fail(from.Env(), std::string(name) + ": a number was expected");
  return value.As<Napi::Number>().DoubleValue();
}

template <typename Array, typename T>
Array array_of(Napi::Env env, const std::vector<T>& from) {
  Array array = Array::New(env, from.size());
  if (!from.empty()) std::memcpy(array.Data(), from.data(), from.size() * sizeof(T));
  return array;
}

// An Arrow binary column: values, offsets (n + 1), validity bits from `validityOffset` on, or none.
struct WkbColumn {
  const uint8_t* values;
  const int32_t* offsets;
  const uint8_t* validity = nullptr;
  size_t validity_offset = 0;
  uint32_t count;

  explicit WkbColumn(const Napi::Object& from) {
    const auto value_array = typed<Napi::Uint8Array>(from, "values", napi_uint8_array);
    const auto offset_array = typed<Napi::Int32Array>(from, "offsets", napi_int32_array);
    if (offset_array.ElementLength() == 0) fail(from.Env(), "offsets: at least one element was expected");
    values = value_array.Data();
    offsets = offset_array.Data();
    count = static_cast<uint32_t>(offset_array.ElementLength() - 1);
    int32_t before = 0;
    for (uint32_t i = 0; i <= count; i++) {
      if (offsets[i] < before || static_cast<size_t>(offsets[i]) > value_array.ElementLength()) {
        fail(from.Env(), "offsets: not ascending within values");
      }
      before = offsets[i];
    }
    if (from.Get("validity").IsTypedArray()) {
      const auto bits = typed<Napi::Uint8Array>(from, "validity", napi_uint8_array);
      validity_offset = static_cast<size_t>(number(from, "validityOffset"));
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

// burn(column, grid, albers | null, firstRow) -> {status, extent, chunks, entryEnd, runEnd, field, shape, run}
Napi::Value burn(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const WkbColumn column(info[0].As<Napi::Object>());
  const auto g = info[1].As<Napi::Object>();
  const Grid grid{number(g, "a"), number(g, "c"), number(g, "e"), number(g, "f"),
                  static_cast<uint32_t>(number(g, "width")), static_cast<uint32_t>(number(g, "height"))};
  Albers albers{};
  const bool projected = info[2].IsObject();
  if (projected) {
    const auto p = info[2].As<Napi::Object>();
    albers = {number(p, "lon0"), number(p, "a"),    number(p, "e2"), number(p, "n"),
              number(p, "c"),    number(p, "rho0"), number(p, "x0"), number(p, "y0")};
  }
  const uint32_t first_row = info[3].As<Napi::Number>().Uint32Value();

  Burner burner(grid, projected ? &albers : nullptr);
  std::vector<uint8_t> status(column.count);
  for (uint32_t i = 0; i < column.count; i++) {
    status[i] = column.is_null(i) ? kNull : burner.burn(i, column.bytes(i), column.size(i));
  }
  burner.sort_entries();

  const size_t n = burner.entries.size();
  std::vector<uint32_t> chunks, entry_end, run_end, field(n), shape(n), run;
  run.reserve(burner.runs.size());
  for (size_t i = 0; i < n; i++) {
    const Entry& entry = burner.entries[i];
    field[i] = first_row + entry.field;
    shape[i] = static_cast<uint32_t>(entry.runs) << 16 | entry.parts;
    run.insert(run.end(), burner.runs.begin() + entry.run_begin, burner.runs.begin() + entry.run_begin + entry.runs);
    if (i + 1 == n || burner.entries[i + 1].chunk != entry.chunk) {
      chunks.push_back(entry.chunk);
      entry_end.push_back(static_cast<uint32_t>(i + 1));
      run_end.push_back(static_cast<uint32_t>(run.size()));
    }
  }
  auto result = Napi::Object::New(env);
  result.Set("status", array_of<Napi::Uint8Array>(env, status));
  result.Set("extent", array_of<Napi::Float64Array>(env, std::vector<double>(burner.extent, burner.extent + 4)));
  result.Set("chunks", array_of<Napi::Uint32Array>(env, chunks));
  result.Set("entryEnd", array_of<Napi::Uint32Array>(env, entry_end));
  result.Set("runEnd", array_of<Napi::Uint32Array>(env, run_end));
  result.Set("field", array_of<Napi::Uint32Array>(env, field));
  result.Set("shape", array_of<Napi::Uint32Array>(env, shape));
  result.Set("run", array_of<Napi::Uint32Array>(env, run));
  return result;
}

template <typename T>
bool count_all(const void* pixels, uint32_t stride, uint32_t height, const std::vector<Segment>& segments,
               const double* skip, size_t skips, Complete& complete, Partial& partial) {
  for (const Segment& segment : segments) {
    if (!count_segment<T>(static_cast<const T*>(pixels), stride, height, segment, skip, skips, complete, partial)) {
      return false;
    }
  }
  return true;
}

// count(pixels, stride, words, layout, skip) -> {complete: {...}, partial: {...}}
// layout: seven numbers a segment: offset of field, shape and run in words, entries, runs, row, col.
Napi::Value count(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto pixels = info[0].As<Napi::TypedArray>();
  const uint32_t stride = info[1].As<Napi::Number>().Uint32Value();
  const auto words = info[2].As<Napi::Uint32Array>();
  const auto layout = info[3].As<Napi::Uint32Array>();
  const auto skip = info[4].As<Napi::Float64Array>();
  if (stride == 0 || pixels.ElementLength() % stride != 0) fail(env, "pixels: not a whole number of rows");
  const auto height = static_cast<uint32_t>(pixels.ElementLength() / stride);
  if (layout.ElementLength() % 7 != 0) fail(env, "layout: seven numbers a segment were expected");

  std::vector<Segment> segments;
  size_t entries = 0;
  for (size_t i = 0; i < layout.ElementLength(); i += 7) {
    const uint32_t* at = layout.Data() + i;
    const size_t length = words.ElementLength();
    if (at[0] + size_t{at[3]} > length || at[1] + size_t{at[3]} > length || at[2] + size_t{at[4]} > length) {
      fail(env, "layout: a segment reaches beyond words");
    }
    segments.push_back({words.Data() + at[0], words.Data() + at[1], words.Data() + at[2], at[3], at[4], at[5], at[6]});
    entries += at[3];
  }

  Complete complete;
  Partial partial;
  for (auto* list : {&complete.field, &complete.pixels, &complete.valid, &complete.second_pixels}) list->reserve(entries);
  for (auto* list : {&complete.code, &complete.second}) list->reserve(entries);
  // Not by way of the ArrayBuffer: that call refuses shared memory.
  void* data = nullptr;
  napi_get_typedarray_info(env, pixels, nullptr, nullptr, &data, nullptr, nullptr);
  const auto run = [&](auto function) {
    return function(data, stride, height, segments, skip.Data(), skip.ElementLength(), complete, partial);
  };
  bool fits = false;
  switch (pixels.TypedArrayType()) {
    case napi_uint8_array:
    case napi_uint8_clamped_array: fits = run(count_all<uint8_t>); break;
    case napi_int8_array: fits = run(count_all<int8_t>); break;
    case napi_uint16_array: fits = run(count_all<uint16_t>); break;
    case napi_int16_array: fits = run(count_all<int16_t>); break;
    case napi_uint32_array: fits = run(count_all<uint32_t>); break;
    case napi_int32_array: fits = run(count_all<int32_t>); break;
    case napi_float32_array: fits = run(count_all<float>); break;
    case napi_float64_array: fits = run(count_all<double>); break;
    default: fail(env, "pixels: a type that cannot be counted");
  }
  if (!fits) fail(env, "words: runs lie outside the window, or a segment's lengths disagree");

  auto whole = Napi::Object::New(env);
  whole.Set("field", array_of<Napi::Uint32Array>(env, complete.field));
  whole.Set("code", array_of<Napi::Float64Array>(env, complete.code));
  whole.Set("pixels", array_of<Napi::Uint32Array>(env, complete.pixels));
  whole.Set("valid", array_of<Napi::Uint32Array>(env, complete.valid));
  whole.Set("second", array_of<Napi::Float64Array>(env, complete.second));
  whole.Set("secondPixels", array_of<Napi::Uint32Array>(env, complete.second_pixels));
  auto part = Napi::Object::New(env);
  part.Set("field", array_of<Napi::Uint32Array>(env, partial.field));
  part.Set("parts", array_of<Napi::Uint32Array>(env, partial.parts));
  part.Set("end", array_of<Napi::Uint32Array>(env, partial.end));
  part.Set("code", array_of<Napi::Float64Array>(env, partial.code));
  part.Set("pixels", array_of<Napi::Uint32Array>(env, partial.pixels));
  auto result = Napi::Object::New(env);
  result.Set("complete", whole);
  result.Set("partial", part);
  return result;
}

// geojson(column, firstId, properties: {values, offsets}, decimals) -> {text, status}
Napi::Value geojson(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const WkbColumn column(info[0].As<Napi::Object>());
  const auto first_id = static_cast<uint64_t>(info[1].As<Napi::Number>().Int64Value());
  const auto p = info[2].As<Napi::Object>();
  const auto values = typed<Napi::Uint8Array>(p, "values", napi_uint8_array);
  const auto offsets = typed<Napi::Int32Array>(p, "offsets", napi_int32_array);
  const int decimals = info[3].As<Napi::Number>().Int32Value();
  if (offsets.ElementLength() != column.count + 1) fail(env, "properties: one text a row was expected");
  if (decimals < 0 || decimals > 9) fail(env, "decimals: 0 to 9 were expected");

  Polygons polygons;
  std::string out;
  out.reserve(static_cast<size_t>(column.offsets[column.count] - column.offsets[0]) * 2);
  std::vector<uint8_t> status(column.count);
  for (uint32_t i = 0; i < column.count; i++) {
    status[i] = column.is_null(i) ? kNull : read_wkb(column.bytes(i), column.size(i), polygons);
    if (status[i] != kOk) continue;
    const int32_t from = offsets[i], to = offsets[i + 1];
    if (from < 0 || to < from || static_cast<size_t>(to) > values.ElementLength()) fail(env, "properties: offsets not ascending");
    append_features(polygons, first_id + i, {reinterpret_cast<const char*>(values.Data()) + from, static_cast<size_t>(to - from)},
                    decimals, out);
  }
  auto result = Napi::Object::New(env);
  auto text = Napi::Uint8Array::New(env, out.size());
  std::memcpy(text.Data(), out.data(), out.size());
  result.Set("text", text);
  result.Set("status", array_of<Napi::Uint8Array>(env, status));
  return result;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("burn", Napi::Function::New(env, burn));
  exports.Set("count", Napi::Function::New(env, count));
  exports.Set("geojson", Napi::Function::New(env, geojson));
  return exports;
}

}  // namespace

NODE_API_MODULE(fields, init)
