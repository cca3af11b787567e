#include "tiles/precompressed/huffman.h"

#include <algorithm>
#include <cmath>

namespace fields {
namespace {

constexpr uint32_t kLongestCode = 15, kLongestMetaCode = 7, kMetaSymbols = 19;
constexpr uint8_t kMetaOrder[kMetaSymbols] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

uint16_t reversed(uint32_t bits, uint32_t length) {
  bits = (bits & 0x5555) << 1 | (bits >> 1 & 0x5555);
  bits = (bits & 0x3333) << 2 | (bits >> 2 & 0x3333);
  bits = (bits & 0x0f0f) << 4 | (bits >> 4 & 0x0f0f);
  bits = (bits & 0x00ff) << 8 | (bits >> 8 & 0x00ff);
  return static_cast<uint16_t>(bits >> (16 - length));
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

// Code lengths as runs: 3.2.7. Returns how many symbols they are.
size_t run_lengths(const uint8_t* lengths, size_t count, MetaSymbol* out) {
  const MetaSymbol* const begin = out;
  for (size_t i = 0; i < count;) {
    const uint8_t value = lengths[i];
    size_t run = 1;
    while (i + run < count && lengths[i + run] == value) run++;
    i += run;
    if (value == 0) {
      for (; run >= 11; run -= std::min<size_t>(run, 138)) {
        *out++ = {18, static_cast<uint8_t>(std::min<size_t>(run, 138) - 11), 7};
      }
      if (run >= 3) {
        *out++ = {17, static_cast<uint8_t>(run - 3), 3};
        run = 0;
      }
    } else if (run >= 4) {
      *out++ = {value, 0, 0};
      run--;
      while (run >= 3) {
        // Never a rest of one or two that a repeat could have taken.
        const size_t take = run == 7 || run == 8 ? 4 : std::min<size_t>(run, 6);
        *out++ = {16, static_cast<uint8_t>(take - 3), 2};
        run -= take;
      }
    }
    for (; run > 0; run--) *out++ = {value, 0, 0};
  }
  return static_cast<size_t>(out - begin);
}

// Sorts `count << 16 | symbol` that come by ascending symbols, a byte of the counts at a time.
void sort_by_count(uint64_t* leaves, size_t n) {
  std::array<uint64_t, kLitLenSymbols> other;
  uint64_t all = 0;
  for (size_t i = 0; i < n; i++) all |= leaves[i];
  uint64_t *from = leaves, *to = other.data();
  for (int shift = 16; shift < 48 && all >> shift != 0; shift += 8) {
    std::array<uint16_t, 257> place{};
    for (size_t i = 0; i < n; i++) place[(from[i] >> shift & 255) + 1]++;
    for (size_t d = 0; d < 256; d++) place[d + 1] = static_cast<uint16_t>(place[d + 1] + place[d]);
    for (size_t i = 0; i < n; i++) to[place[from[i] >> shift & 255]++] = from[i];
    std::swap(from, to);
  }
  if (from != leaves) std::copy_n(from, n, leaves);
}

// n log2 n, from a table where n is small.
double weighted_log(uint32_t n) {
  static const std::array<double, 1024> table = [] {
    std::array<double, 1024> out{};
    for (uint32_t i = 1; i < out.size(); i++) out[i] = i * std::log2(i);
    return out;
  }();
  return n < table.size() ? table[n] : n * std::log2(n);
}

}  // namespace

void SymbolCounts::add(const SymbolCounts& other) {
  for (size_t s = 0; s < litlen.size(); s++) litlen[s] += other.litlen[s];
  for (size_t s = 0; s < distance.size(); s++) distance[s] += other.distance[s];
}

double SymbolCounts::bits() const {
  // Bits of a header: about so many, and so many for each symbol that occurs.
  double bits = 100;
  constexpr double kSymbolBits = 4;
  const auto add = [&](const auto& counts) {
    uint32_t sum = 0;
    for (const uint32_t count : counts) {
      if (count == 0) continue;
      sum += count;
      bits += kSymbolBits - weighted_log(count);
    }
    bits += weighted_log(sum);
  };
  add(litlen);
  add(distance);
  return bits;
}

void code_lengths(const uint32_t* counts, size_t symbols, uint32_t longest, uint8_t* lengths) {
  std::memset(lengths, 0, symbols);
  // A count above its symbol, so that they are sorted as one number.
  std::array<uint64_t, kLitLenSymbols> leaves;
  size_t n = 0;
  for (size_t s = 0; s < symbols; s++) {
    if (counts[s] > 0) leaves[n++] = uint64_t{counts[s]} << 16 | s;
  }
  if (n == 0) return;
  if (n == 1) {
    lengths[leaves[0] & 0xffff] = 1;
    return;
  }
  sort_by_count(leaves.data(), n);
  // Leaves and the nodes made of them are both ascending: two queues.
  std::array<uint32_t, kLitLenSymbols> weight;
  std::array<uint16_t, 2 * kLitLenSymbols> parent, depth;
  for (size_t made = 0, leaf = 0, node = 0; made < n - 1; made++) {
    weight[made] = 0;
    for (int child = 0; child < 2; child++) {
      const bool take_leaf = leaf < n && (node == made || leaves[leaf] >> 16 <= weight[node]);
      weight[made] += take_leaf ? static_cast<uint32_t>(leaves[leaf] >> 16) : weight[node];
      parent[take_leaf ? leaf++ : n + node++] = static_cast<uint16_t>(n + made);
    }
  }
  uint32_t of_length[kLongestCode + 1] = {};
  depth[2 * n - 2] = 0;
  for (size_t i = 2 * n - 2; i-- > 0;) depth[i] = static_cast<uint16_t>(depth[parent[i]] + 1);
  for (size_t i = 0; i < n; i++) of_length[std::min<uint32_t>(depth[i], longest)]++;
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
    for (uint32_t i = of_length[l]; i > 0; i--) lengths[leaves[leaf++] & 0xffff] = static_cast<uint8_t>(l);
  }
}

BlockCodes BlockCodes::from(const SymbolCounts& counts) {
  BlockCodes codes;
  uint8_t lengths[kLitLenSymbols];
  code_lengths(counts.litlen.data(), kLitLenSymbols, kLongestCode, lengths);
  assign(lengths, codes.litlen);
  code_lengths(counts.distance.data(), kDistanceSymbols, kLongestCode, lengths);
  assign(lengths, codes.distance);
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

void BlockCodes::write_header(BitWriter& out, bool last) const {
  if (this == &fixed()) {
    out.put(last ? 3 : 2, 3);
    return;
  }
  uint32_t litlens = kLitLenSymbols, distances = kDistanceSymbols;
  while (litlens > 257 && litlen[litlens - 1].length == 0) litlens--;
  while (distances > 1 && distance[distances - 1].length == 0) distances--;
  uint8_t lengths[kLitLenSymbols + kDistanceSymbols];
  for (uint32_t s = 0; s < litlens; s++) lengths[s] = litlen[s].length;
  for (uint32_t s = 0; s < distances; s++) lengths[litlens + s] = distance[s].length;
  MetaSymbol runs[kLitLenSymbols + kDistanceSymbols];
  const size_t run_count = run_lengths(lengths, litlens + distances, runs);
  uint32_t counts[kMetaSymbols] = {};
  for (size_t i = 0; i < run_count; i++) counts[runs[i].symbol]++;
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
  for (size_t i = 0; i < run_count; i++) {
    out.put(meta[runs[i].symbol]);
    out.put(runs[i].extra, runs[i].extra_bits);
  }
}

}  // namespace fields
