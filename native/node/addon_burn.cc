// Burning, from a column in memory or straight from the pages of a parquet file.
#include <napi.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "geometry/wkb.h"
#include "node/addon.h"
#include "node/arguments.h"
#include "node/parquet_slice.h"
#include "parquet/parquet_column.h"
#include "parquet/parquet_file.h"
#include "parquet/repeated_ids.h"
#include "parquet/row_join.h"
#include "zonal/burn.h"

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

// As PIXEL_RULES in src/kernel/zonal.ts; the center rule when left out.
PixelRule rule_of(Napi::Value value) {
  if (value.IsUndefined()) return PixelRule::kCenter;
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (name == "centre") return PixelRule::kCenter;
  if (name == "touched") return PixelRule::kTouched;
  if (name == "small-touched") return PixelRule::kSmallTouched;
  if (name == "coverage") return PixelRule::kCoverage;
  fail(value.Env(), "rule: one of centre, touched, small-touched, coverage was expected");
}

// What both burns take: grid, albers | null, firstRow, rule, from argument `at` on.
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

// Room for so many words: from the caller's function, or new.
Napi::Uint32Array words_for(Napi::Env env, Napi::Value allocate, size_t count) {
  if (allocate.IsUndefined()) return Napi::Uint32Array::New(env, count);
  if (!allocate.IsFunction()) fail(env, "allocate: a function was expected");
  const auto words = allocate.As<Napi::Function>().Call({Napi::Number::New(env, static_cast<double>(count))});
  const auto array = array_of<Napi::Uint32Array>(words, "allocate");
  if (array.ElementLength() < count) fail(env, "allocate: fewer words than were asked for");
  return array;
}

