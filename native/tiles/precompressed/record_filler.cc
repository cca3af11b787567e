#include <algorithm>
#include <cstring>
#include <utility>

#include "tiles/precompressed/crc.h"
#include "tiles/precompressed/huffman.h"
#include "tiles/precompressed/record.h"

namespace fields {
namespace {

constexpr uint32_t kSlotBytes = 5;
constexpr uint8_t kSlotHead[3] = {0x22, 3, 0x28};
constexpr uint8_t kGzipHead[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
constexpr size_t kTailBytes = 8;
// Bits that one store can add.
constexpr uint32_t kMaxAtOnce = 56;
// Bits of three codes. Of a slot: a match and two literals.
constexpr uint64_t kMaxOpenBits = 45, kMaxSlotBits = 48;

template <typename T>
T load(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

constexpr uint32_t kMaxTags = 127;

struct OpenCode {
  uint64_t bits = 0;
  uint32_t length = 0;
};

// Writes bits to where there is space enough, 8 bytes at a time.
class BitSink {
 public:
  explicit BitSink(uint8_t* to) : to_(to) {}

  // At most 56.
  void put(uint64_t bits, uint32_t length) {
    rest_ |= bits << filled_;
    std::memcpy(to_, &rest_, 8);
    filled_ += length;
    to_ += filled_ >> 3;
    rest_ >>= filled_ & 56;
    filled_ &= 7;
  }
  void put(Code code) { put(code.bits, code.length); }
  void put(const OpenCode& code) { put(code.bits, code.length); }

  // `length` bits of `from`, from bit `at` on; 8 bytes behind them can be read.
  void copy(const uint8_t* from, uint64_t at, uint64_t length) {
    for (; length > kMaxAtOnce; length -= kMaxAtOnce, at += kMaxAtOnce) put(bits_at(from, at, kMaxAtOnce), kMaxAtOnce);
    put(bits_at(from, at, static_cast<uint32_t>(length)), static_cast<uint32_t>(length));
  }

  uint8_t* end() {
    if (filled_ > 0) put(0, 8 - filled_);
    return to_;
  }

 private:
  static uint64_t bits_at(const uint8_t* from, uint64_t at, uint32_t length) {
    return load<uint64_t>(from + (at >> 3)) >> (at & 7) & ((uint64_t{1} << length) - 1);
  }

  uint8_t* to_;
  uint64_t rest_ = 0;
  uint32_t filled_ = 0;
};

// Reads a record's parts, none beyond its end.
struct Parts {
  const uint8_t* at;
  const uint8_t* end;

  const uint8_t* take(uint64_t size) {
    if (size > static_cast<uint64_t>(end - at)) throw RecordError("record is shorter than it says");
    const uint8_t* const from = at;
    at += size;
    return from;
  }
  template <typename T>
  T next() {
    return load<T>(take(sizeof(T)));
  }
};

struct Variant {
  uint8_t block, length;
  // How the CRC changes when a row has no crop, as a factor of the feature's power.
  uint32_t none_change;
  OpenCode pair, none, none_after_match, match, shorter_match;
};

struct RecordLayer {
  uint8_t number;
  bool inline_slots;
  uint32_t slot_gap, feature_gap, feature_count;
  const uint8_t* features;
};

constexpr size_t kFeatureBytes = 12;
struct RecordFeature {
  uint32_t row, power, gap_tail_variant;

  uint32_t gap() const { return gap_tail_variant >> 13; }
  uint32_t tail() const { return gap_tail_variant >> 8 & 31; }
  uint32_t variant() const { return gap_tail_variant & 255; }
};
static_assert(sizeof(RecordFeature) == kFeatureBytes, "a feature is read as it is stored");

}  // namespace

struct RecordFiller::State {
  std::vector<uint8_t*> seen;
  uint64_t rows;

  // The record that is open.
  uint32_t plain_size, plain_crc, static_bits, slot_power, slots, blocks;
  const uint8_t *slot_of_rank, *codes, *bits;
  std::vector<Variant> variants;
  std::vector<RecordLayer> layers;
  uint64_t features;

  // The year at work. By entry, how many features have it, and the sum of their powers.
  std::vector<uint32_t> count, power_sum;
  std::vector<uint32_t> entries;
  std::vector<uint8_t> rank_of_entry;
  std::vector<uint16_t> slot_class;
  // By block and rank, the code of the slot's index.
  std::vector<OpenCode> index_codes;
  // By variant, the sum of the powers of features without a crop.
  std::vector<uint32_t> none_power;
  // By feature.
  std::vector<uint16_t> entry_of;
  bool unknown_entry;

  void count_crops(const YearCrops& year);
  bool rank_crops(const YearCrops& year, uint32_t& crc);
  void write_features(const RecordLayer& layer, const uint16_t* entry, uint64_t& at, BitSink& sink) const;
  void write_slots(BitSink& sink) const;
};

RecordFiller::RecordFiller(std::vector<uint8_t*> seen, uint64_t rows) : state_(new State{}) {
  state_->seen = std::move(seen);
  state_->rows = rows;
}

RecordFiller::~RecordFiller() = default;

void RecordFiller::open(const uint8_t* record, size_t size) {
  State& state = *state_;
  Parts parts{record, record + size};
  if (parts.next<uint8_t>() != kRecordKind) throw RecordError("record is of an unknown kind");
  const auto layers = parts.next<uint8_t>();
  state.slots = parts.next<uint8_t>();
  state.blocks = parts.next<uint8_t>();
  const auto check = parts.next<uint32_t>();
  if (crc32_of(crc32_of(0, record, 4), parts.at, size - 8) != check) throw RecordError("record's checksum is wrong");
  state.plain_size = parts.next<uint32_t>();
  state.plain_crc = parts.next<uint32_t>();
  state.static_bits = parts.next<uint32_t>();
  state.slot_power = parts.next<uint32_t>();
  const auto variants = parts.next<uint32_t>();
  if (state.slots == 0 || state.slots > kMaxSlots) throw RecordError("record has no slots, or too many");
  state.slot_of_rank = parts.take(state.slots);
  for (uint32_t r = 0; r < state.slots; r++) {
    if (state.slot_of_rank[r] >= state.slots) throw RecordError("record has an unknown slot");
  }
  state.codes = parts.take(uint64_t{state.blocks} * state.slots * 3);
  for (uint32_t c = 0; c < state.blocks * state.slots; c++) {
    if (state.codes[c * 3 + 2] > 15) throw RecordError("record has a code that is too long");
  }
  state.variants.clear();
  for (uint32_t v = 0; v < variants; v++) {
    const auto block = parts.next<uint8_t>(), length = parts.next<uint8_t>(), key = parts.next<uint8_t>();
    if (block >= state.blocks || length > kMaxTags) throw RecordError("record has an unknown block or length");
    const auto length_change = static_cast<uint8_t>(length ^ ((length - 2) | 0x80));
    const auto key_change = static_cast<uint8_t>(key ^ 0x80);
    const uint32_t none_change = crc_times_x8(crc_times_x8(kCrcTable[length_change]) ^ kCrcTable[key_change]);
    Variant variant{block, length, none_change, {}, {}, {}, {}, {}};
    for (OpenCode* code :
         {&variant.pair, &variant.none, &variant.none_after_match, &variant.match, &variant.shorter_match}) {
      const auto bits = parts.next<uint8_t>();
      if (bits > kMaxOpenBits) throw RecordError("record has a code that is too long");
      const size_t bytes = (bits + 7u) / 8;
      code->length = bits;
      std::memcpy(&code->bits, parts.take(bytes), bytes);
    }
    state.variants.push_back(variant);
  }
  state.layers.clear();
  state.features = 0;
  uint64_t gaps = 0;
  for (uint32_t l = 0; l < layers; l++) {
    const auto number = parts.next<uint8_t>();
    const bool inline_slots = parts.next<uint8_t>() != 0;
    parts.next<uint16_t>();
    const auto slot_gap = parts.next<uint32_t>(), feature_gap = parts.next<uint32_t>();
    const auto features = parts.next<uint32_t>();
    if (number >= state.seen.size()) throw RecordError("record has an unknown layer");
    state.layers.push_back({number, inline_slots, slot_gap, feature_gap, features, nullptr});
    state.features += features;
    gaps += uint64_t{slot_gap} + feature_gap;
  }
  for (RecordLayer& layer : state.layers) {
    layer.features = parts.take(uint64_t{layer.feature_count} * kFeatureBytes);
    for (uint32_t f = 0; f < layer.feature_count; f++) {
      const auto feature = load<RecordFeature>(layer.features + f * kFeatureBytes);
      if (feature.row >= state.rows) throw RecordError("record has an unknown row");
      if (feature.variant() >= state.variants.size()) throw RecordError("record has an unknown variant");
      // What a year may replace is a part of the gap.
      const Variant& variant = state.variants[feature.variant()];
      const uint32_t match = variant.match.length;
      if ((match > 0 ? match + feature.tail() : variant.pair.length) > feature.gap()) {
        throw RecordError("record has a gap that is too short");
      }
      gaps += feature.gap();
    }
  }
  if (gaps > state.static_bits) throw RecordError("record has fewer bits than it says");
  state.bits = parts.take((uint64_t{state.static_bits} + 7) / 8 + 8);
  if (parts.at != parts.end) throw RecordError("record is longer than it says");
}

uint32_t RecordFiller::slots() const { return state_->slots; }

size_t RecordFiller::max_bytes() const {
  const State& state = *state_;
  const uint64_t bits = state.static_bits + state.features * 3 * kMaxOpenBits +
                        uint64_t{kMaxSlotBits} * state.slots * state.layers.size();
  return sizeof kGzipHead + bits / 8 + 16 + kTailBytes;
}

size_t RecordFiller::fill(const YearCrops& year, bool mark, uint8_t* to, size_t capacity) {
  State& state = *state_;
  if (max_bytes() > capacity) throw RecordError("record gives more than was expected of its size");
  state.count_crops(year);
  uint32_t crc = state.plain_crc;
  const bool fits = state.rank_crops(year, crc);
  for (const uint32_t entry : state.entries) state.count[entry] = state.power_sum[entry] = 0;
  if (state.unknown_entry) throw TileError("row has an entry beyond the crops");
  if (!fits) return 0;

  const auto used = static_cast<uint32_t>(state.entries.size());
  state.index_codes.resize(size_t{state.blocks} * used);
  for (uint32_t block = 0; block < state.blocks; block++) {
    for (uint32_t r = 0; r < used; r++) {
      const uint8_t* const code = state.codes + (size_t{block} * state.slots + state.slot_of_rank[r]) * 3;
      state.index_codes[block * used + r] = {load<uint16_t>(code), code[2]};
    }
  }
  std::memcpy(to, kGzipHead, sizeof kGzipHead);
  BitSink sink(to + sizeof kGzipHead);
  uint64_t at = 0;
  const uint16_t* entry = state.entry_of.data();
  for (const RecordLayer& layer : state.layers) {
    sink.copy(state.bits, at, layer.slot_gap);
    at += layer.slot_gap;
    if (layer.inline_slots) state.write_slots(sink);
    sink.copy(state.bits, at, layer.feature_gap);
    at += layer.feature_gap;
    state.write_features(layer, entry, at, sink);
    entry += layer.feature_count;
    // Threads write the same byte, and only ever a 1.
    uint8_t* const seen = state.seen[layer.number];
    for (uint32_t f = 0; mark && f < layer.feature_count; f++) {
      __atomic_store_n(&seen[load<uint32_t>(layer.features + f * kFeatureBytes)], uint8_t{1}, __ATOMIC_RELAXED);
    }
  }
  sink.copy(state.bits, at, state.static_bits - at);
  uint8_t* end = sink.end();
  std::memcpy(end, &crc, 4);
  std::memcpy(end + 4, &state.plain_size, 4);
  end += kTailBytes;
  return static_cast<size_t>(end - to);
}

void RecordFiller::State::count_crops(const YearCrops& year) {
  if (count.size() <= year.entries) {
    count.resize(year.entries + 1);
    power_sum.resize(year.entries + 1);
    rank_of_entry.resize(year.entries + 1);
  }
  unknown_entry = false;
  entries.clear();
  none_power.assign(variants.size(), 0);
  entry_of.resize(features);
  uint16_t* entry_to = entry_of.data();
  for (const RecordLayer& layer : layers) {
    for (uint32_t f = 0; f < layer.feature_count; f++) {
      const auto feature = load<RecordFeature>(layer.features + f * kFeatureBytes);
      uint32_t entry = year.at(feature.row);
      if (entry > year.entries) {
        unknown_entry = true;
        entry = 0;
      }
      *entry_to++ = static_cast<uint16_t>(entry);
      if (entry == 0) {
        none_power[feature.variant()] ^= feature.power;
        continue;
      }
      if (count[entry]++ == 0) entries.push_back(entry);
      power_sum[entry] ^= feature.power;
    }
  }
}

// Gives each crop of the tile a rank and so a slot, and makes `crc` the year's; false when they do not fit.
bool RecordFiller::State::rank_crops(const YearCrops& year, uint32_t& crc) {
  if (entries.size() > slots) return false;
  for (const uint32_t entry : entries) {
    if (year.codes[entry - 1] >= kSlotClasses) return false;
  }
  // Codes ascend with entries.
  std::sort(entries.begin(), entries.end(),
            [&](uint32_t a, uint32_t b) { return count[a] != count[b] ? count[a] > count[b] : a < b; });
  slot_class.assign(slots, kSlotClasses);
  uint32_t by_bit[8] = {};
  for (uint32_t r = 0; r < entries.size(); r++) {
    const uint32_t entry = entries[r];
    rank_of_entry[entry] = static_cast<uint8_t>(r);
    slot_class[slot_of_rank[r]] = static_cast<uint16_t>(year.codes[entry - 1]);
    for (uint32_t bit = 0; bit < 7; bit++) by_bit[bit] ^= power_sum[entry] & -(slot_of_rank[r] >> bit & 1u);
  }
  uint32_t change = 0;
  for (uint32_t bit = 0; bit < 8; bit++) change = crc_times_x(change) ^ by_bit[bit];
  crc ^= crc_product(kCrcPolynomial, change);
  for (size_t v = 0; v < variants.size(); v++) {
    if (none_power[v] != 0) crc ^= crc_product(variants[v].none_change, none_power[v]);
  }
  // What is free repeats the slot before it, the first ones the commonest crop.
  uint16_t before = entries.empty() ? 0 : static_cast<uint16_t>(year.codes[entries[0] - 1]);
  uint32_t slot_crc = 0;
  for (uint16_t& one : slot_class) {
    if (one == kSlotClasses) one = before;
    before = one;
    const uint8_t bytes[kSlotBytes] = {0, 0, 0, static_cast<uint8_t>(one & 127), static_cast<uint8_t>(one >> 7)};
    for (const uint8_t byte : bytes) slot_crc = slot_crc >> 8 ^ kCrcTable[(slot_crc ^ byte) & 0xff];
  }
  crc ^= crc_product(slot_crc, slot_power);
  return true;
}

void RecordFiller::State::write_features(const RecordLayer& layer, const uint16_t* entry, uint64_t& at,
                                         BitSink& sink) const {
  const auto used = static_cast<uint32_t>(entries.size());
  // By tags' length, whether the last feature has no crop.
  bool none_before[kMaxTags + 1] = {};
  for (uint32_t f = 0; f < layer.feature_count; f++) {
    const auto feature = load<RecordFeature>(layer.features + f * kFeatureBytes);
    const uint32_t gap = feature.gap();
    const Variant& variant = variants[feature.variant()];
    const bool none = entry[f] == 0, match = variant.match.length > 0;
    bool& before = none_before[variant.length];
    if (none || before) {
      const bool shorter = match && before != none;
      if (shorter) {
        const uint32_t tail = feature.tail();
        sink.copy(bits, at, gap - tail - variant.match.length);
        sink.put(variant.shorter_match);
        sink.copy(bits, at + gap - tail, tail);
        if (!none) sink.put(variant.pair);
      } else {
        sink.copy(bits, at, none && !match ? gap - variant.pair.length : gap);
      }
      if (none) sink.put(match && !shorter ? variant.none_after_match : variant.none);
      before = none;
    } else {
      sink.copy(bits, at, gap);
    }
    if (!none) sink.put(index_codes[variant.block * used + rank_of_entry[entry[f]]]);
    at += gap;
  }
}

void RecordFiller::State::write_slots(BitSink& sink) const {
  const BlockCodes& fixed = BlockCodes::fixed();
  const auto put_match = [&](uint32_t length) {
    const RangeCode code = length_code(length);
    sink.put(fixed.litlen[code.symbol]);
    sink.put(length - code.base, code.extra_bits);
    const RangeCode distance = distance_code(kSlotBytes);
    sink.put(fixed.distance[distance.symbol]);
    sink.put(kSlotBytes - distance.base, distance.extra_bits);
  };
  for (uint32_t s = 0; s < slots;) {
    const uint16_t now = slot_class[s];
    if (s == 0) {
      for (const uint8_t byte : kSlotHead) sink.put(fixed.litlen[byte]);
    } else {
      put_match(sizeof kSlotHead);
    }
    sink.put(fixed.litlen[(now & 127) | 128]);
    sink.put(fixed.litlen[now >> 7]);
    uint32_t run = 1;
    while (s + run < slots && slot_class[s + run] == now) run++;
    s += run;
    for (uint32_t left = (run - 1) * kSlotBytes; left > 0;) {
      const uint32_t take = left <= kMaxMatch ? left : std::min(kMaxMatch, left - kMinMatch);
      put_match(take);
      left -= take;
    }
  }
}

}  // namespace fields
