// Damaged parquet files through the reader, under the sanitizers: fuzz_parquet ROUNDS SEED COLUMN... -- FILE...
// README.md has the command that builds it. It prints counts of what was reached, so an ineffective run shows.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "parquet/parquet_column.h"
#include "parquet/repeated_ids.h"

namespace {

using namespace fields;
using Bytes8 = std::vector<uint8_t>;

std::mt19937_64 engine;
long executions = 0;
std::map<std::string, long> outcomes;
long rows_read = 0;

uint64_t below(uint64_t n) { return engine() % n; }

// A file in memory, because the reader needs a path.
class MemoryFile {
 public:
  explicit MemoryFile(const Bytes8& bytes) : fd_(memfd_create("fuzz", 0)) {
    if (fd_ < 0 || write(fd_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
  }
  ~MemoryFile() { close(fd_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

// Every byte of every value is read, so one too many is found.
void read(const File& file, const ColumnPart& part) {
  executions++;
  ColumnReader reader(file, part);
  RepeatedIds ids(0, 1, 0);
  uint64_t rows = 0, sum = 0;
  for (Rows some; reader.next(some); rows += some.count) {
    ids.add(some, static_cast<uint32_t>(rows));
    for (size_t i = 0; i < some.count; i++) {
      if (some.present != nullptr && some.present[i] == 0) continue;
      if (some.bytes == nullptr) {
        sum += static_cast<uint64_t>(some.integers[i]);
      } else {
        for (size_t k = 0; k < some.bytes[i].size; k++) sum += some.bytes[i].at[k];
      }
    }
  }
  if (rows != part.rows) std::abort();
  ids.again();
  rows_read += static_cast<long>(rows);
  volatile uint64_t kept = sum;
  (void)kept;
}

void read_all(const std::string& path, const std::vector<std::string>& names) {
  const File file(path);
  for (const Column& column : read_columns(file, names)) {
    for (const ColumnChunk& chunk : column.chunks) {
      if (chunk.values > 1000000) throw std::runtime_error("too long for a test");
      ColumnPart part{chunk.offset,
                      0,
                      chunk.offset,
                      chunk.bytes,
                      0,
                      chunk.values,
                      chunk.values,
                      column.type,
                      static_cast<Codec>(chunk.codec),
                      column.optional,
                      below(2) == 0};
      read(file, part);
      const PageIndex pages = read_page_index(file, chunk);
      const size_t page = below(pages.offset.size() - 1);
      part.dictionary_bytes = pages.offset[0] - chunk.offset;
      part.offset = pages.offset[page];
      part.bytes = pages.offset.back() - part.offset;
      part.rows = chunk.values - pages.first_row[page];
      part.skip = below(part.rows);
      part.rows -= part.skip;
      read(file, part);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const long rounds = argc > 1 ? std::atol(argv[1]) : 1000;
  engine.seed(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
  std::vector<std::string> names;
  int at = 3;
  for (; at < argc && std::strcmp(argv[at], "--") != 0; at++) names.emplace_back(argv[at]);
  std::vector<Bytes8> files;
  for (at++; at < argc; at++) {
    std::ifstream in(argv[at], std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  if (files.empty() || names.empty()) return 2;
  for (const Bytes8& file : files) read_all(MemoryFile(file).path(), names);
  std::printf("rows of whole files: %ld\n", rows_read);
  for (long round = 0; round < rounds; round++) {
    Bytes8 bytes = files[below(files.size())];
    uint32_t footer;
    std::memcpy(&footer, bytes.data() + bytes.size() - 8, 4);
    // The footer, the beginning of the pages, or anything.
    for (uint64_t flips = 1 + below(5); flips > 0; flips--) {
      const uint64_t kind = below(3);
      const size_t from = kind == 0 ? bytes.size() - 8 - footer : 4;
      const size_t range = kind == 0 ? footer + 4 : kind == 1 ? 200 : bytes.size() - 8;
      const size_t place = std::min(from + below(range), bytes.size() - 1);
      bytes[place] =
          below(2) == 0 ? static_cast<uint8_t>(engine()) : bytes[place] ^ static_cast<uint8_t>(1 << below(8));
    }
    try {
      read_all(MemoryFile(bytes).path(), names);
      outcomes["read"]++;
    } catch (const std::exception& error) {
      const std::string text = error.what();
      const size_t colon = text.find(": ");
      outcomes[text.compare(0, 5, "page ") == 0 && colon != std::string::npos ? "page: " + text.substr(colon + 2)
                                                                              : text]++;
    }
  }
  for (const auto& [what, n] : outcomes) {
    if (n * 500 >= rounds) std::printf("%8ld  %s\n", n, what.c_str());
  }
  std::printf("executions %ld\n", executions + rounds);
  return 0;
}
