// Arguments that locate a slice in a parquet file, and errors of the parquet readers.
#pragma once
#include <napi.h>

#include <new>
#include <string>

#include "node/arguments.h"
#include "parquet/encode.h"
#include "parquet/parquet_column.h"
#include "parquet/parquet_file.h"

namespace fields {

constexpr uint64_t kMaxBytes = uint64_t{1} << 53;

inline ColumnPart part_of(const Napi::Object& from) {
  const auto number = [&](const char* name) { return integer_of(from.Get(name), name, 0, kMaxBytes); };
  ColumnPart part{};
  part.dictionary_offset = number("dictionaryOffset");
  part.dictionary_bytes = number("dictionaryBytes");
  part.offset = number("offset");
  part.bytes = number("bytes");
  part.skip = number("skip");
  part.rows = number("rows");
  part.chunk_values = number("chunkValues");
  if (part.rows > UINT32_MAX) fail(from.Env(), "rows: too many");
  const uint64_t type = number("type");
  if (type != 1 && type != 2 && type != 5 && type != 6) fail(from.Env(), "type: a physical type that is not read");
  part.type = static_cast<PhysicalType>(type);
  const uint64_t codec = number("codec");
  if (!can_decompress(static_cast<int64_t>(codec))) fail(from.Env(), "codec: a compression that is not read");
  part.codec = static_cast<Codec>(codec);
  part.optional = from.Get("optional").ToBoolean();
  part.is_unsigned = from.Get("unsigned").ToBoolean();
  return part;
}

// Add the column's name to errors of the parquet readers, and a code if another reader may support the file.
template <typename F>
auto naming(Napi::Env env, const std::string& column, F&& function) {
  try {
    return function();
  } catch (const Napi::Error&) {
    throw;
  } catch (const UnsupportedParquet& error) {
    auto thrown = Napi::Error::New(env, column + ": " + error.what());
    thrown.Set("code", "PARQUET_UNSUPPORTED");
    throw thrown;
  } catch (const std::bad_alloc&) {
    throw Napi::Error::New(env, column + ": no memory for a page");
  } catch (const std::exception& error) {
    throw Napi::Error::New(env, column + ": " + error.what());
  }
}

// Arguments of functions that read a slice: {path, idColumn, ids, geometryColumn, geometry}.
struct SliceArguments {
  std::string path, id_column, geometry_column;
  ColumnPart ids, geometry;

  explicit SliceArguments(const Napi::Object& from)
      : path(text_of(from.Get("path"), "path")),
        id_column(text_of(from.Get("idColumn"), "idColumn")),
        geometry_column(text_of(from.Get("geometryColumn"), "geometryColumn")),
        ids(part_of(object_of(from.Get("ids"), "ids"))),
        geometry(part_of(object_of(from.Get("geometry"), "geometry"))) {
    if (geometry.type != PhysicalType::kByteArray) fail(from.Env(), "geometry: byte arrays were expected");
  }
};

// Reads a part's ids; sets in `result` ids: {first, last, rising} and idColumn: {values, lengths?, valid?}.
void read_ids(Napi::Env env, const File& file, const ColumnPart& part, const std::string& name, Napi::Object result);

// {bytes, dictionaryBytes, encoding, nulls, min, max}
Napi::Object object_of_chunk(Napi::Env env, const Chunk& chunk);

}  // namespace fields
