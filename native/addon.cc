// The only source that knows N-API: checks arguments, calls the kernels, hands arrays back.
// No state is kept between calls, for one copy of this module serves all threads.
#include <napi.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "arguments.h"
#include "burn.h"
#include "count_weighted.h"
#include "geojson.h"
#include "swap.h"
#include "wkb.h"

namespace {

using namespace fields;

template <typename Array, typename T>
Array copy_of(Napi::Env env, const std::vector<T>& from) {
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

Grid grid_of(const Napi::Object& from) {
  const auto number = [&](const char* name) { return number_of(from.Get(name), name); };
  const auto size = [&](const char* name) {
    return static_cast<uint32_t>(integer_of(from.Get(name), name, 1, 0x7fffffff));
  };
  const Grid grid{number("a"), number("c"), number("e"), number("f"), size("width"), size("height")};
  if (grid.a == 0 || grid.e == 0) fail(from.Env(), "grid: a pixel has no size");
  return grid;
}

Albers albers_of(const Napi::Object& from) {
  const auto number = [&](const char* name) { return number_of(from.Get(name), name); };
  return {number("lon0"), number("a"),    number("e2"), number("n"),
          number("c"),    number("rho0"), number("x0"), number("y0")};
}

// As PIXEL_RULES in src/kernel/kernel.ts; the centre rule when left out.
PixelRule rule_of(Napi::Value value) {
  if (value.IsUndefined()) return PixelRule::kCentre;
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (name == "centre") return PixelRule::kCentre;
  if (name == "touched") return PixelRule::kTouched;
  if (name == "small-touched") return PixelRule::kSmallTouched;
  if (name == "coverage") return PixelRule::kCoverage;
  fail(value.Env(), "rule: one of centre, touched, small-touched, coverage was expected");
}

// burn(column, grid, albers | null, firstRow, rule) -> {status, extent, chunks, entryEnd, runEnd, field, shape, run}
Napi::Value burn(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const WkbColumn column(object_of(info[0], "column"));
  const Grid grid = grid_of(object_of(info[1], "grid"));
  const bool projected = !info[2].IsNull();
  const Albers albers = projected ? albers_of(object_of(info[2], "albers")) : Albers{};
  const auto first_row =
      static_cast<uint32_t>(integer_of(info[3], "firstRow", 0, (uint64_t{1} << 32) - std::max(column.count, 1u)));

  const PixelRule rule = rule_of(info[4]);

  Burner burner(grid, projected ? &albers : nullptr, rule);
  auto status = Napi::Uint8Array::New(env, column.count);
  for (uint32_t i = 0; i < column.count; i++) {
    status[i] = column.is_null(i) ? kNull : burner.burn(i, column.bytes(i), column.size(i));
  }
  burner.sort_entries();

  const size_t n = burner.entries.size();
  auto field = Napi::Uint32Array::New(env, n);
  auto shape = Napi::Uint32Array::New(env, n);
  auto run = Napi::Uint32Array::New(env, burner.runs.size());
  uint32_t* const field_out = field.Data();
  uint32_t* const shape_out = shape.Data();
  uint32_t* const runs_out = run.Data();
  uint32_t* run_out = runs_out;
  std::vector<uint32_t> chunks, entry_end, run_end;
  for (size_t i = 0; i < n; i++) {
    const Entry& entry = burner.entries[i];
    field_out[i] = first_row + entry.field;
    shape_out[i] = static_cast<uint32_t>(entry.runs) << 16 | entry.parts;
    run_out = std::copy_n(burner.runs.data() + entry.run_begin, entry.runs, run_out);
    if (i + 1 == n || burner.entries[i + 1].chunk != entry.chunk) {
      chunks.push_back(entry.chunk);
      entry_end.push_back(static_cast<uint32_t>(i + 1));
      run_end.push_back(static_cast<uint32_t>(run_out - runs_out));
    }
  }
  auto extent = Napi::Float64Array::New(env, 4);
  for (size_t i = 0; i < 4; i++) extent[i] = burner.extent[i] + 0.0;  // -0 and 0 are one
  auto result = Napi::Object::New(env);
  result.Set("status", status);
  result.Set("extent", extent);
  result.Set("chunks", copy_of<Napi::Uint32Array>(env, chunks));
  result.Set("entryEnd", copy_of<Napi::Uint32Array>(env, entry_end));
  result.Set("runEnd", copy_of<Napi::Uint32Array>(env, run_end));
  result.Set("field", field);
  result.Set("shape", shape);
  result.Set("run", run);
  return result;
}

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

// Calls a function with the pixels of an array, in their own type.
template <typename F>
bool with_pixels(const Napi::TypedArray& pixels, F&& function) {
  void* const data = elements_of<void>(pixels);
  switch (pixels.TypedArrayType()) {
    case napi_uint8_array:
    case napi_uint8_clamped_array: return function(static_cast<const uint8_t*>(data));
    case napi_int8_array: return function(static_cast<const int8_t*>(data));
    case napi_uint16_array: return function(static_cast<const uint16_t*>(data));
    case napi_int16_array: return function(static_cast<const int16_t*>(data));
    case napi_uint32_array: return function(static_cast<const uint32_t*>(data));
    case napi_int32_array: return function(static_cast<const int32_t*>(data));
    case napi_float32_array: return function(static_cast<const float*>(data));
    case napi_float64_array: return function(static_cast<const double*>(data));
    default: fail(pixels.Env(), "pixels: a type that cannot be counted");
  }
}

// What both counts take: count(pixels, stride, words, layout, skip, clip, ...).
struct CountArguments {
  Napi::TypedArray pixels;
  uint32_t stride, height;
  Napi::Uint32Array words, layout;
  Napi::Float64Array skip;
  bool clip;
  size_t entries = 0;
  std::vector<Segment> segments;

  explicit CountArguments(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!info[0].IsTypedArray()) fail(env, "pixels: a type that cannot be counted");
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
  }
};

constexpr char kMisfit[] = "words: runs lie outside the window, or a segment's lengths disagree";

// count(pixels, stride, words, layout, skip, clip, histograms) -> {complete: {...}, partial: {...}}
Napi::Value count(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const CountArguments in(info);
  const bool histograms = info[6].ToBoolean();

  Complete complete;
  Partial partial;
  for (auto* list : {&complete.field, &complete.pixels, &complete.valid, &complete.covered, &complete.second_pixels}) {
    list->reserve(in.entries);
  }
  for (auto* list : {&complete.code, &complete.second}) list->reserve(in.entries);
  const bool fits = with_pixels(in.pixels, [&](const auto* data) {
    return std::all_of(in.segments.begin(), in.segments.end(), [&](const Segment& segment) {
      return count_segment(data, in.stride, in.height, segment, in.skip.Data(), in.skip.ElementLength(), in.clip,
                           histograms, complete, partial);
    });
  });
  if (!fits) fail(env, kMisfit);

  auto whole = Napi::Object::New(env);
  whole.Set("field", copy_of<Napi::Uint32Array>(env, complete.field));
  whole.Set("code", copy_of<Napi::Float64Array>(env, complete.code));
  whole.Set("pixels", copy_of<Napi::Uint32Array>(env, complete.pixels));
  whole.Set("valid", copy_of<Napi::Uint32Array>(env, complete.valid));
  whole.Set("covered", copy_of<Napi::Uint32Array>(env, complete.covered));
  whole.Set("second", copy_of<Napi::Float64Array>(env, complete.second));
  whole.Set("secondPixels", copy_of<Napi::Uint32Array>(env, complete.second_pixels));
  auto part = Napi::Object::New(env);
  part.Set("field", copy_of<Napi::Uint32Array>(env, partial.field));
  part.Set("parts", copy_of<Napi::Uint32Array>(env, partial.parts));
  part.Set("covered", copy_of<Napi::Uint32Array>(env, partial.covered));
  part.Set("end", copy_of<Napi::Uint32Array>(env, partial.end));
  part.Set("code", copy_of<Napi::Float64Array>(env, partial.code));
  part.Set("pixels", copy_of<Napi::Uint32Array>(env, partial.pixels));
  auto result = Napi::Object::New(env);
  result.Set("complete", whole);
  result.Set("partial", part);
  return result;
}

// countWeighted(pixels, stride, words, layout, skip, clip, rowWeights) -> {field, parts, covered, end, code, pixels}
Napi::Value count_weights(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const CountArguments in(info);
  const auto row_weights = array_of<Napi::Float64Array>(info[6], "rowWeights");
  if (row_weights.ElementLength() != in.height) fail(env, "rowWeights: one a row was expected");
  WeightedPartial partial;
  const bool fits = with_pixels(in.pixels, [&](const auto* data) {
    return std::all_of(in.segments.begin(), in.segments.end(), [&](const Segment& segment) {
      return count_weighted(data, in.stride, in.height, segment, in.skip.Data(), in.skip.ElementLength(), in.clip,
                            row_weights.Data(), partial);
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

// A byte or a 16-bit word a row, each 0 or 1 + an entry of the palette.
SwapColumn swap_column_of(const Napi::Object& from, uint64_t rows, uint32_t value_count) {
  const Napi::Env env = from.Env();
  SwapColumn column;
  const auto keys = list_of(from.Get("keys"), "keys");
  for (uint32_t k = 0; k < keys.Length(); k++) column.keys.push_back(text_of(keys.Get(k), "keys"));
  const auto palette = array_of<Napi::Uint32Array>(from.Get("palette"), "palette");
  if (column.keys.empty() || palette.ElementLength() % column.keys.size() != 0) {
    fail(env, "palette: a value for every key was expected");
  }
  column.palette = palette.Data();
  column.entries = static_cast<uint32_t>(palette.ElementLength() / column.keys.size());
  for (size_t i = 0; i < palette.ElementLength(); i++) {
    if (palette[i] >= value_count) fail(env, "palette: no such value");
  }
  const Napi::Value index = from.Get("index");
  if (index.IsTypedArray() && index.As<Napi::TypedArray>().TypedArrayType() == napi_uint16_array) {
    column.wide = elements_of<uint16_t>(index.As<Napi::TypedArray>());
  } else {
    column.narrow = elements_of<uint8_t>(array_of<Napi::Uint8Array>(index, "index"));
  }
  if (index.As<Napi::TypedArray>().ElementLength() < rows) fail(env, "index: one a row was expected");
  return column;
}

// CPU of this thread; its own, so that a busy machine does not count.
double thread_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// swap(stored, ends, compressed, markFrom, plan: {rows, layers, values, outputs, level}) -> {outputs, cpu}
Napi::Value swap(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto stored = array_of<Napi::Uint8Array>(info[0], "stored");
  const auto ends = array_of<Napi::Uint32Array>(info[1], "ends");
  const bool compressed = info[2].ToBoolean();
  const size_t count = ends.ElementLength();
  const auto mark_from = integer_of(info[3], "markFrom", 0, count);
  const auto plan = object_of(info[4], "plan");
  const uint64_t rows = integer_of(plan.Get("rows"), "rows", 0, uint64_t{1} << 32);
  const auto level = static_cast<int>(integer_of(plan.Get("level"), "level", 1, 9));

  std::vector<SwapLayer> layers;
  const auto layer_list = list_of(plan.Get("layers"), "layers");
  for (uint32_t i = 0; i < layer_list.Length(); i++) {
    const auto layer = object_of(layer_list.Get(i), "layer");
    const auto seen = array_of<Napi::Uint8Array>(layer.Get("seen"), "seen");
    if (seen.ElementLength() < rows) fail(env, "seen: one a row was expected");
    layers.push_back({text_of(layer.Get("name"), "name"), elements_of<uint8_t>(seen)});
  }
  const auto value_texts = object_of(plan.Get("values"), "values");
  const auto value_bytes = array_of<Napi::Uint8Array>(value_texts.Get("values"), "values.values");
  const auto value_offsets = array_of<Napi::Int32Array>(value_texts.Get("offsets"), "values.offsets");
  if (value_offsets.ElementLength() == 0) fail(env, "values.offsets: at least one element was expected");
  check_offsets(value_offsets, value_bytes.ElementLength(), "values.offsets");
  const SwapValues values{value_bytes.Data(), value_offsets.Data(),
                          static_cast<uint32_t>(value_offsets.ElementLength() - 1)};
  const auto output_list = list_of(plan.Get("outputs"), "outputs");
  std::vector<std::vector<SwapColumn>> outputs(output_list.Length());
  for (uint32_t o = 0; o < output_list.Length(); o++) {
    const auto columns = list_of(output_list.Get(o), "outputs");
    for (uint32_t c = 0; c < columns.Length(); c++) {
      outputs[o].push_back(swap_column_of(object_of(columns.Get(c), "column"), rows, values.count));
    }
  }
  uint32_t begin = 0;
  for (size_t i = 0; i < count; i++) {
    if (ends[i] < begin || ends[i] > stored.ElementLength()) fail(env, "ends: not ascending within stored");
    begin = ends[i];
  }

  Gzip gzip(level);
  TileSwapper swapper(std::move(layers), values, rows);
  std::vector<Buffer> contents(outputs.size());
  std::vector<std::vector<uint32_t>> content_ends(outputs.size());
  Buffer inflated, rewritten;
  auto cpu = Napi::Float64Array::New(env, 3);
  double last = thread_seconds();
  const auto charge = [&](size_t to) {
    const double now = thread_seconds();
    cpu[to] = cpu[to] + now - last;
    last = now;
  };
  begin = 0;
  for (size_t i = 0; i < count; i++) {
    const uint8_t* tile = stored.Data() + begin;
    size_t size = ends[i] - begin;
    begin = ends[i];
    try {
      if (compressed) {
        gzip.inflate(tile, size, inflated);
        tile = inflated.data();
        size = inflated.size;
      }
      charge(0);
      for (size_t o = 0; o < outputs.size(); o++) {
        swapper.rewrite(tile, size, outputs[o], i >= mark_from, rewritten);
        charge(1);
        Buffer& out = contents[o];
        if (compressed)
          gzip.deflate(rewritten.data(), rewritten.size, out);
        else
          out.append(rewritten.data(), rewritten.size);
        if (out.size > UINT32_MAX) throw TileError("a batch grew beyond 4 GiB");
        content_ends[o].push_back(static_cast<uint32_t>(out.size));
        charge(2);
      }
    } catch (const TileError& error) {
      auto thrown = Napi::RangeError::New(env, error.what());
      thrown.Value().Set("tile", static_cast<double>(i));
      throw thrown;
    }
  }

  auto results = Napi::Array::New(env, outputs.size());
  for (uint32_t o = 0; o < outputs.size(); o++) {
    auto content = Napi::Uint8Array::New(env, contents[o].size);
    if (contents[o].size > 0) std::memcpy(content.Data(), contents[o].data(), contents[o].size);
    auto result = Napi::Object::New(env);
    result.Set("content", content);
    result.Set("ends", copy_of<Napi::Uint32Array>(env, content_ends[o]));
    results.Set(o, result);
  }
  auto result = Napi::Object::New(env);
  result.Set("outputs", results);
  result.Set("cpu", cpu);
  return result;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("burn", Napi::Function::New(env, burn));
  exports.Set("count", Napi::Function::New(env, count));
  exports.Set("countWeighted", Napi::Function::New(env, count_weights));
  exports.Set("geojson", Napi::Function::New(env, geojson));
  exports.Set("gzipLibrary", Napi::String::New(env, Gzip::library()));
  exports.Set("swap", Napi::Function::New(env, swap));
  return exports;
}

}  // namespace

NODE_API_MODULE(fields, init)
