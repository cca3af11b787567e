// Text cut into literals and matches, near to the fewest bits, where some bytes may not be copied.
#pragma once
#include <cstdint>
#include <vector>

#include "tiles/template/deflate_code.h"

namespace fields {

struct Token {
  // 0 for a literal.
  uint16_t length;
  uint16_t distance_less_1;

  uint32_t distance() const { return distance_less_1 + 1u; }
};

struct Match {
  uint16_t length;
  uint16_t distance_less_1;
};

// Bits of each symbol, in sixteenths, those that follow the code included.
struct TokenCosts {
  std::array<uint32_t, 256> literal;
  std::array<uint32_t, kMostMatch + 1> length;
  std::array<uint32_t, kDistanceSymbols> distance;

  // What a first look at such text suggests.
  static TokenCosts guess();
  // Of codes that fit the counts; what does not occur is taken for rare.
  static TokenCosts from(const LitLenCounts& litlen, const DistanceCounts& distance);
};

// Finds all useful matches of a text once, and cuts stretches of it by any costs. Not for several threads at once.
class Lz77 {
 public:
  // `stops[i]` is the first place from i on that no match may cover or copy, `size` where there is none. `seams[i]` is
  // the first place from i on of two bytes that a match may cover only at its end, both, behind three others, and
  // copied from two such bytes; `size` where there is none, and the second byte counts as a place of its own. The text
  // is kept as long as this is used.
  void open(const uint8_t* text, const uint32_t* stops, const uint32_t* seams, uint32_t size);

  // Appends the tokens of `from .. to`.
  void cut(uint32_t from, uint32_t to, const TokenCosts& costs, std::vector<Token>& out);

 private:
  void find_matches(uint32_t at);

  const uint8_t* text_ = nullptr;
  const uint32_t* stops_ = nullptr;
  const uint32_t* seams_ = nullptr;
  uint32_t size_ = 0;
  std::vector<uint32_t> head_, previous_;
  // Matches at place i, longer ones behind shorter and nearer ones: matches_[begin_[i] .. begin_[i + 1]).
  std::vector<uint32_t> begin_;
  std::vector<Match> matches_;
  std::vector<uint32_t> cost_;
  std::vector<Token> choice_;
};

}  // namespace fields
