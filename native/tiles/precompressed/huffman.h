// Huffman codes of deflate (RFC 1951): makes them from counts and writes them as a block's header.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tiles/gzip.h"

namespace fields {

constexpr uint32_t kEndOfBlock = 256;
constexpr uint32_t kLitLenSymbols = 286, kDistanceSymbols = 30;
constexpr uint32_t kMinMatch = 3, kMaxMatch = 258, kMaxDistance = 32768;

// A symbol's code, its bits in the order in which they are written (the first one lowest).
struct Code {
  uint16_t bits = 0;
  uint8_t length = 0;
};

// Appends bits to a buffer, the lowest of each byte first.
class BitWriter {
 public:
  explicit BitWriter(Buffer& out) : out_(out), begin_(out.size) {}

  // At most 32 at a time.
  void put(uint32_t bits, uint32_t length) {
    rest_ |= uint64_t{bits} << filled_;
    filled_ += length;
    if (filled_ < 32) return;
    std::memcpy(out_.room(8), &rest_, 4);
    out_.size += 4;
    rest_ >>= 32;
    filled_ -= 32;
  }
  void put(Code code) { put(code.bits, code.length); }
  // In bits.
  uint64_t size() const { return (out_.size - begin_) * 8 + filled_; }
  // Pad the last byte with zeros; nothing can be appended afterwards.
  void finish() {
    std::memcpy(out_.room(8), &rest_, 8);
    out_.size += (filled_ + 7) / 8;
    filled_ = 0;
  }

 private:
  Buffer& out_;
  size_t begin_;
  uint64_t rest_ = 0;
  uint32_t filled_ = 0;
};

constexpr std::array<uint16_t, 29> kLengthBase = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                                  31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
constexpr std::array<uint16_t, kDistanceSymbols> kDistanceBase = {
    1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
    193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};

// Which base each length has, and each distance less 1: from 256 on by its high bits.
struct RangeTable {
  uint8_t length[kMaxMatch + 1] = {}, near[256] = {}, far[256] = {};
  constexpr RangeTable() {
    for (uint32_t at = 0, l = kMinMatch; l <= kMaxMatch; l++) {
      while (at + 1 < kLengthBase.size() && kLengthBase[at + 1] <= l) at++;
      length[l] = static_cast<uint8_t>(at);
    }
    for (uint32_t i = 0, n = 0, f = 0; i < 256; i++) {
      while (n + 1 < kDistanceSymbols && kDistanceBase[n + 1] <= i + 1) n++;
      while (f + 1 < kDistanceSymbols && kDistanceBase[f + 1] <= (i << 7) + 1) f++;
      near[i] = static_cast<uint8_t>(n);
      far[i] = static_cast<uint8_t>(f);
    }
  }
};
inline constexpr RangeTable kRanges;

struct RangeCode {
  uint16_t symbol;
  uint8_t extra_bits;
  uint16_t base;
};
// Symbol of a match of 3 to 258 bytes.
inline RangeCode length_code(uint32_t length) {
  const uint32_t at = kRanges.length[length];
  return {static_cast<uint16_t>(257 + at), static_cast<uint8_t>(at < 8 || at == 28 ? 0 : at / 4 - 1), kLengthBase[at]};
}
// Symbol of a distance of 1 to 32768.
inline RangeCode distance_code(uint32_t distance) {
  const uint32_t less_1 = distance - 1;
  const uint32_t at = less_1 < 256 ? kRanges.near[less_1] : kRanges.far[less_1 >> 7];
  return {static_cast<uint16_t>(at), static_cast<uint8_t>(at < 4 ? 0 : at / 2 - 1), kDistanceBase[at]};
}

struct SymbolCounts {
  std::array<uint32_t, kLitLenSymbols> litlen{};
  std::array<uint32_t, kDistanceSymbols> distance{};

  void add(const SymbolCounts& other);
  // Approximate size of a block of the symbols in bits, from their entropy, header included.
  double bits() const;
};

// The codes of one block.
struct BlockCodes {
  std::array<Code, kLitLenSymbols> litlen{};
  std::array<Code, kDistanceSymbols> distance{};

  // Optimal for the counts among codes of at most 15 bits; a symbol without a count has none.
  static BlockCodes from(const SymbolCounts& counts);
  // Those of RFC 1951, 3.2.6.
  static const BlockCodes& fixed();

  // The block's header, from its type on; three bits for fixed codes.
  void write_header(BitWriter& out, bool last) const;
  void write_length(BitWriter& out, uint32_t length) const {
    const RangeCode code = length_code(length);
    out.put(litlen[code.symbol]);
    out.put(length - code.base, code.extra_bits);
  }
  void write_distance(BitWriter& out, uint32_t bytes) const {
    const RangeCode code = distance_code(bytes);
    out.put(distance[code.symbol]);
    out.put(bytes - code.base, code.extra_bits);
  }
};

// Lengths of at most `longest` bits of an optimal prefix code; 0 where there is no count. One symbol alone has
// length 1. At most kLitLenSymbols symbols, and counts below 2^32 in sum.
void code_lengths(const uint32_t* counts, size_t symbols, uint32_t longest, uint8_t* lengths);

}  // namespace fields
