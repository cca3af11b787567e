// Huffman codes of deflate (RFC 1951): made from counts, and written as a block's head has them.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fields {

constexpr uint32_t kEndOfBlock = 256;
constexpr uint32_t kLitLenSymbols = 286, kDistanceSymbols = 30;
constexpr uint32_t kLeastMatch = 3, kMostMatch = 258, kMostDistance = 32768;

// A symbol's code, its bits in the order in which they are written (the first one lowest).
struct Code {
  uint16_t bits = 0;
  uint8_t length = 0;
};

// Bits one after the other, the lowest of each byte first.
class BitWriter {
 public:
  void put(uint64_t bits, uint32_t length) {
    for (uint32_t done = 0; done < length;) {
      if ((size_ & 7) == 0) bytes_.push_back(0);
      const auto room = static_cast<uint32_t>(8 - (size_ & 7));
      const uint32_t take = length - done < room ? length - done : room;
      const uint64_t part = bits >> done & ((uint64_t{1} << take) - 1);
      bytes_.back() = static_cast<uint8_t>(bytes_.back() | part << (size_ & 7));
      size_ += take;
      done += take;
    }
  }
  void put(Code code) { put(code.bits, code.length); }
  // In bits.
  size_t size() const { return size_; }
  const std::vector<uint8_t>& bytes() const { return bytes_; }
  void clear() {
    bytes_.clear();
    size_ = 0;
  }

 private:
  std::vector<uint8_t> bytes_;
  size_t size_ = 0;
};

struct LengthCode {
  uint16_t symbol;
  uint8_t extra_bits;
  uint16_t base;
};
// Of a match of 3 to 258 bytes, and of a distance of 1 to 32768.
LengthCode length_code(uint32_t length);
LengthCode distance_code(uint32_t distance);

using LitLenCounts = std::array<uint32_t, kLitLenSymbols>;
using DistanceCounts = std::array<uint32_t, kDistanceSymbols>;

// The codes of one block.
struct BlockCodes {
  std::array<Code, kLitLenSymbols> litlen{};
  std::array<Code, kDistanceSymbols> distance{};

  // Optimal for the counts among codes of at most 15 bits; a symbol without a count has none.
  static BlockCodes from(const LitLenCounts& litlen, const DistanceCounts& distance);
  // Those of RFC 1951, 3.2.6.
  static const BlockCodes& fixed();

  // The block's head, from its type on; three bits for fixed codes.
  void write_head(BitWriter& out, bool last) const;
  void write_match(BitWriter& out, uint32_t length, uint32_t distance) const;
};

// Lengths of at most `longest` bits of an optimal prefix code; 0 where there is no count. One symbol alone has
// length 1.
void code_lengths(const uint32_t* counts, size_t symbols, uint32_t longest, uint8_t* lengths);

}  // namespace fields
