// Glue between JavaScript and parquet: columns and pages, ids, joins, encoded chunks.
#include <napi.h>

#include <algorithm>
#include <string>
#include <type_traits>
#include <vector>

#include "node/addon.h"
#include "node/parquet_slice.h"
#include "parquet/encode.h"
#include "parquet/ids.h"
#include "parquet/parquet_file.h"
#include "parquet/repeated_ids.h"
#include "parquet/row_join.h"

namespace fields {
namespace {

// Numbers in a typed array of their width and sign.
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

}  // namespace

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

Napi::Object object_of_chunk(Napi::Env env, const Chunk& chunk) {
  auto result = Napi::Object::New(env);
  result.Set("bytes", copy_of<Napi::Uint8Array>(env, chunk.bytes));
  result.Set("dictionaryBytes", chunk.dictionary_bytes);
  result.Set("encoding", static_cast<uint32_t>(chunk.encoding));
  result.Set("nulls", chunk.nulls);
  result.Set("min", copy_of<Napi::Uint8Array>(env, chunk.min));
  result.Set("max", copy_of<Napi::Uint8Array>(env, chunk.max));
  return result;
}

namespace {

// parquetColumns(path, names) -> {type, optional, offset, bytes, values, codec, indexOffset, indexBytes} of each;
// arrays have one element per row group.
Napi::Value parquet_columns(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = text_of(info[0], "path");
  const auto names = texts_of(info[1], "names");
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
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

std::vector<ColumnPart> parts_of(Napi::Value from) {
  const auto list = list_of(from, "parts");
  std::vector<ColumnPart> parts;
  for (uint32_t i = 0; i < list.Length(); i++) parts.push_back(part_of(object_of(list.Get(i), "parts")));
  return parts;
}

// repeatedIds(path, name, parts, partition, partitions) -> {rows, first, nulls}; parts are whole chunks, all of them.
Napi::Value repeated_ids(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = text_of(info[0], "path"), name = text_of(info[1], "name");
  const auto parts = parts_of(info[2]);
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
      : path(text_of(from.Get("path"), "path")),
        name(text_of(from.Get("name"), "name")),
        parts(parts_of(from.Get("parts"))) {
    for (const ColumnPart& part : parts) rows += part.rows;
  }
};

// joinInStep(leftIds, ids, numbers, out) -> boolean
Napi::Value join_rows(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const WholeColumnArgument left(object_of(info[0], "leftIds")), ids(object_of(info[1], "ids")),
      numbers(object_of(info[2], "numbers"));
  const auto out = any_array_of(info[3], "out");
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

// Integers of any width as parquet type T, for the rows that have one.
template <typename T, typename From>
Chunk encode_integers(const From* from, const uint8_t* valid, uint32_t rows) {
  std::vector<T> values;
  values.reserve(rows);
  for (uint32_t row = 0; row < rows; row++) {
    if (valid[row] != 0) values.push_back(static_cast<T>(from[row]));
  }
  return encode_rising(values, valid, rows, std::is_unsigned<From>::value);
}

// encodeIds({values, lengths?, valid?}) -> {bytes, dictionaryBytes, encoding, nulls, min, max}
Napi::Value encode_ids(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto ids = object_of(info[0], "ids");
  const bool strings = !ids.Get("lengths").IsUndefined();
  if (!ids.Get("values").IsTypedArray()) fail(env, "values: integers were expected");
  const auto values = ids.Get("values").As<Napi::TypedArray>();
  Napi::Uint32Array lengths;
  if (strings) lengths = array_of<Napi::Uint32Array>(ids.Get("lengths"), "lengths");
  const auto rows = static_cast<uint32_t>(strings ? lengths.ElementLength() : values.ElementLength());
  // One more than needed, so that the pointer is not null without rows.
  std::vector<uint8_t> flags(size_t{rows} + 1, 1);
  if (!ids.Get("valid").IsUndefined()) {
    const auto given = array_of<Napi::Uint8Array>(ids.Get("valid"), "valid");
    if (given.ElementLength() != rows) fail(env, "valid: one byte a row was expected");
    std::copy_n(given.Data(), rows, flags.begin());
  }
  const uint8_t* const valid = flags.data();
  if (strings) {
    const auto text = array_of<Napi::Uint8Array>(values, "values");
    std::vector<uint32_t> kept;
    size_t total = 0;
    for (uint32_t row = 0; row < rows; row++) {
      total += lengths[row];
      if (valid[row] != 0) kept.push_back(lengths[row]);
    }
    if (total != text.ElementLength()) fail(env, "lengths: not those of values");
    for (uint32_t row = 0; row < rows; row++) {
      if (lengths[row] > 0 && valid[row] == 0) fail(env, "lengths: a row without id has some");
    }
    return object_of_chunk(env, encode_strings(text.Data(), kept, valid, rows));
  }
  const void* data = elements_of<void>(values);
  const auto chunk = [&] {
    switch (values.TypedArrayType()) {
      case napi_int8_array: return encode_integers<int32_t>(static_cast<const int8_t*>(data), valid, rows);
      case napi_uint8_array: return encode_integers<int32_t>(static_cast<const uint8_t*>(data), valid, rows);
      case napi_int16_array: return encode_integers<int32_t>(static_cast<const int16_t*>(data), valid, rows);
      case napi_uint16_array: return encode_integers<int32_t>(static_cast<const uint16_t*>(data), valid, rows);
      case napi_int32_array: return encode_integers<int32_t>(static_cast<const int32_t*>(data), valid, rows);
      case napi_uint32_array: return encode_integers<int32_t>(static_cast<const uint32_t*>(data), valid, rows);
      case napi_bigint64_array: return encode_integers<int64_t>(static_cast<const int64_t*>(data), valid, rows);
      case napi_biguint64_array: return encode_integers<int64_t>(static_cast<const uint64_t*>(data), valid, rows);
      default: fail(env, "values: integers were expected");
    }
  }();
  return object_of_chunk(env, chunk);
}

}  // namespace

void export_parquet(Napi::Env env, Napi::Object exports) {
  exports.Set("readPages", Napi::Function::New(env, read_pages));
  exports.Set("readIds", Napi::Function::New(env, read_ids_alone));
  exports.Set("repeatedIds", Napi::Function::New(env, repeated_ids));
  exports.Set("joinInStep", Napi::Function::New(env, join_rows));
  exports.Set("parquetColumns", Napi::Function::New(env, parquet_columns));
  exports.Set("parquetPages", Napi::Function::New(env, parquet_pages));
  exports.Set("encodeIds", Napi::Function::New(env, encode_ids));
}

}  // namespace fields
