// Where a parquet file keeps the values of a column: its column chunks and their pages.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "parquet/thrift.h"

namespace fields {

// Valid parquet that this reader does not support; another one may.
struct UnsupportedParquet : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A file open for reading; closed with the object.
class File {
 public:
  // Throws std::runtime_error with the system's message.
  explicit File(const std::string& path);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  uint64_t size() const { return size_; }
  // Reads exactly `size` bytes; throws if the file ends earlier.
  void read(uint64_t offset, uint8_t* to, size_t size) const;

 private:
  int fd_;
  uint64_t size_;
};

// Numbered as in parquet.thrift; others are not supported.
enum class PhysicalType : uint8_t { kInt32 = 1, kInt64 = 2, kDouble = 5, kByteArray = 6 };

// The values of one column in one row group.
struct ColumnChunk {
  uint64_t offset, bytes;  // pages, beginning with the dictionary
  uint64_t values;
  uint64_t index_offset, index_bytes;  // of its offset index; 0 if there is none
  uint8_t codec;
};

// A top-level column that is not nested.
struct Column {
  PhysicalType type;
  bool optional;
  std::vector<ColumnChunk> chunks;  // by row group
};

// Finds a column in a file's metadata, `footer`. Every chunk lies within `file_size`.
// Throws UnsupportedParquet if it is nested, encrypted, in another file, or of another type or compression.
Column read_column(const uint8_t* footer, size_t size, const std::string& name, uint64_t file_size);
// The same, reading the metadata from the file.
std::vector<Column> read_columns(const File& file, const std::vector<std::string>& names);

enum class PageKind : uint8_t { kData = 0, kIndex = 1, kDictionary = 2, kDataV2 = 3 };

struct PageHeader {
  PageKind kind;
  bool has_crc, compressed;
  uint32_t crc;
  uint32_t header_bytes, compressed_bytes, plain_bytes;
  uint32_t values;
  uint8_t encoding, level_encoding;
  uint32_t level_bytes;  // version 2: uncompressed definition levels before the values
};

// Throws ThriftEnd if `size` bytes do not contain the whole header.
PageHeader read_page_header(const uint8_t* bytes, size_t size);

// Bytes `begin` to `end` of a file, read once, in order and in pieces.
class PageStream {
 public:
  PageStream(const File& file, uint64_t begin, uint64_t end);

  uint64_t offset() const { return offset_; }
  bool ended() const { return offset_ == end_; }
  // The next page's header; the stream is then at the page's body.
  PageHeader header();
  // The next bytes, without advancing; valid until the next call. Throws if the range ends earlier.
  const uint8_t* peek(size_t size);
  void skip(uint64_t size);
  // Read no more than requested; for reading headers only.
  void read_little() { piece_ = 0; }

 private:
  const File& file_;
  uint64_t offset_, end_;
  size_t piece_;
  std::unique_ptr<uint8_t[]> buffer_;
  size_t capacity_ = 0, from_ = 0, to_ = 0;
};

// Data pages of a chunk: page i begins at offset[i] with row first_row[i]; both have one more element, for the end.
// The bytes before the first page are the dictionary.
struct PageIndex {
  std::vector<uint64_t> offset, first_row;
};

// From the offset index, else by walking the headers.
PageIndex read_page_index(const File& file, const ColumnChunk& chunk);

}  // namespace fields
