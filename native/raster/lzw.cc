#include "raster/lzw.h"

#include <cstring>

namespace fields {
namespace {

constexpr uint32_t kClear = 256, kFirst = 258, kCodes = 4096;
constexpr unsigned kMinWidth = 9, kMaxWidth = 12;

// Offset and length of a code's string in the output. A new string is the previous one plus the first byte of the next,
// which is the byte after it: so offset and length are enough, and a string is copied as a whole.
struct String {
  uint32_t at, length;
};

uint32_t code_at(const uint8_t* from, size_t bit, unsigned width) {
  uint64_t word;
  std::memcpy(&word, from + (bit >> 3), sizeof word);
  return static_cast<uint32_t>(__builtin_bswap64(word) << (bit & 7) >> (64 - width));
}

// May write up to 15 bytes more.
void copy(uint8_t* to, const uint8_t* from, uint32_t length) {
  for (uint32_t i = 0; i < length; i += 16) std::memcpy(to + i, from + i, 16);
}

enum class Stop { kFull, kCleared, kBroken };

struct Stream {
  const uint8_t* from;
  size_t bits, bit;
  uint8_t* to;
  uint32_t done, size;
  String strings[kCodes];

  // Decodes the codes from one "clear" to the next.
  Stop run() {
    if (done == size) return Stop::kFull;
    if (bit + kMinWidth > bits) return Stop::kBroken;
    uint32_t code = code_at(from, bit, kMinWidth);
    bit += kMinWidth;
    if (code == kClear) return Stop::kCleared;
    if (code > kClear) return Stop::kBroken;
    String last{done, 1};
    to[done++] = static_cast<uint8_t>(code);
    uint32_t next = kFirst;
    for (unsigned width = kMinWidth; width <= kMaxWidth; width++) {
      // Writers switch to longer codes one code early.
      for (const uint32_t end = (1u << width) - 1; next < end; next++) {
        if (done == size) return Stop::kFull;
        if (bit + width > bits) return Stop::kBroken;
        code = code_at(from, bit, width);
        bit += width;
        strings[next] = {last.at, last.length + 1};
        if (code < kClear) {
          last = {done, 1};
          to[done++] = static_cast<uint8_t>(code);
          continue;
        }
        if (code == kClear) return Stop::kCleared;
        if (code < kFirst || code > next || strings[code].length > size - done) return Stop::kBroken;
        last.length = strings[code].length;
        const uint8_t* const source = to + strings[code].at;
        copy(to + done, source, last.length);
        // The newest string ends with its own first byte, which was not yet available to copy.
        to[done + last.length - 1] = source[last.length - 1];
        last.at = done;
        done += last.length;
      }
    }
    return done == size ? Stop::kFull : Stop::kBroken;
  }
};

}  // namespace

bool lzw_decode(const uint8_t* from, size_t from_size, uint8_t* to, size_t size) {
  if (size > UINT32_MAX - kLzwSlack || from_size > SIZE_MAX / 8) return false;
  Stream stream;
  stream.from = from;
  stream.bits = from_size * 8;
  stream.bit = kMinWidth;
  stream.to = to;
  stream.done = 0;
  stream.size = static_cast<uint32_t>(size);
  if (stream.bits < kMinWidth || code_at(from, 0, kMinWidth) != kClear) return false;
  for (;;) {
    const Stop stop = stream.run();
    if (stop != Stop::kCleared) return stop == Stop::kFull;
  }
}

}  // namespace fields
