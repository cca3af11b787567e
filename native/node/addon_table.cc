// Glue of what is written into the zonal table.
#include <napi.h>

#include <algorithm>
#include <string>
#include <type_traits>
#include <vector>

#include "node/addon.h"
#include "node/arguments.h"
#include "parquet/encode.h"
#include "zonal/table.h"

namespace fields {
namespace {

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

// Integers of any width as parquet's type T, those of the rows that have one.
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
  // One more than needed: no rows are no reason for a null pointer.
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
  void* data = nullptr;
  napi_get_typedarray_info(env, values, nullptr, nullptr, &data, nullptr, nullptr);
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

std::vector<ByteList> texts_of(const Napi::Value& from, const char* name) {
  if (!from.IsArray()) fail(from.Env(), std::string(name) + ": an array was expected");
  const auto list = from.As<Napi::Array>();
  std::vector<ByteList> texts;
  for (uint32_t i = 0; i < list.Length(); i++) {
    const std::string text = list.Get(i).ToString().Utf8Value();
    texts.emplace_back(text.begin(), text.end());
  }
  return texts;
}

// encodeRows({code, second, pixels, valid, covered, secondPixels, status}, from, to, columns, words)
//   -> {columns, answered, valid, reasons, misfit: {column, row, value} | null}
// columns: a source and a type each, as numbers; words: {rules, reasons, hasPixels, outside}
Napi::Value encode_table(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto answers = object_of(info[0], "answers");
  const auto array = [&](const char* name) {
    const auto value = answers.Get(name);
    if (!value.IsTypedArray()) fail(env, std::string("answers.") + name + ": an array of another type was expected");
    return value.As<Napi::TypedArray>();
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
  TableWords words{texts_of(said.Get("rules"), "words.rules"), texts_of(said.Get("reasons"), "words.reasons"), {}, 0};
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

  const auto data = [](const Napi::TypedArray& of) {
    void* at = nullptr;
    napi_get_typedarray_info(of.Env(), of, nullptr, nullptr, &at, nullptr, nullptr);
    return at;
  };
  const EncodedRows encoded = with_classes(code, "answers.code", [&](const auto* codes) {
    const auto encode = [&](auto zero) {
      using Code = std::remove_const_t<std::remove_pointer_t<decltype(codes)>>;
      using Amount = decltype(zero);
      const auto amounts = [&](const Napi::TypedArray& of) { return static_cast<const Amount*>(data(of)) + from; };
      const TableRows<Code, Amount> rows{codes + from,         static_cast<const Code*>(data(second)) + from,
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

void export_table(Napi::Env env, Napi::Object exports) {
  exports.Set("encodeIds", Napi::Function::New(env, encode_ids));
  exports.Set("encodeRows", Napi::Function::New(env, encode_table));
}

}  // namespace fields