// {extent, chunks, entryEnd, runEnd, field, shape, run}; the last three lie in one buffer.
Napi::Object burned_of(Napi::Env env, Burner& burner, uint32_t first_row, Napi::Value allocate) {
  burner.sort_entries();
  const size_t n = burner.entries.size();
  const size_t runs = burner.runs.size();
  const auto words = words_for(env, allocate, 2 * n + runs);
  // Not by way of the ArrayBuffer, which may be shared.
  void* data = nullptr;
  napi_value buffer;
  size_t byte_offset = 0;
  napi_get_typedarray_info(env, words, nullptr, nullptr, &data, &buffer, &byte_offset);
  auto* const field_out = static_cast<uint32_t*>(data);
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

// parquetColumns(path, names) -> {type, optional, offset, bytes, values, codec, indexOffset, indexBytes} of each;
// arrays have one element a row group.
Napi::Value parquet_columns(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = text_of(info[0], "path");
  if (!info[1].IsArray()) fail(env, "names: an array was expected");
  const auto list = info[1].As<Napi::Array>();
  std::vector<std::string> names;
  std::string all;
  for (uint32_t i = 0; i < list.Length(); i++) {
    names.push_back(text_of(list.Get(i), "names"));
    all += (i == 0 ? "" : ", ") + names.back();
  }
  const auto columns = naming(env, all, [&] { return read_columns(File(path), names); });
  auto result = Napi::Array::New(env, columns.size());
  for (uint32_t i = 0; i < columns.size(); i++) {
    const Column& column = columns[i];
    auto object = Napi::Object::New(env);
    object.Set("type", static_cast<double>(column.type));
    object.Set("optional", column.optional);
    const auto numbers = [&](const char* name, auto&& of) {
      auto array = Napi::Float64Array::New(env, column.chunks.size());
      for (size_t k = 0; k < column.chunks.size(); k++) array[k] = static_cast<double>(of(column.chunks[k]));
      object.Set(name, array);
    };
    numbers("offset", [](const ColumnChunk& chunk) { return chunk.offset; });
    numbers("bytes", [](const ColumnChunk& chunk) { return chunk.bytes; });
    numbers("values", [](const ColumnChunk& chunk) { return chunk.values; });
    numbers("codec", [](const ColumnChunk& chunk) { return chunk.codec; });
    numbers("indexOffset", [](const ColumnChunk& chunk) { return chunk.index_offset; });
    numbers("indexBytes", [](const ColumnChunk& chunk) { return chunk.index_bytes; });
    result.Set(i, object);
  }
  return result;
}

// parquetPages(path, name, {offset, bytes, values, indexOffset, indexBytes}) -> {offset, firstRow}, one more than
// pages.
Napi::Value parquet_pages(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = text_of(info[0], "path"), name = text_of(info[1], "name");
  const auto from = object_of(info[2], "chunk");
  const auto number = [&](const char* key) { return integer_of(from.Get(key), key, 0, kMaxBytes); };
  const ColumnChunk chunk{number("offset"),      number("bytes"),      number("values"),
                          number("indexOffset"), number("indexBytes"), 0};
  const auto index = naming(env, name, [&] { return read_page_index(File(path), chunk); });
  const auto numbers = [&](const std::vector<uint64_t>& values) {
    auto array = Napi::Float64Array::New(env, values.size());
    for (size_t i = 0; i < values.size(); i++) array[i] = static_cast<double>(values[i]);
    return array;
  };
  auto result = Napi::Object::New(env);
  result.Set("offset", numbers(index.offset));
  result.Set("firstRow", numbers(index.first_row));
  return result;
}

// Ids of consecutive rows, as they come.
struct Ids {
  bool text, is_unsigned, wide;
  uint32_t rows = 0;
  bool rising = true;
  std::vector<int64_t> numbers;
  std::vector<uint8_t> texts;
  std::vector<uint32_t> lengths;
  std::vector<uint8_t> valid;  // empty as long as every row has one

  explicit Ids(const ColumnPart& part)
      : text(part.type == PhysicalType::kByteArray),
        is_unsigned(part.is_unsigned),
        wide(part.type == PhysicalType::kInt64) {}

  void add(const Rows& from) {
    for (size_t i = 0; i < from.count; i++, rows++) {
      const bool there = from.present == nullptr || from.present[i] != 0;
      if (!there && valid.empty()) valid.assign(rows, 1);
      if (!there || !valid.empty()) valid.push_back(there);
      rising = rising && there;
      if (text) {
        add(there ? from.bytes[i] : Bytes{nullptr, 0});
      } else {
        add(there ? from.integers[i] : 0);
      }
    }
  }

 private:
  // Strings by their bytes.
  void add(const Bytes& value) {
    if (rising && rows > 0) {
      const size_t before = lengths.back(), shared = std::min(before, value.size);
      const int order = shared > 0 ? std::memcmp(texts.data() + texts.size() - before, value.at, shared) : 0;
      rising = order < 0 || (order == 0 && before < value.size);
    }
    texts.insert(texts.end(), value.at, value.at + value.size);
    lengths.push_back(static_cast<uint32_t>(value.size));
  }

  void add(int64_t value) {
    // 64 bits without a sign: the order of the bits with the first one turned.
    const uint64_t turn = is_unsigned && wide ? uint64_t{1} << 63 : 0;
    const auto key = [&](int64_t number) { return static_cast<int64_t>(static_cast<uint64_t>(number) ^ turn); };
    rising = rising && (rows == 0 || key(numbers.back()) < key(value));
    numbers.push_back(value);
  }
};

// Numbers in a type of their own width and sign.
template <typename Array, typename T>
Napi::TypedArray narrowed(Napi::Env env, const std::vector<int64_t>& numbers) {
  auto array = Array::New(env, numbers.size());
  for (size_t i = 0; i < numbers.size(); i++) array[i] = static_cast<T>(numbers[i]);
  return array;
}

Napi::TypedArray numbers_of(Napi::Env env, const Ids& ids) {
  if (!ids.wide && ids.is_unsigned) return narrowed<Napi::Uint32Array, uint32_t>(env, ids.numbers);
  if (!ids.wide) return narrowed<Napi::Int32Array, int32_t>(env, ids.numbers);
  if (ids.is_unsigned) return narrowed<Napi::BigUint64Array, uint64_t>(env, ids.numbers);
  return copy_of<Napi::BigInt64Array>(env, ids.numbers);
}

// Reads a part's ids; sets in `result` ids: {first, last, rising} and idColumn: {values, lengths?, valid?}.
void read_ids(Napi::Env env, const File& file, const ColumnPart& part, const std::string& name, Napi::Object result) {
  Ids ids(part);
  naming(env, name, [&] {
    ColumnReader reader(file, part);
    for (Rows rows; reader.next(rows);) ids.add(rows);
  });
  auto column = Napi::Object::New(env);
  auto order = Napi::Object::New(env);
  if (ids.text) {
    column.Set("values", copy_of<Napi::Uint8Array>(env, ids.texts));
    column.Set("lengths", copy_of<Napi::Uint32Array>(env, ids.lengths));
  } else {
    column.Set("values", numbers_of(env, ids));
  }
  if (!ids.valid.empty()) column.Set("valid", copy_of<Napi::Uint8Array>(env, ids.valid));
  const auto set = [&](const char* key, bool last) {
    if (ids.text) {
      const size_t size = last ? ids.lengths.back() : ids.lengths.front();
      const auto* at = reinterpret_cast<const char*>(ids.texts.data()) + (last ? ids.texts.size() - size : 0);
      order.Set(key, size == 0 ? Napi::String::New(env, "") : Napi::String::New(env, at, size));
      return;
    }
    const int64_t number = last ? ids.numbers.back() : ids.numbers.front();
    order.Set(key, ids.is_unsigned && ids.wide ? Napi::BigInt::New(env, static_cast<uint64_t>(number))
                                               : Napi::BigInt::New(env, number));
  };
  if (ids.rows > 0) {
    set("first", false);
    set("last", true);
  }
  order.Set("rising", ids.rising);
  result.Set("ids", order);
  result.Set("idColumn", column);
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

// readPages(slice) -> {column: {values, offsets, validity?}, ids, idColumn}
Napi::Value read_pages(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const SliceArguments slice(object_of(info[0], "slice"));
  return naming(env, slice.geometry_column, [&]() -> Napi::Value {
    const File file(slice.path);
    std::vector<uint8_t> values, validity;
    auto offsets = Napi::Int32Array::New(env, slice.geometry.rows + 1);
    ColumnReader reader(file, slice.geometry);
    uint32_t row = 0;
    for (Rows rows; reader.next(rows);) {
      for (size_t i = 0; i < rows.count; i++) {
        if (rows.present != nullptr && rows.present[i] == 0) {
          if (validity.empty()) validity.assign((slice.geometry.rows + 7) / 8, 0xff);
          validity[row >> 3] = static_cast<uint8_t>(validity[row >> 3] & ~(1u << (row & 7)));
        } else {
          const Bytes& value = rows.bytes[i];
          values.insert(values.end(), value.at, value.at + value.size);
          if (values.size() > INT32_MAX) throw std::runtime_error("more than 2 GiB at a time");
        }
        offsets[++row] = static_cast<int32_t>(values.size());
      }
    }
    auto column = Napi::Object::New(env);
    column.Set("values", copy_of<Napi::Uint8Array>(env, values));
    column.Set("offsets", offsets);
    if (!validity.empty()) {
      column.Set("validity", copy_of<Napi::Uint8Array>(env, validity));
      column.Set("validityOffset", 0.0);
    }
    auto result = Napi::Object::New(env);
    result.Set("column", column);
    read_ids(env, file, slice.ids, slice.id_column, result);
    return result;
  });
}

// readIds(path, name, part) -> ids and idColumn as of read_ids
Napi::Value read_ids_alone(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = text_of(info[0], "path"), name = text_of(info[1], "name");
  const ColumnPart part = part_of(object_of(info[2], "part"));
  auto result = Napi::Object::New(env);
  naming(env, name, [&] {
    const File file(path);
    read_ids(env, file, part, name, result);
  });
  return result;
}

// repeatedIds(path, name, parts, partition, partitions) -> {rows, first, nulls}; parts are whole chunks, all of them.
Napi::Value repeated_ids(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = text_of(info[0], "path"), name = text_of(info[1], "name");
  if (!info[2].IsArray()) fail(env, "parts: an array was expected");
  const auto list = info[2].As<Napi::Array>();
  std::vector<ColumnPart> parts;
  for (uint32_t i = 0; i < list.Length(); i++) parts.push_back(part_of(object_of(list.Get(i), "parts")));
  const auto partitions = static_cast<uint32_t>(integer_of(info[4], "partitions", 1, 1 << 20));
  const auto partition = static_cast<uint32_t>(integer_of(info[3], "partition", 0, partitions - 1));
  uint64_t count = 0;
  for (const ColumnPart& part : parts) count += part.rows;
  if (count > UINT32_MAX) fail(env, "parts: more than 2^32 - 1 rows");
  RepeatedIds ids(partition, partitions, count / partitions);
  naming(env, name, [&] {
    const File file(path);
    const auto add_all = [&] {
      uint32_t row = 0;
      for (const ColumnPart& part : parts) {
        ColumnReader reader(file, part);
        for (Rows rows; reader.next(rows); row += static_cast<uint32_t>(rows.count)) ids.add(rows, row);
      }
    };
    add_all();
    if (ids.again()) add_all();
  });
  auto result = Napi::Object::New(env);
  result.Set("rows", copy_of<Napi::Uint32Array>(env, ids.rows));
  result.Set("first", copy_of<Napi::Uint32Array>(env, ids.first));
  result.Set("nulls", copy_of<Napi::Uint32Array>(env, ids.nulls));
  return result;
}

// A column as {path, name, parts}.
struct WholeColumnArgument {
  std::string path, name;
  std::vector<ColumnPart> parts;
  uint64_t rows = 0;

  explicit WholeColumnArgument(const Napi::Object& from)
      : path(text_of(from.Get("path"), "path")), name(text_of(from.Get("name"), "name")) {
    const auto list = list_of(from.Get("parts"), "parts");
    for (uint32_t i = 0; i < list.Length(); i++) parts.push_back(part_of(object_of(list.Get(i), "parts")));
    for (const ColumnPart& part : parts) rows += part.rows;
  }
};

// joinInStep(leftIds, ids, numbers, out) -> boolean
Napi::Value join_rows(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const WholeColumnArgument left(object_of(info[0], "leftIds")), ids(object_of(info[1], "ids")),
      numbers(object_of(info[2], "numbers"));
  if (!info[3].IsTypedArray()) fail(env, "out: an array was expected");
  const auto out = info[3].As<Napi::TypedArray>();
  const napi_typedarray_type type = out.TypedArrayType();
  if (type != napi_float64_array && type != napi_float32_array) fail(env, "out: floating-point numbers were expected");
  if (out.ElementLength() < left.rows) fail(env, "out: one a row was expected");
  for (const ColumnPart& part : numbers.parts) {
    if (part.type == PhysicalType::kByteArray) fail(env, "numbers: numbers were expected");
  }
  const bool same = naming(env, left.name + ", " + ids.name + ", " + numbers.name, [&] {
    const File left_file(left.path), file(ids.path), number_file(numbers.path);
    const auto join = [&](auto* to) {
      return join_in_step({left_file, left.parts}, {file, ids.parts}, {number_file, numbers.parts}, to, left.rows);
    };
    return type == napi_float64_array ? join(elements_of<double>(out)) : join(elements_of<float>(out));
  });
  return Napi::Boolean::New(env, same);
}

}  // namespace

void export_burn(Napi::Env env, Napi::Object exports) {
  exports.Set("burn", Napi::Function::New(env, burn));
  exports.Set("burnPages", Napi::Function::New(env, burn_pages));
  exports.Set("readPages", Napi::Function::New(env, read_pages));
  exports.Set("readIds", Napi::Function::New(env, read_ids_alone));
  exports.Set("repeatedIds", Napi::Function::New(env, repeated_ids));
  exports.Set("joinInStep", Napi::Function::New(env, join_rows));
  exports.Set("parquetColumns", Napi::Function::New(env, parquet_columns));
  exports.Set("parquetPages", Napi::Function::New(env, parquet_pages));
}

}  // namespace fields
