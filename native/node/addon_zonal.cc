// Glue between JavaScript and zonal counting: burn polygons, count pixels, encode rows of the table.
#include <napi.h>

#include <algorithm>
#include <string>
#include <type_traits>
#include <vector>

#include "geometry/wkb.h"
#include "node/addon.h"
#include "node/parquet_slice.h"
#include "parquet/encode.h"
#include "zonal/burn.h"
#include "zonal/count.h"
#include "zonal/count_weighted.h"
#include "zonal/table.h"

namespace fields {
namespace {

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

// As PIXEL_RULES in src/kernel/zonal.ts; by default the center rule.
PixelRule rule_of(Napi::Value value) {
  if (value.IsUndefined()) return PixelRule::kCenter;
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (name == "centre") return PixelRule::kCenter;
  if (name == "touched") return PixelRule::kTouched;
  if (name == "small-touched") return PixelRule::kSmallTouched;
  if (name == "coverage") return PixelRule::kCoverage;
  fail(value.Env(), "rule: one of centre, touched, small-touched, coverage was expected");
}

// Arguments of both burns: grid, albers | null, firstRow, rule, beginning with argument `at`.
struct BurnArguments {
  Grid grid;
  bool projected;
  Albers albers;
  uint32_t first_row;
  PixelRule rule;

  BurnArguments(const Napi::CallbackInfo& info, size_t at, uint64_t count)
      : grid(grid_of(object_of(info[at], "grid"))),
        projected(!info[at + 1].IsNull()),
        albers(projected ? albers_of(object_of(info[at + 1], "albers")) : Albers{}),
        first_row(static_cast<uint32_t>(
            integer_of(info[at + 2], "firstRow", 0, (uint64_t{1} << 32) - std::max<uint64_t>(count, 1)))),
        rule(rule_of(info[at + 3])) {}

  Burner burner() const { return {grid, projected ? &albers : nullptr, rule}; }
};

// An array of `count` words, from the caller's function or new.
Napi::Uint32Array words_for(Napi::Env env, Napi::Value allocate, size_t count) {
  if (allocate.IsUndefined()) return Napi::Uint32Array::New(env, count);
  if (!allocate.IsFunction()) fail(env, "allocate: a function was expected");
  const auto words = allocate.As<Napi::Function>().Call({Napi::Number::New(env, static_cast<double>(count))});
  const auto array = array_of<Napi::Uint32Array>(words, "allocate");
  if (array.ElementLength() < count) fail(env, "allocate: fewer words than were asked for");
  return array;
}

// {extent, chunks, entryEnd, runEnd, field, shape, run}; the last three share a buffer.
Napi::Object burned_of(Napi::Env env, Burner& burner, uint32_t first_row, Napi::Value allocate) {
  burner.sort_entries();
  const size_t n = burner.entries.size();
  const size_t runs = burner.runs.size();
  const auto words = words_for(env, allocate, 2 * n + runs);
  auto* const field_out = elements_of<uint32_t>(words);
  uint32_t* const shape_out = field_out + n;
  uint32_t* const runs_out = shape_out + n;
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
  const auto part = [&](const char* name, size_t from, size_t count) {
    const auto subarray = words.Get("subarray").As<Napi::Function>();
    result.Set(name, subarray.Call(words, {Napi::Number::New(env, static_cast<double>(from)),
                                           Napi::Number::New(env, static_cast<double>(from + count))}));
  };
  result.Set("extent", extent);
  result.Set("chunks", copy_of<Napi::Uint32Array>(env, chunks));
  result.Set("entryEnd", copy_of<Napi::Uint32Array>(env, entry_end));
  result.Set("runEnd", copy_of<Napi::Uint32Array>(env, run_end));
  part("field", 0, n);
  part("shape", n, n);
  part("run", 2 * n, runs);
  return result;
}

// burn(column, grid, albers | null, firstRow, rule, allocate)
//   -> {status, extent, chunks, entryEnd, runEnd, field, shape, run}
Napi::Value burn(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const WkbColumn column(object_of(info[0], "column"));
  const BurnArguments in(info, 1, column.count);
  Burner burner = in.burner();
  auto status = Napi::Uint8Array::New(env, column.count);
  for (uint32_t i = 0; i < column.count; i++) {
    status[i] = column.is_null(i) ? kNull : burner.burn(i, column.bytes(i), column.size(i));
  }
  auto result = burned_of(env, burner, in.first_row, info[5]);
  result.Set("status", status);
  return result;
}

// burnPages({path, idColumn, ids, geometryColumn, geometry}, grid, albers | null, firstRow, rule, allocate)
//   -> as burn, and ids and idColumn as of read_ids
Napi::Value burn_pages(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const SliceArguments slice(object_of(info[0], "slice"));
  const BurnArguments in(info, 1, slice.geometry.rows);
  return naming(env, slice.geometry_column, [&]() -> Napi::Value {
    const File file(slice.path);
    Burner burner = in.burner();
    auto status = Napi::Uint8Array::New(env, slice.geometry.rows);
    uint8_t* const status_out = status.Data();
    ColumnReader reader(file, slice.geometry);
    uint32_t row = 0;
    for (Rows rows; reader.next(rows);) {
      for (size_t i = 0; i < rows.count; i++, row++) {
        const bool null = rows.present != nullptr && rows.present[i] == 0;
        status_out[row] = null ? kNull : burner.burn(row, rows.bytes[i].at, rows.bytes[i].size);
      }
    }
    auto result = burned_of(env, burner, in.first_row, info[5]);
    result.Set("status", status);
    read_ids(env, file, slice.ids, slice.id_column, result);
    return result;
  });
}

// layout: seven numbers per segment: offset of field, shape and run in words, entries, runs, row, col.
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

// Arguments of both counts: count(pixels, stride, words, layout, skip, clip, ..., mask?).
struct CountArguments {
  Napi::TypedArray pixels;
  uint32_t stride, height;
  Napi::Uint32Array words, layout;
  Napi::Float64Array skip;
  bool clip;
  // One byte per pixel; null without a mask.
  const uint8_t* mask = nullptr;
  size_t entries = 0;
  std::vector<Segment> segments;

