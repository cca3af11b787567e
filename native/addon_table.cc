// Glue of what is written into the zonal table.
#include <napi.h>

#include <algorithm>
#include <type_traits>
#include <vector>

#include "addon.h"
#include "arguments.h"
#include "encode.h"

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

}  // namespace

void export_table(Napi::Env env, Napi::Object exports) {
  exports.Set("encodeIds", Napi::Function::New(env, encode_ids));
}

}  // namespace fields
