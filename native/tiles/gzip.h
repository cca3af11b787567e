// gzip of whole buffers: with libdeflate if it was available at build time (two to three times as fast), else with
// Node's zlib.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace fields {

// An error in a tile.
struct TileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Memory that grows without being zeroed.
class Buffer {
 public:
  uint8_t* data() { return bytes_.get(); }
  const uint8_t* data() const { return bytes_.get(); }
  size_t size = 0;

  // Reserves `more` bytes after the content.
  uint8_t* room(size_t more) {
    if (more > capacity_ - size) grow(more);
    return bytes_.get() + size;
  }
  void append(const void* from, size_t length) {
    if (length == 0) return;
    std::memcpy(room(length), from, length);
    size += length;
  }

 private:
  void grow(size_t more) {
    const size_t capacity = size + more + capacity_;
    std::unique_ptr<uint8_t[]> larger(new uint8_t[capacity]);
    if (size > 0) std::memcpy(larger.get(), bytes_.get(), size);
    bytes_ = std::move(larger);
    capacity_ = capacity;
  }
  std::unique_ptr<uint8_t[]> bytes_;
  size_t capacity_ = 0;
};

// CRC-32 continued from `crc`, which is 0 at first.
uint32_t crc32_of(uint32_t crc, const uint8_t* from, size_t size);

// Not for several threads at once.
class Gzip {
 public:
  explicit Gzip(int level);
  ~Gzip();
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  // `libdeflate 1.14`
  static const char* library();

  // Decompresses one whole gzip member into `out`, replacing its content. Throws TileError.
  void inflate(const uint8_t* from, size_t size, Buffer& out);
  // Appends to `out`.
  void deflate(const uint8_t* from, size_t size, Buffer& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fields
