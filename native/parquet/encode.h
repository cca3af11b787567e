// Column chunks of a parquet file: a dictionary page where it pays, and one data page, not compressed.
// https://github.com/apache/parquet-format: Encodings.md, and parquet.thrift for the page headers.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fields {

using ByteList = std::vector<uint8_t>;

// As parquet.thrift numbers them.
enum class Encoding : uint8_t { kPlain = 0, kDelta = 5, kDeltaStrings = 7, kDictionary = 8 };

struct Chunk {
  ByteList bytes;
  uint32_t dictionary_bytes = 0;  // of the dictionary page and its header; 0 without one
  Encoding encoding = Encoding::kPlain;
  uint32_t nulls = 0;
  ByteList min, max;  // as PLAIN has them, strings without length; empty where no row has a value
};

// Memory that one column after the other uses: what is given back to the system has to be cleared by it again.
struct Workspace {
  std::vector<uint32_t> index, place;
  ByteList packed;
};

// Which rows have a value: a byte a row; null: the column must not hold nulls, and none is said to be one.
using Validity = const uint8_t*;

// Numbers of few values. `values` are those of the rows that have one, `rows` all rows.
// T is a parquet type: int32_t, int64_t, float, double; `is_unsigned` orders integers by their bits.
template <typename T>
Chunk encode_numbers(const std::vector<T>& values, Validity valid, uint32_t rows, bool is_unsigned, Workspace& space);

// Integers that rise from row to row: as differences.
template <typename T>
Chunk encode_rising(const std::vector<T>& values, Validity valid, uint32_t rows, bool is_unsigned);

// Strings out of a short list: `index` says which, for the rows that have one.
Chunk encode_choices(const std::vector<uint32_t>& index, const std::vector<ByteList>& texts, Validity valid,
                     uint32_t rows, Workspace& space);

// Strings that begin like the one before: as what differs. One after the other in `text`, with their lengths.
Chunk encode_strings(const uint8_t* text, const std::vector<uint32_t>& lengths, Validity valid, uint32_t rows);

}  // namespace fields
