// parquet.thrift and the format's README (github.com/apache/parquet-format) have the numbers of fields.
#include "parquet/parquet_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "parquet/codec.h"

namespace fields {
namespace {

constexpr size_t kMagicBytes = 4;
constexpr size_t kPieceBytes = size_t{1} << 20;
constexpr size_t kHeaderBytes = 256;
// A page's header may contain statistics with long values.
constexpr size_t kLongestHeader = size_t{16} << 20;

[[noreturn]] void damaged(const std::string& what) { throw std::runtime_error(what); }

uint64_t not_negative(int64_t value, const char* what) {
  if (value < 0) damaged(std::string("negative ") + what);
  return static_cast<uint64_t>(value);
}

uint32_t size_of(int64_t value, const char* what) {
  if (value < 0 || value > INT32_MAX) damaged(std::string(what) + " is out of range");
  return static_cast<uint32_t>(value);
}

// The schema is a tree in depth-first order.
struct SchemaElement {
  int64_t type = -1, repetition = 0, children = 0;
  std::string name;
};

struct Leaf {
  size_t place;  // among all leaves, the order of row groups
  SchemaElement element;
};

Leaf find_leaf(const std::vector<SchemaElement>& schema, const std::string& name) {
  if (schema.empty()) damaged("no schema");
  size_t leaves = 0;
  // Remaining elements at each level.
  std::vector<int64_t> open{schema[0].children};
  for (size_t i = 1; i < schema.size(); i++) {
    while (!open.empty() && open.back() == 0) open.pop_back();
    if (open.empty()) damaged("schema is damaged");
    open.back()--;
    const SchemaElement& element = schema[i];
    if (open.size() == 1 && element.name == name) {
      if (element.children > 0) throw UnsupportedParquet("nested column");
      return {leaves, element};
    }
    if (element.children > 0) {
      open.push_back(element.children);
    } else {
      leaves++;
    }
  }
  damaged("column is missing in the schema");
}

}  // namespace

File::File(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat status;
  if (fd_ < 0 || ::fstat(fd_, &status) != 0) {
    const std::string reason = std::strerror(errno);
    if (fd_ >= 0) ::close(fd_);
    throw std::runtime_error(reason);
  }
  size_ = static_cast<uint64_t>(status.st_size);
}

File::~File() { ::close(fd_); }

void File::read(uint64_t offset, uint8_t* to, size_t size) const {
  while (size > 0) {
    const ssize_t n = ::pread(fd_, to, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw std::runtime_error(std::strerror(errno));
    if (n == 0) damaged("file ends at byte " + std::to_string(offset));
    offset += static_cast<uint64_t>(n);
    to += n;
    size -= static_cast<size_t>(n);
  }
}

Column read_column(const uint8_t* footer, size_t size, const std::string& name, uint64_t file_size) {
  Thrift in(footer, size);
  std::vector<SchemaElement> schema;
  Leaf leaf;
  Column column;
  const auto read_chunk = [&](uint64_t rows) {
    ColumnChunk chunk{};
    int64_t type = -1, codec = -1, values = -1, bytes = -1, data = -1, dictionary = 0, index = 0, index_bytes = 0;
    bool encrypted = false, elsewhere = false;
    std::vector<std::string> path;
    in.read_struct([&](int32_t id, Thrift::Type kind) {
      if (id == 3 && kind == Thrift::kStruct) {
        in.read_struct([&](int32_t field, Thrift::Type field_type) {
          switch (field) {
            case 1: type = in.read_int(); break;
            case 3: in.read_list([&](Thrift::Type) { path.push_back(in.read_string()); }); break;
            case 4: codec = in.read_int(); break;
            case 5: values = in.read_int(); break;
            case 7: bytes = in.read_int(); break;
            case 9: data = in.read_int(); break;
            case 11: dictionary = in.read_int(); break;
            default: in.skip(field_type);
          }
        });
      } else if (id == 4 && kind == Thrift::kI64) {
        index = in.read_int();
      } else if (id == 5 && kind == Thrift::kI32) {
        index_bytes = in.read_int();
      } else {
        elsewhere = elsewhere || id == 1;
        encrypted = encrypted || id == 8 || id == 9;
        in.skip(kind);
      }
    });
    if (encrypted) throw UnsupportedParquet("encrypted column");
    if (elsewhere) throw UnsupportedParquet("column in another file");
    if (path.size() != 1 || path[0] != name || type != leaf.element.type) damaged("schema and row group disagree");
    if (!can_decompress(codec)) throw UnsupportedParquet("compression " + std::to_string(codec));
    // A dictionary comes first; some writers omit its offset or write 0.
    chunk.offset = not_negative(dictionary > 0 && dictionary < data ? dictionary : data, "offset");
    chunk.bytes = not_negative(bytes, "size");
    chunk.values = not_negative(values, "count");
    chunk.codec = static_cast<uint8_t>(codec);
    if (chunk.offset > file_size || chunk.bytes > file_size - chunk.offset)
      damaged("column lies beyond the file's end");
    if (chunk.values != rows) damaged("column has " + std::to_string(values) + " values for " + std::to_string(rows));
    if (index > 0 && index_bytes > 0 && static_cast<uint64_t>(index) < file_size &&
        static_cast<uint64_t>(index_bytes) <= file_size - static_cast<uint64_t>(index)) {
      chunk.index_offset = static_cast<uint64_t>(index);
      chunk.index_bytes = static_cast<uint64_t>(index_bytes);
    }
    column.chunks.push_back(chunk);
  };
  // A row group's number of rows follows its columns.
  const auto rows_of_group = [&]() {
    Thrift ahead = in;
    int64_t rows = -1;
    ahead.read_struct([&](int32_t id, Thrift::Type type) {
      if (id == 3 && type == Thrift::kI64) {
        rows = ahead.read_int();
      } else {
        ahead.skip(type);
      }
    });
    return not_negative(rows, "number of rows");
  };
  in.read_struct([&](int32_t id, Thrift::Type type) {
    if (id == 2 && type == Thrift::kList) {
      in.read_list([&](Thrift::Type) {
        SchemaElement element;
        in.read_struct([&](int32_t field, Thrift::Type field_type) {
          switch (field) {
            case 1: element.type = in.read_int(); break;
            case 3: element.repetition = in.read_int(); break;
            case 4: element.name = in.read_string(); break;
            case 5: element.children = in.read_int(); break;
            default: in.skip(field_type);
          }
        });
        schema.push_back(std::move(element));
      });
      leaf = find_leaf(schema, name);
      const int64_t kind = leaf.element.type;
      if (kind != 1 && kind != 2 && kind != 5 && kind != 6)
        throw UnsupportedParquet("physical type " + std::to_string(kind));
      if (leaf.element.repetition != 0 && leaf.element.repetition != 1) throw UnsupportedParquet("repeated column");
      column.type = static_cast<PhysicalType>(kind);
      column.optional = leaf.element.repetition == 1;
    } else if (id == 4 && type == Thrift::kList) {
      if (schema.empty()) damaged("no schema");
      in.read_list([&](Thrift::Type) {
        const uint64_t rows = rows_of_group();
        const size_t before = column.chunks.size();
        in.read_struct([&](int32_t field, Thrift::Type field_type) {
          if (field != 1 || field_type != Thrift::kList) return in.skip(field_type);
          size_t place = 0;
          in.read_list([&](Thrift::Type element) { place++ == leaf.place ? read_chunk(rows) : in.skip(element); });
        });
        if (column.chunks.size() != before + 1) damaged("row group without the column");
      });
    } else {
      if (id == 8) throw UnsupportedParquet("encrypted file");
      in.skip(type);
    }
  });
  if (schema.empty()) damaged("no schema");
  return column;
}

std::vector<Column> read_columns(const File& file, const std::vector<std::string>& names) {
  const uint64_t size = file.size();
  uint8_t tail[4 + kMagicBytes];
  if (size < sizeof tail + kMagicBytes) damaged("file is too short");
  file.read(size - sizeof tail, tail, sizeof tail);
  uint32_t length;
  std::memcpy(&length, tail, sizeof length);
  if (std::memcmp(tail + 4, "PAR1", kMagicBytes) != 0) throw UnsupportedParquet("encrypted footer");
  if (length > size - sizeof tail - kMagicBytes) damaged("footer is longer than the file");
  const std::unique_ptr<uint8_t[]> footer(new uint8_t[length]);
  file.read(size - sizeof tail - length, footer.get(), length);
  std::vector<Column> columns;
  for (const std::string& name : names) columns.push_back(read_column(footer.get(), length, name, size));
  return columns;
}

PageHeader read_page_header(const uint8_t* bytes, size_t size) {
  Thrift in(bytes, size);
  PageHeader page{};
  page.compressed = true;
  int64_t kind = -1, plain = -1, compressed = -1, values = -1, encoding = -1;
  const auto read_details = [&](int32_t encoding_field) {
    in.read_struct([&](int32_t id, Thrift::Type type) {
      if (id == 1) {
        values = in.read_int();
      } else if (id == encoding_field) {
        encoding = in.read_int();
      } else if (encoding_field == 2 && id == 3 && type == Thrift::kI32) {
        page.level_encoding = static_cast<uint8_t>(in.read_int());
      } else if (encoding_field == 4 && id == 5) {
        page.level_bytes = size_of(in.read_int(), "size of the levels");
      } else if (encoding_field == 4 && id == 6) {
        if (in.read_int() != 0) damaged("repetition levels where none can be");
      } else if (encoding_field == 4 && id == 7) {
        page.compressed = type == Thrift::kTrue;
      } else {
        in.skip(type);
      }
    });
  };
  in.read_struct([&](int32_t id, Thrift::Type type) {
    switch (id) {
      case 1: kind = in.read_int(); break;
      case 2: plain = in.read_int(); break;
      case 3: compressed = in.read_int(); break;
      case 4:
        page.crc = static_cast<uint32_t>(in.read_int());
        page.has_crc = true;
        break;
      case 5:
      case 7: read_details(2); break;
      case 8: read_details(4); break;
      default: in.skip(type);
    }
  });
  if (kind < 0 || kind > 3) damaged("unknown kind of page");
  page.kind = static_cast<PageKind>(kind);
  page.plain_bytes = size_of(plain, "page's size");
  page.compressed_bytes = size_of(compressed, "page's size");
  if (page.kind != PageKind::kIndex) {
    page.values = size_of(values, "page's number of values");
    if (encoding < 0 || encoding > 255) damaged("unknown encoding");
    page.encoding = static_cast<uint8_t>(encoding);
  }
  page.header_bytes = static_cast<uint32_t>(in.used());
  return page;
}

PageStream::PageStream(const File& file, uint64_t begin, uint64_t end)
    : file_(file), offset_(begin), end_(end), piece_(kPieceBytes) {}

const uint8_t* PageStream::peek(size_t size) {
  if (size > end_ - offset_) damaged("a page reaches beyond its column");
  if (to_ - from_ >= size) return buffer_.get() + from_;
  const size_t kept = to_ - from_;
  const size_t wanted = std::max(size, static_cast<size_t>(std::min<uint64_t>(piece_, end_ - offset_)));
  if (wanted > capacity_) {
    std::unique_ptr<uint8_t[]> larger(new uint8_t[wanted]);
    if (kept > 0) std::memcpy(larger.get(), buffer_.get() + from_, kept);
    buffer_ = std::move(larger);
    capacity_ = wanted;
  } else if (kept > 0) {
    std::memmove(buffer_.get(), buffer_.get() + from_, kept);
  }
  file_.read(offset_ + kept, buffer_.get() + kept, wanted - kept);
  from_ = 0;
  to_ = wanted;
  return buffer_.get();
}

void PageStream::skip(uint64_t size) {
  if (size > end_ - offset_) damaged("a page reaches beyond its column");
  offset_ += size;
  from_ = static_cast<size_t>(std::min<uint64_t>(to_, from_ + size));
  if (from_ == to_) from_ = to_ = 0;
}

PageHeader PageStream::header() {
  for (size_t size = kHeaderBytes;; size *= 16) {
    const auto available = static_cast<size_t>(std::min<uint64_t>(size, end_ - offset_));
    try {
      const PageHeader page = read_page_header(peek(available), available);
      skip(page.header_bytes);
      return page;
    } catch (const ThriftEnd&) {
      if (available < size || size >= kLongestHeader) throw;
    }
  }
}

namespace {

PageIndex read_offset_index(const File& file, const ColumnChunk& chunk) {
  const std::unique_ptr<uint8_t[]> bytes(new uint8_t[chunk.index_bytes]);
  file.read(chunk.index_offset, bytes.get(), chunk.index_bytes);
  Thrift in(bytes.get(), chunk.index_bytes);
  PageIndex index;
  uint64_t end = chunk.offset;
  in.read_struct([&](int32_t id, Thrift::Type type) {
    if (id != 1 || type != Thrift::kList) return in.skip(type);
    in.read_list([&](Thrift::Type) {
      int64_t offset = -1, size = -1, first_row = -1;
      in.read_struct([&](int32_t field, Thrift::Type field_type) {
        switch (field) {
          case 1: offset = in.read_int(); break;
          case 2: size = in.read_int(); break;
          case 3: first_row = in.read_int(); break;
          default: in.skip(field_type);
        }
      });
      index.offset.push_back(not_negative(offset, "offset"));
      index.first_row.push_back(not_negative(first_row, "row"));
      end = index.offset.back() + not_negative(size, "size");
    });
  });
  index.offset.push_back(end);
  index.first_row.push_back(chunk.values);
  return index;
}

// Pages are contiguous within the chunk, not empty, and begin with row 0.
bool is_sound(const PageIndex& index, const ColumnChunk& chunk) {
  if (index.offset.size() < 2 || index.first_row[0] != 0) return false;
  if (index.offset[0] < chunk.offset || index.offset.back() != chunk.offset + chunk.bytes) return false;
  return std::adjacent_find(index.offset.begin(), index.offset.end(), std::greater_equal<>()) == index.offset.end() &&
         std::adjacent_find(index.first_row.begin(), index.first_row.end(), std::greater_equal<>()) ==
             index.first_row.end();
}

// Only headers are read, so pieces are small.
PageIndex walk_pages(const File& file, const ColumnChunk& chunk) {
  PageIndex index;
  uint64_t rows = 0;
  const uint64_t end = chunk.offset + chunk.bytes;
  uint64_t at = chunk.offset;
  while (at < end) {
    PageStream stream(file, at, end);
    stream.read_little();
    const PageHeader page = stream.header();
    if (page.compressed_bytes > end - stream.offset()) damaged("a page reaches beyond its column");
    if ((page.kind == PageKind::kData || page.kind == PageKind::kDataV2) && page.values > 0) {
      index.offset.push_back(at);
      index.first_row.push_back(rows);
      rows += page.values;
    }
    at = stream.offset() + page.compressed_bytes;
  }
  if (rows != chunk.values)
    damaged("pages hold " + std::to_string(rows) + " values of " + std::to_string(chunk.values));
  index.offset.push_back(end);
  index.first_row.push_back(rows);
  return index;
}

}  // namespace

PageIndex read_page_index(const File& file, const ColumnChunk& chunk) {
  if (chunk.index_bytes > 0) {
    PageIndex index;
    try {
      index = read_offset_index(file, chunk);
    } catch (const std::runtime_error&) {
      // The headers have the same information.
      index = {};
    }
    if (is_sound(index, chunk)) return index;
  }
  return walk_pages(file, chunk);
}

}  // namespace fields
