#include "tiles/template/deflate_code.h"

#include <algorithm>
#include <cstring>

namespace fields {
namespace {

constexpr uint32_t kLongestCode = 15, kLongestMetaCode = 7, kMetaSymbols = 19;
constexpr uint8_t kMetaOrder[kMetaSymbols] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

constexpr uint16_t kLengthBase[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                      31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
constexpr uint16_t kDistanceBase[30] = {1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
                                        33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
                                        1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};

uint16_t reversed(uint32_t bits, uint32_t length) {
  uint32_t out = 0;
  for (uint32_t i = 0; i < length; i++) out |= (bits >> i & 1) << (length - 1 - i);
  return static_cast<uint16_t>(out);
}

// RFC 1951, 3.2.2.
template <size_t N>
void assign(const uint8_t* lengths, std::array<Code, N>& codes) {
  uint32_t of_length[kLongestCode + 1] = {}, next[kLongestCode + 2] = {};
  for (size_t s = 0; s < N; s++) of_length[lengths[s]]++;
  of_length[0] = 0;
  for (uint32_t l = 1; l <= kLongestCode; l++) next[l + 1] = (next[l] + of_length[l]) << 1;
  for (size_t s = 0; s < N; s++) {
    codes[s] = {};
    if (lengths[s] > 0) codes[s] = {reversed(next[lengths[s]]++, lengths[s]), lengths[s]};
  }
}

struct MetaSymbol {
  uint8_t symbol, extra, extra_bits;
};

// Code lengths as runs: 3.2.7.
void run_lengths(const std::vector<uint8_t>& lengths, std::vector<MetaSymbol>& out) {
  for (size_t i = 0; i < lengths.size();) {
    const uint8_t value = lengths[i];
    size_t run = 1;
    while (i + run < lengths.size() && lengths[i + run] == value) run++;
    i += run;
    if (value == 0) {
      for (; run >= 11; run -= std::min<size_t>(run, 138)) {
        out.push_back({18, static_cast<uint8_t>(std::min<size_t>(run, 138) - 11), 7});
      }
      if (run >= 3) {
        out.push_back({17, static_cast<uint8_t>(run - 3), 3});
        run = 0;
      }
    } else if (run >= 4) {
      out.push_back({value, 0, 0});
      run--;
      while (run >= 3) {
        // Never a rest of one or two that a repeat could have taken.
        const size_t take = run == 7 || run == 8 ? 4 : std::min<size_t>(run, 6);
        out.push_back({16, static_cast<uint8_t>(take - 3), 2});
        run -= take;
      }
    }
    for (; run > 0; run--) out.push_back({value, 0, 0});
  }
}

}  // namespace

LengthCode length_code(uint32_t length) {
  if (length == kMostMatch) return {285, 0, 258};
  const auto at = static_cast<uint32_t>(std::upper_bound(kLengthBase, kLengthBase + 28, length) - kLengthBase - 1);
  return {static_cast<uint16_t>(257 + at), static_cast<uint8_t>(at < 8 ? 0 : at / 4 - 1), kLengthBase[at]};
}

LengthCode distance_code(uint32_t distance) {
  const auto at =
      static_cast<uint32_t>(std::upper_bound(kDistanceBase, kDistanceBase + 30, distance) - kDistanceBase - 1);
  return {static_cast<uint16_t>(at), static_cast<uint8_t>(at < 4 ? 0 : at / 2 - 1), kDistanceBase[at]};
}

void code_lengths(const uint32_t* counts, size_t symbols, uint32_t longest, uint8_t* lengths) {
  std::memset(lengths, 0, symbols);
  std::vector<std::pair<uint32_t, uint16_t>> leaves;
  for (size_t s = 0; s < symbols; s++) {
    if (counts[s] > 0) leaves.emplace_back(counts[s], static_cast<uint16_t>(s));
  }
  const size_t n = leaves.size();
  if (n == 0) return;
  if (n == 1) {
    lengths[leaves[0].second] = 1;
    return;
  }
  std::sort(leaves.begin(), leaves.end());
  // Leaves and the nodes made of them are both ascending: two queues.
  std::vector<uint64_t> weight(n - 1);
  std::vector<uint32_t> parent(2 * n - 1);
  for (size_t made = 0, leaf = 0, node = 0; made < n - 1; made++) {
    for (int child = 0; child < 2; child++) {
      const bool take_leaf = leaf < n && (node == made || leaves[leaf].first <= weight[node]);
      weight[made] += take_leaf ? leaves[leaf].first : weight[node];
      parent[take_leaf ? leaf++ : n + node++] = static_cast<uint32_t>(n + made);
    }
  }
  std::vector<uint32_t> depth(2 * n - 1);
  std::vector<uint32_t> of_length(longest + 1);
  for (size_t i = 2 * n - 2; i-- > 0;) depth[i] = depth[parent[i]] + 1;
  for (size_t i = 0; i < n; i++) of_length[std::min(depth[i], longest)]++;
  // What was cut to the longest takes more than there is: give back by making a shorter code longer.
  uint64_t used = 0;
  for (uint32_t l = 1; l <= longest; l++) used += uint64_t{of_length[l]} << (longest - l);
  while (used > uint64_t{1} << longest) {
    uint32_t l = longest - 1;
    while (of_length[l] == 0) l--;
    of_length[l]--;
    of_length[l + 1] += 2;
    of_length[longest]--;
    used--;
  }
  size_t leaf = 0;
  for (uint32_t l = longest; l > 0; l--) {
    for (uint32_t i = of_length[l]; i > 0; i--) lengths[leaves[leaf++].second] = static_cast<uint8_t>(l);
  }
}

BlockCodes BlockCodes::from(const LitLenCounts& litlen, const DistanceCounts& distance) {
  BlockCodes codes;
  uint8_t lengths[kLitLenSymbols];
  code_lengths(litlen.data(), kLitLenSymbols, kLongestCode, lengths);
  assign(lengths, codes.litlen);
  uint8_t distance_lengths[kDistanceSymbols];
  code_lengths(distance.data(), kDistanceSymbols, kLongestCode, distance_lengths);
  assign(distance_lengths, codes.distance);
  return codes;
}

const BlockCodes& BlockCodes::fixed() {
  static const BlockCodes codes = [] {
    BlockCodes out;
    // All 288, for the two that are never used take part in the assignment.
    std::array<Code, 288> all;
    uint8_t lengths[288];
    for (uint32_t s = 0; s < 288; s++) lengths[s] = s < 144 ? 8 : s < 256 ? 9 : s < 280 ? 7 : 8;
    assign(lengths, all);
    std::copy_n(all.begin(), kLitLenSymbols, out.litlen.begin());
    for (uint32_t s = 0; s < kDistanceSymbols; s++) out.distance[s] = {reversed(s, 5), 5};
    return out;
  }();
  return codes;
}

void BlockCodes::write_head(BitWriter& out, bool last) const {
  if (this == &fixed()) {
    out.put(last ? 3 : 2, 3);
    return;
  }
  uint32_t litlens = kLitLenSymbols, distances = kDistanceSymbols;
  while (litlens > 257 && litlen[litlens - 1].length == 0) litlens--;
  while (distances > 1 && distance[distances - 1].length == 0) distances--;
  std::vector<uint8_t> lengths;
  for (uint32_t s = 0; s < litlens; s++) lengths.push_back(litlen[s].length);
  for (uint32_t s = 0; s < distances; s++) lengths.push_back(distance[s].length);
  std::vector<MetaSymbol> runs;
  run_lengths(lengths, runs);
  uint32_t counts[kMetaSymbols] = {};
  for (const MetaSymbol& one : runs) counts[one.symbol]++;
  uint8_t meta_lengths[kMetaSymbols];
  code_lengths(counts, kMetaSymbols, kLongestMetaCode, meta_lengths);
  std::array<Code, kMetaSymbols> meta;
  assign(meta_lengths, meta);
  uint32_t metas = kMetaSymbols;
  while (metas > 4 && meta_lengths[kMetaOrder[metas - 1]] == 0) metas--;
  out.put(last ? 5 : 4, 3);
  out.put(litlens - 257, 5);
  out.put(distances - 1, 5);
  out.put(metas - 4, 4);
  for (uint32_t i = 0; i < metas; i++) out.put(meta_lengths[kMetaOrder[i]], 3);
  for (const MetaSymbol& one : runs) {
    out.put(meta[one.symbol]);
    out.put(one.extra, one.extra_bits);
  }
}

void BlockCodes::write_match(BitWriter& out, uint32_t length, uint32_t distance_bytes) const {
  const LengthCode l = length_code(length), d = distance_code(distance_bytes);
  out.put(litlen[l.symbol]);
  out.put(length - l.base, l.extra_bits);
  out.put(distance[d.symbol]);
  out.put(distance_bytes - d.base, d.extra_bits);
}

}  // namespace fields
