// Splits text into literals and matches by lazy evaluation over hash chains; some bytes may not be copied.
#pragma once
#include <cstdint>
#include <vector>

#include "tiles/precompressed/huffman.h"

namespace fields {

// A literal byte, or a match: `kMatchToken | length << 15 | distance - 1`.
using Token = uint32_t;
constexpr Token kMatchToken = 1u << 31;
inline Token match_token(uint32_t length, uint32_t distance) { return kMatchToken | length << 15 | (distance - 1); }
inline uint32_t token_length(Token token) { return token >> 15 & 0x1ff; }
inline uint32_t token_distance(Token token) { return (token & 0x7fff) + 1; }

// Splits the runs of a text between the bytes that are never copied. Not for several threads at once.
class Matcher {
 public:
  Matcher();

  // A text of less than 2^30 bytes, kept as long as it is cut. `run[i]`: how many bytes from i on a match may cover or
  // copy, at most 255. Four bytes can be read beyond the end of the text.
  void open(const uint8_t* text, const uint8_t* run, uint32_t size);
  // Append the tokens of the run that is `from .. to`, and count their symbols. Runs come in ascending order.
  void cut(uint32_t from, uint32_t to, std::vector<Token>& out, SymbolCounts& counts);

 private:
  struct Match {
    uint32_t length, distance;
  };
  void insert(uint32_t place);
  // The longest match at `place`, longer than `than`; length 0 if there is none. Inserts the place.
  Match find(uint32_t place, uint32_t than, uint32_t tries);

  const uint8_t* text_ = nullptr;
  const uint8_t* run_ = nullptr;
  // Number of the text's first byte among the bytes of all texts so far, so that tables need no clearing.
  uint32_t base_, next_base_;
  std::vector<uint32_t> head3_, head4_, previous_;
};

}  // namespace fields
