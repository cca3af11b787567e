// Column chunks of a parquet file: a dictionary page where it pays, and one data page, not compressed.
// https://github.com/apache/parquet-format: Encodings.md, and parquet.thrift for the page headers.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fields {

using ByteList = std::vector<uint8_t>;

// Numbered as in parquet.thrift.
enum class Encoding : uint8_t { kPlain = 0, kDelta = 5, kDeltaStrings = 7, kDictionary = 8 };

struct Chunk {
  ByteList bytes;
  uint32_t dictionary_bytes = 0;  // dictionary page with its header; 0 if there is none
  Encoding encoding = Encoding::kPlain;
  uint32_t nulls = 0;
  ByteList min, max;  // in PLAIN encoding, strings without length; empty if no row has a value
};

// Buffers that columns reuse, because memory that goes back to the system must be cleared again.
struct Workspace {
  std::vector<uint32_t> index, place;
  ByteList packed;
};

// Which rows have a value, one byte per row; null if the column is required.
using Validity = const uint8_t*;

// Numbers with few different values. `values`: of the rows that have one; `rows`: number of all rows.
// T is a parquet type: int32_t, int64_t, float, double; `is_unsigned`: compare integers as unsigned.
template <typename T>
Chunk encode_numbers(const std::vector<T>& values, Validity valid, uint32_t rows, bool is_unsigned, Workspace& space);

// Ascending integers, stored as differences.
template <typename T>
Chunk encode_rising(const std::vector<T>& values, Validity valid, uint32_t rows, bool is_unsigned);

// Strings from a short list; `index`: which one, for the rows that have one.
Chunk encode_choices(const std::vector<uint32_t>& index, const std::vector<ByteList>& texts, Validity valid,
                     uint32_t rows, Workspace& space);

// Strings with common prefixes, stored as differences. `text`: concatenated; `lengths`: of each.
Chunk encode_strings(const uint8_t* text, const std::vector<uint32_t>& lengths, Validity valid, uint32_t rows);

}  // namespace fields
