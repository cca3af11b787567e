// The values of a parquet column, page by page.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "parquet/codec.h"
#include "parquet/parquet_file.h"

namespace fields {

// A range of rows of a column chunk, and the pages that contain it.
struct ColumnPart {
  uint64_t dictionary_offset, dictionary_bytes;  // 0 if the dictionary, if any, is the first page
  uint64_t offset, bytes;                        // whole pages
  uint64_t skip, rows;                           // rows to skip in the first pages, and rows to read
  uint64_t chunk_values;                         // of the whole chunk; a limit for each page
  PhysicalType type;
  Codec codec;
  bool optional;
  bool is_unsigned;  // 32-bit integers
};

struct Bytes {
  const uint8_t* at;
  size_t size;
};

// Consecutive rows; arrays have one element per row, with an arbitrary value for a null row.
struct Rows {
  size_t count = 0;
  const uint8_t* present = nullptr;   // 0 for a null row; nullptr if no row is null
  const Bytes* bytes = nullptr;       // of a byte array column
  const int64_t* integers = nullptr;  // for a column of doubles, their bits
};

// Reads a part in order. Memory contains one page, compressed and decompressed, and the dictionary.
class ColumnReader {
 public:
  ColumnReader(const File& file, const ColumnPart& part);

  // The next rows; false after the last. Pointers are valid until the next call.
  // Throws std::runtime_error with the page's offset if the file is damaged, UnsupportedParquet for an unknown
  // encoding.
  bool next(Rows& rows);

 private:
  void take_dictionary(const PageHeader& page, const uint8_t* body);
  const uint8_t* plain_of(const PageHeader& page, const uint8_t* body, size_t& size);
  void decode(const PageHeader& page, const uint8_t* body);
  // The values without nulls.
  void decode_values(uint8_t encoding, const uint8_t* at, size_t size, size_t count);
  void spread(size_t count);

  ColumnPart part_;
  Decompressor decompressor_;
  PageStream dictionary_, pages_;
  uint64_t skip_, left_;
  bool has_dictionary_ = false;

  std::unique_ptr<uint8_t[]> plain_, dictionary_plain_;
  size_t capacity_ = 0;
  std::vector<Bytes> bytes_, dictionary_bytes_;
  std::vector<int64_t> integers_, dictionary_integers_, suffixes_;
  std::vector<uint32_t> levels_;
  std::vector<uint8_t> present_, joined_;
};

}  // namespace fields
