#include "tiles/template/lz77.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace fields {
namespace {

constexpr uint32_t kHashBits = 15;
constexpr uint32_t kNone = 0xffffffff;
// Earlier places with the same three bytes that are looked at; more find next to nothing.
constexpr uint32_t kMostTries = 96;
// A match of so many bytes ends the search.
constexpr uint32_t kLongEnough = 128;
constexpr uint32_t kUnit = 16;
// Bytes of a seam.
constexpr uint32_t kSeam = 2;
// Of a way that is not to be taken.
constexpr uint32_t kForbidden = 1 << 30;
// Of symbols that did not occur.
constexpr uint32_t kRareBits = 13;

uint32_t hash_of(const uint8_t* at) {
  const uint32_t three = at[0] | at[1] << 8 | static_cast<uint32_t>(at[2]) << 16;
  return three * 0x9e3779b1u >> (32 - kHashBits);
}

uint32_t common(const uint8_t* a, const uint8_t* b, uint32_t most) {
  uint32_t length = 0;
  for (; length + 8 <= most; length += 8) {
    uint64_t x, y;
    std::memcpy(&x, a + length, 8);
    std::memcpy(&y, b + length, 8);
    if (x != y) return length + static_cast<uint32_t>(__builtin_ctzll(x ^ y) >> 3);
  }
  while (length < most && a[length] == b[length]) length++;
  return length;
}

// Distance code of each distance, less 1; from 256 on by its high bits.
struct DistanceSlots {
  uint8_t near[256], far[256];
  DistanceSlots() {
    for (uint32_t i = 0; i < 256; i++) {
      near[i] = static_cast<uint8_t>(distance_code(i + 1).symbol);
      far[i] = static_cast<uint8_t>(distance_code((i << 7) + 1).symbol);
    }
  }
  uint32_t of(uint32_t less_1) const { return less_1 < 256 ? near[less_1] : far[less_1 >> 7]; }
};

const DistanceSlots& slots() {
  static const DistanceSlots table;
  return table;
}

}  // namespace

TokenCosts TokenCosts::guess() {
  TokenCosts costs;
  costs.literal.fill(6 * kUnit);
  for (uint32_t l = kLeastMatch; l <= kMostMatch; l++) costs.length[l] = (6 + length_code(l).extra_bits) * kUnit;
  for (uint32_t d = 0; d < kDistanceSymbols; d++) costs.distance[d] = (4 + (d < 4 ? 0 : d / 2 - 1)) * kUnit;
  return costs;
}

TokenCosts TokenCosts::from(const LitLenCounts& litlen, const DistanceCounts& distance) {
  TokenCosts costs;
  const auto log_of_sum = [](const auto& counts) {
    uint64_t sum = 1;
    for (const uint32_t count : counts) sum += count;
    return std::log2(static_cast<double>(sum));
  };
  const double litlens = log_of_sum(litlen), distances = log_of_sum(distance);
  const auto bits = [](double sum, uint32_t count) {
    if (count == 0) return kRareBits * kUnit;
    return static_cast<uint32_t>(std::lround(std::max(1.0, std::min(sum - std::log2(count), 15.0)) * kUnit));
  };
  for (uint32_t s = 0; s < 256; s++) costs.literal[s] = bits(litlens, litlen[s]);
  for (uint32_t l = kLeastMatch, symbol = 0, cost = 0; l <= kMostMatch; l++) {
    const LengthCode code = length_code(l);
    if (code.symbol != symbol) cost = bits(litlens, litlen[code.symbol]) + code.extra_bits * kUnit;
    symbol = code.symbol;
    costs.length[l] = cost;
  }
  for (uint32_t d = 0; d < kDistanceSymbols; d++) {
    costs.distance[d] = bits(distances, distance[d]) + (d < 4 ? 0 : d / 2 - 1) * kUnit;
  }
  return costs;
}

void Lz77::open(const uint8_t* text, const uint32_t* stops, const uint32_t* seams, uint32_t size) {
  text_ = text;
  stops_ = stops;
  seams_ = seams;
  size_ = size;
  head_.assign(size_t{1} << kHashBits, kNone);
  previous_.resize(size);
  begin_.resize(size + 1);
  matches_.clear();
  for (uint32_t at = 0; at < size; at++) find_matches(at);
  begin_[size] = static_cast<uint32_t>(matches_.size());
}

void Lz77::find_matches(uint32_t at) {
  begin_[at] = static_cast<uint32_t>(matches_.size());
  const uint32_t most = std::min(stops_[at] - at, kMostMatch), seam = seams_[at] - at;
  if (most < kLeastMatch || seam < kLeastMatch) return;
  uint32_t& head = head_[hash_of(text_ + at)];
  uint32_t best = kLeastMatch - 1;
  uint32_t tries = kMostTries;
  for (uint32_t from = head; from != kNone && at - from <= kMostDistance && tries > 0;
       from = previous_[from], tries--) {
    const uint32_t limit = std::min(most, stops_[from] - from);
    if (limit <= best || text_[from + best] != text_[at + best]) continue;
    uint32_t length = common(text_ + from, text_ + at, limit);
    const uint32_t other_seam = seams_[from] - from, first_seam = std::min(seam, other_seam);
    if (length > first_seam && (seam != other_seam || length < seam + kSeam)) length = first_seam;
    if (length <= best) continue;
    best = length;
    matches_.push_back({static_cast<uint16_t>(length), static_cast<uint16_t>(at - from - 1)});
    if (best >= most || best >= kLongEnough) break;
  }
  previous_[at] = head;
  head = at;
}

void Lz77::cut(uint32_t from, uint32_t to, const TokenCosts& costs, std::vector<Token>& out) {
  const uint32_t count = to - from;
  cost_.resize(count + 1);
  choice_.resize(count);
  cost_[count] = 0;
  for (uint32_t i = count; i-- > 0;) {
    uint32_t best = costs.literal[text_[from + i]] + cost_[i + 1];
    Token choice{0, 0};
    if (seams_[from + i] == from + i) {
      // No token but a literal ends between the bytes of a seam.
      const bool first = i + 1 < count && seams_[from + i + 1] == from + i + 1;
      cost_[i] = first ? best + costs.literal[text_[from + i + 1]] + cost_[i + kSeam] - cost_[i + 1] : kForbidden;
      choice_[i] = choice;
      continue;
    }
    uint32_t length = kLeastMatch;
    for (uint32_t m = begin_[from + i]; m < begin_[from + i + 1]; m++) {
      const Match match = matches_[m];
      const uint32_t reach = std::min<uint32_t>(match.length, count - i);
      const uint32_t distance = costs.distance[slots().of(match.distance_less_1)];
      for (; length <= reach; length++) {
        const uint32_t cost = costs.length[length] + distance + cost_[i + length];
        if (cost >= best) continue;
        best = cost;
        choice = {static_cast<uint16_t>(length), match.distance_less_1};
      }
    }
    cost_[i] = best;
    choice_[i] = choice;
  }
  for (uint32_t i = 0; i < count; i += std::max<uint32_t>(choice_[i].length, 1)) out.push_back(choice_[i]);
}

}  // namespace fields
