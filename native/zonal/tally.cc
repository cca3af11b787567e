#include "zonal/tally.h"

#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#define FIELDS_AVX2 __attribute__((target("avx2,bmi,popcnt")))
#define FIELDS_AVX512 __attribute__((target("avx512f,avx512bw,avx512vbmi2,bmi,popcnt")))
#include <immintrin.h>
#endif

namespace fields {
namespace {

// One by one.
uint32_t tally_table(const uint8_t* bytes, uint32_t n, uint8_t* classes, uint32_t* counts) {
  uint32_t table[256] = {};
  uint32_t found = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (table[bytes[i]]++ == 0) classes[found++] = bytes[i];
  }
  for (uint32_t i = 0; i < found; i++) counts[i] = table[classes[i]];
  return found;
}

#ifdef FIELDS_AVX2

// Maximum of classes removed one at a time, before the remaining pixels are counted one by one.
constexpr uint32_t kPasses = 6;

// For each subset of eight bytes, the shuffle that moves its bytes together.
struct Together {
  uint64_t shuffle[256] = {};
  constexpr Together() {
    for (uint32_t set = 0; set < 256; set++) {
      uint32_t place = 0;
      for (uint64_t i = 0; i < 8; i++) {
        if ((set >> i & 1) != 0) shuffle[set] |= i << 8 * place++;
      }
    }
  }
};
constexpr Together kTogether;

FIELDS_AVX2 inline void move_together(const uint8_t* from, uint32_t set, uint8_t* to) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  const __m128i order = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&kTogether.shuffle[set]));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_shuffle_epi8(bytes, order));
}

FIELDS_AVX2 inline uint32_t equal(const uint8_t* bytes, __m256i sought) {
  const __m256i block = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
  return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(block, sought)));
}

// Move the bytes that are not `common` to `to`, which may be `from`; returns their end.
FIELDS_AVX2 inline uint8_t* move_others(const uint8_t* bytes, uint32_t n, uint8_t common, uint8_t* to) {
  const __m256i sought = _mm256_set1_epi8(static_cast<char>(common));
  for (uint32_t i = 0; i < n; i += 32) {
    uint32_t other = ~equal(bytes + i, sought);
    if (n - i < 32) other &= (1u << (n - i)) - 1;
    const uint8_t* const at = bytes + i;
    move_together(at, other & 0xff, to);
    move_together(at + 8, other >> 8 & 0xff, to + __builtin_popcount(other & 0xff));
    move_together(at + 16, other >> 16 & 0xff, to + __builtin_popcount(other & 0xffff));
    move_together(at + 24, other >> 24, to + __builtin_popcount(other & 0xffffff));
    to += __builtin_popcount(other);
  }
  return to;
}

// Most of a field's pixels have one class. The others are found by comparing 32 at a time with the pixel in the middle,
// and moved together without a branch, because it would be unpredictable. Usually they are so few that each of their
// classes is one more comparison.
FIELDS_AVX2 uint32_t tally_avx2(const uint8_t* bytes, uint32_t n, uint8_t* classes, uint32_t* counts) {
  uint8_t others[kMaxTally + kTallySlack];
  uint32_t found = 0, left = n;
  for (const uint8_t* from = bytes; found == 0 || left > 64; from = others) {
    if (found == kPasses) return found + tally_table(others, left, classes + found, counts + found);
    const uint8_t common = from[left / 2];
    const auto fewer = static_cast<uint32_t>(move_others(from, left, common, others) - others);
    classes[found] = common;
    counts[found++] = left - fewer;
    left = fewer;
  }
  for (uint64_t set = left == 64 ? ~uint64_t{0} : (uint64_t{1} << left) - 1; set != 0; found++) {
    const uint8_t next = others[__builtin_ctzll(set)];
    const __m256i same = _mm256_set1_epi8(static_cast<char>(next));
    const uint64_t alike = (equal(others, same) | uint64_t{equal(others + 32, same)} << 32) & set;
    classes[found] = next;
    counts[found] = static_cast<uint32_t>(__builtin_popcountll(alike));
    set &= ~alike;
  }
  return found;
}

// The same, 64 at a time, with compress instructions.
FIELDS_AVX512 uint32_t tally_avx512(const uint8_t* bytes, uint32_t n, uint8_t* classes, uint32_t* counts) {
  uint8_t others[kMaxTally + 64];
  uint32_t found = 0, left = n;
  const auto first = [](uint32_t count) { return count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1; };
  for (const uint8_t* from = bytes; found == 0 || left > 64; from = others) {
    if (found == kPasses) return found + tally_table(others, left, classes + found, counts + found);
    const uint8_t common = from[left / 2];
    const __m512i sought = _mm512_set1_epi8(static_cast<char>(common));
    uint8_t* to = others;
    for (uint32_t i = 0; i < left; i += 64) {
      const uint64_t in = first(left - i);
      const __m512i block = _mm512_maskz_loadu_epi8(in, from + i);
      const uint64_t other = _mm512_mask_cmpneq_epi8_mask(in, block, sought);
      _mm512_storeu_si512(to, _mm512_maskz_compress_epi8(other, block));
      to += __builtin_popcountll(other);
    }
    const auto fewer = static_cast<uint32_t>(to - others);
    classes[found] = common;
    counts[found++] = left - fewer;
    left = fewer;
  }
  const __m512i few = _mm512_loadu_si512(others);
  for (uint64_t set = first(left); set != 0; found++) {
    const uint8_t next = others[__builtin_ctzll(set)];
    const uint64_t alike = _mm512_mask_cmpeq_epi8_mask(set, few, _mm512_set1_epi8(static_cast<char>(next)));
    classes[found] = next;
    counts[found] = static_cast<uint32_t>(__builtin_popcountll(alike));
    set &= ~alike;
  }
  return found;
}

#endif

}  // namespace

std::vector<Tally> all_tallies() {
  std::vector<Tally> all{tally_table};
#ifdef FIELDS_AVX2
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi")) all.push_back(tally_avx2);
  if (__builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512bw")) all.push_back(tally_avx512);
#endif
  return all;
}

Tally choose_tally() { return all_tallies().back(); }

}  // namespace fields