  explicit CountArguments(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    pixels = any_array_of(info[0], "pixels");
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

// N-API's type for a band's pixels.
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
  const auto code = array("code", pixel_type<T>()), second = array("second", pixel_type<T>());
  const auto counts = [&](const char* name) {
    const auto value = array(name, napi_uint32_array);
    if (value.ElementLength() != code.ElementLength()) fail(from.Env(), "answers: arrays of one length were expected");
    return elements_of<uint32_t>(value);
  };
  if (second.ElementLength() != code.ElementLength()) fail(from.Env(), "answers: arrays of one length were expected");
  return {elements_of<T>(code),
          elements_of<T>(second),
          counts("pixels"),
          counts("valid"),
          counts("secondPixels"),
          counts("covered"),
          static_cast<uint32_t>(code.ElementLength())};
}

// Count: what pixels are told in, whole or weighted.
template <typename Count, typename From, typename Pixels>
Napi::Object object_of_partial(Napi::Env env, const From& partial, const Pixels& pixels) {
  auto part = Napi::Object::New(env);
  part.Set("field", copy_of<Napi::Uint32Array>(env, partial.field));
  part.Set("parts", copy_of<Napi::Uint32Array>(env, partial.parts));
  part.Set("covered", copy_of<Count>(env, partial.covered));
  part.Set("end", copy_of<Napi::Uint32Array>(env, partial.end));
  part.Set("code", copy_of<Napi::Float64Array>(env, partial.code));
  part.Set("pixels", copy_of<Count>(env, pixels));
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
  return object_of_partial<Napi::Uint32Array>(env, partial, partial.pixels);
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
  const auto lists = list_of(info[0], "lists");
  std::vector<PartialView> views;
  for (uint32_t i = 0; i < lists.Length(); i++) views.push_back(partial_of(object_of(lists.Get(i), "lists")));
  const auto answers = object_of(info[1], "answers");
  const auto codes = any_array_of(answers.Get("code"), "answers.code");
  Partial open;
  const bool fits = with_classes(codes, "answers.code", [&](const auto* data) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(data)>>;
    return merge_partial(views, answers_of<T>(answers), info[2].ToBoolean(), open);
  });
  if (!fits) fail(env, "lists: a field is beyond the answers");
  return object_of_partial<Napi::Uint32Array>(env, open, open.pixels);
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
  return object_of_partial<Napi::Float64Array>(env, partial, partial.weight);
}

std::vector<ByteList> words_of(Napi::Value from, const char* name) {
  std::vector<ByteList> words;
  for (const std::string& text : texts_of(from, name)) words.emplace_back(text.begin(), text.end());
  return words;
}

// encodeRows({code, second, pixels, valid, covered, secondPixels, status}, from, to, columns, words)
//   -> {columns, answered, valid, reasons, misfit: {column, row, value} | null}
// columns: source and type of each, as numbers; words: {rules, reasons, hasPixels, outside}
Napi::Value encode_table(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto answers = object_of(info[0], "answers");
  const auto array = [&](const char* name) {
    return any_array_of(answers.Get(name), (std::string("answers.") + name).c_str());
  };
  const auto code = array("code"), second = array("second"), pixels = array("pixels"), valid = array("valid");
  const auto covered = array("covered"), second_pixels = array("secondPixels");
  const auto status = array_of<Napi::Uint8Array>(answers.Get("status"), "answers.status");
  const size_t length = code.ElementLength();
  for (const auto& other : {second, pixels, valid, covered, second_pixels}) {
    if (other.ElementLength() != length) fail(env, "answers: arrays of one length were expected");
  }
  if (status.ElementLength() != length) fail(env, "answers: arrays of one length were expected");
  const auto amount = pixels.TypedArrayType();
  if (second.TypedArrayType() != code.TypedArrayType() || valid.TypedArrayType() != amount ||
      covered.TypedArrayType() != amount || second_pixels.TypedArrayType() != amount ||
      (amount != napi_uint32_array && amount != napi_float64_array)) {
    fail(env, "answers: arrays of other types were expected");
  }
  const auto to = static_cast<uint32_t>(integer_of(info[2], "to", 0, length));
  const auto from = static_cast<uint32_t>(integer_of(info[1], "from", 0, to));
  const auto given = array_of<Napi::Uint8Array>(info[3], "columns");
  std::vector<TableColumn> columns;
  for (size_t i = 0; i + 1 < given.ElementLength(); i += 2) {
    const auto source = static_cast<Source>(given[i]);
    const bool text = source == Source::kRule || source == Source::kReason;
    if (given[i] > static_cast<uint8_t>(Source::kReason) || given[i + 1] > static_cast<uint8_t>(ColumnType::kText) ||
        text != (static_cast<ColumnType>(given[i + 1]) == ColumnType::kText)) {
      fail(env, "columns: no such column");
    }
    columns.push_back({source, static_cast<ColumnType>(given[i + 1])});
  }
  const auto said = object_of(info[4], "words");
  TableWords words{words_of(said.Get("rules"), "words.rules"), words_of(said.Get("reasons"), "words.reasons"), {}, 0};
  const auto has_pixels = array_of<Napi::Uint8Array>(said.Get("hasPixels"), "words.hasPixels");
  words.has_pixels.assign(has_pixels.Data(), has_pixels.Data() + has_pixels.ElementLength());
  const size_t statuses = words.rules.size();
  if (words.has_pixels.size() != statuses || words.reasons.size() != statuses + 1) {
    fail(env, "words: one for each status was expected");
  }
  words.outside = static_cast<uint32_t>(integer_of(said.Get("outside"), "words.outside", 0, statuses));
  for (uint32_t row = from; row < to; row++) {
    if (status[row] >= statuses) fail(env, "answers.status: no such status");
  }

  const EncodedRows encoded = with_classes(code, "answers.code", [&](const auto* codes) {
    const auto encode = [&](auto zero) {
      using Code = std::remove_const_t<std::remove_pointer_t<decltype(codes)>>;
      using Amount = decltype(zero);
      const auto amounts = [&](const Napi::TypedArray& of) { return elements_of<const Amount>(of) + from; };
      const TableRows<Code, Amount> rows{codes + from,         elements_of<const Code>(second) + from,
                                         amounts(pixels),      amounts(valid),
                                         amounts(covered),     amounts(second_pixels),
                                         status.Data() + from, to - from};
      return encode_rows(rows, columns, words);
    };
    return amount == napi_float64_array ? encode(0.0) : encode(uint32_t{0});
  });
  auto result = Napi::Object::New(env);
  auto chunks = Napi::Array::New(env);
  for (uint32_t i = 0; i < encoded.columns.size(); i++) chunks.Set(i, object_of_chunk(env, encoded.columns[i]));
  result.Set("columns", chunks);
  result.Set("answered", encoded.answered);
  result.Set("valid", encoded.valid);
  result.Set("reasons", copy_of<Napi::Uint32Array>(env, encoded.reasons));
  if (encoded.misfit) {
    auto misfit = Napi::Object::New(env);
    misfit.Set("column", encoded.misfit_column);
    misfit.Set("row", from + encoded.misfit_row);
    misfit.Set("value", encoded.misfit_value);
    result.Set("misfit", misfit);
  } else {
    result.Set("misfit", env.Null());
  }
  return result;
}

}  // namespace

void export_zonal(Napi::Env env, Napi::Object exports) {
  exports.Set("burn", Napi::Function::New(env, burn));
  exports.Set("burnPages", Napi::Function::New(env, burn_pages));
  exports.Set("count", Napi::Function::New(env, count));
  exports.Set("merge", Napi::Function::New(env, merge));
  exports.Set("countWeighted", Napi::Function::New(env, count_weights));
  exports.Set("encodeRows", Napi::Function::New(env, encode_table));
}

}  // namespace fields
