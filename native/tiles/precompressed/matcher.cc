#include "tiles/precompressed/matcher.h"

#include <algorithm>
#include <cstring>

namespace fields {
namespace {

constexpr uint32_t kHash3Bits = 14, kHash4Bits = 15;
constexpr uint32_t kWindowMask = kMaxDistance - 1;
// Earlier places with the same four bytes that are looked at; and where the place before has a fair match already.
constexpr uint32_t kTries = 12, kLazyTries = 6;
// After so many places without a match in a run, every other place is passed over.
constexpr uint32_t kPatience = 16;
// A match of so many bytes ends the search.
constexpr uint32_t kLongEnough = 64;
// Three bytes from farther away than this cost more than as literals.
constexpr uint32_t kFarForThree = 512;

uint32_t load(const uint8_t* from) {
  uint32_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

uint32_t hash3(uint32_t bytes) { return (bytes << 8) * 0x9e3779b1u >> (32 - kHash3Bits); }
uint32_t hash4(uint32_t bytes) { return bytes * 0x9e3779b1u >> (32 - kHash4Bits); }

uint32_t common(const uint8_t* a, const uint8_t* b, uint32_t from, uint32_t most) {
  uint32_t length = from;
  for (; length + 8 <= most; length += 8) {
    uint64_t x, y;
    std::memcpy(&x, a + length, 8);
    std::memcpy(&y, b + length, 8);
    if (x != y) return length + static_cast<uint32_t>(__builtin_ctzll(x ^ y) >> 3);
  }
  while (length < most && a[length] == b[length]) length++;
  return length;
}

int log2_of(uint32_t value) { return 31 - __builtin_clz(value); }

}  // namespace

Matcher::Matcher()
    : base_(kMaxDistance + 1),
      next_base_(base_),
      head3_(size_t{1} << kHash3Bits),
      head4_(size_t{1} << kHash4Bits),
      previous_(kMaxDistance) {}

void Matcher::open(const uint8_t* text, const uint8_t* run, uint32_t size) {
  if (next_base_ > UINT32_MAX - size) {
    std::fill(head3_.begin(), head3_.end(), 0);
    std::fill(head4_.begin(), head4_.end(), 0);
    next_base_ = kMaxDistance + 1;
  }
  text_ = text;
  run_ = run;
  base_ = next_base_;
  next_base_ += size;
}

void Matcher::insert(uint32_t place) {
  const uint32_t bytes = load(text_ + place), now = base_ + place;
  head3_[hash3(bytes)] = now;
  uint32_t& head = head4_[hash4(bytes)];
  previous_[now & kWindowMask] = head;
  head = now;
}

Matcher::Match Matcher::find(uint32_t place, uint32_t than, uint32_t tries) {
  const uint8_t* const at = text_ + place;
  const uint32_t bytes = load(at), now = base_ + place, most = run_[place];
  const uint32_t first = std::max(base_, now - kMaxDistance);
  uint32_t& head3 = head3_[hash3(bytes)];
  const uint32_t near = head3;
  head3 = now;
  uint32_t& head4 = head4_[hash4(bytes)];
  uint32_t from = head4;
  previous_[now & kWindowMask] = from;
  head4 = now;
  Match best{0, 0};
  uint32_t longest = than;
  if (most <= longest) return best;
  if (longest < kMinMatch && near >= first && ((load(text_ + (near - base_)) ^ bytes) & 0xffffff) == 0 &&
      now - near <= kFarForThree) {
    const uint32_t limit = std::min<uint32_t>(most, run_[near - base_]);
    if (limit >= kMinMatch) {
      longest = common(text_ + (near - base_), at, kMinMatch, limit);
      best = {longest, now - near};
    }
  }
  longest = std::max(longest, kMinMatch);
  for (; from >= first && tries > 0; from = previous_[from & kWindowMask], tries--) {
    const uint8_t* const other = text_ + (from - base_);
    if (load(other) != bytes || other[longest] != at[longest]) continue;
    const uint32_t limit = std::min<uint32_t>(most, run_[from - base_]);
    if (limit <= longest) continue;
    const uint32_t length = common(other, at, 4, limit);
    if (length <= longest) continue;
    longest = length;
    best = {length, now - from};
    if (length >= kLongEnough || length == most) break;
  }
  return best;
}

void Matcher::cut(uint32_t from, uint32_t to, std::vector<Token>& out, SymbolCounts& counts) {
  const auto literal = [&](uint32_t place) {
    counts.litlen[text_[place]]++;
    out.push_back(text_[place]);
  };
  const uint32_t last = to < kMinMatch ? 0 : to - kMinMatch + 1;
  uint32_t place = from, failed = 0;
  while (place < last) {
    Match match = find(place, kMinMatch - 1, kTries);
    // All places before this one are in the tables.
    uint32_t known = place + 1;
    if (match.length == 0) {
      literal(place++);
      if (++failed >= kPatience && place < last) {
        insert(place);
        literal(place++);
      }
      continue;
    }
    failed = 0;
    // A better match that begins one byte later is taken instead.
    while (match.length < kLongEnough && known < last) {
      const Match later = find(known++, match.length - 1, kLazyTries);
      if (later.length == 0) break;
      const int gain = 4 * (static_cast<int>(later.length) - static_cast<int>(match.length)) + log2_of(match.distance) -
                       log2_of(later.distance);
      if (gain <= 0) break;
      literal(place++);
      match = later;
    }
    counts.litlen[length_code(match.length).symbol]++;
    counts.distance[distance_code(match.distance).symbol]++;
    out.push_back(match_token(match.length, match.distance));
    place += match.length;
    for (; known < std::min(place, last); known++) insert(known);
  }
  for (; place < to; place++) literal(place);
}

}  // namespace fields
