#include <algorithm>
#include <cstring>
#include <utility>

#include "tiles/template/crc.h"
#include "tiles/template/deflate_code.h"
#include "tiles/template/template.h"

namespace fields {
namespace {

constexpr uint32_t kSlotBytes = 5;
constexpr uint8_t kSlotHead[3] = {0x22, 3, 0x28};
constexpr uint8_t kGzipHead[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
constexpr size_t kTailBytes = 8;
// Bits that one store can add.
constexpr uint32_t kMostAtOnce = 56;
// Bits of three codes. Of a slot: a match and two literals.
constexpr uint64_t kMostOpenBits = 45, kMostSlotBits = 48;

template <typename T>
T load(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Writes bits into room that is large enough, 8 bytes at a time.
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

  // `length` bits of `from`, from bit `at` on; 8 bytes behind them can be read.
  void copy(const uint8_t* from, uint64_t at, uint64_t length) {
    for (; length > kMostAtOnce; length -= kMostAtOnce, at += kMostAtOnce)
      put(bits_at(from, at, kMostAtOnce), kMostAtOnce);
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
    if (size > static_cast<uint64_t>(end - at)) throw TemplateError("record is shorter than it says");
    const uint8_t* const from = at;
    at += size;
    return from;
  }
  template <typename T>
  T next() {
    return load<T>(take(sizeof(T)));
  }
};

struct OpenCode {
  uint64_t bits = 0;
  uint32_t length = 0;
};

struct Variant {
  uint8_t block;
  OpenCode pair, none, none_after_match, whole, shorter;
};

struct RecordLayer {
  uint8_t number;
  bool inline_slots;
  uint32_t gap, features;
  const uint8_t *gaps, *places, *backs, *distance_bits;
};

}  // namespace

struct TemplateFiller::State {
  std::vector<uint8_t*> seen;
  uint64_t rows;

  // The record that is open.
  uint32_t plain_size, plain_crc, static_bits, slot_power, row_count, slots, blocks;
  const uint8_t *row, *power, *null_change, *slot_of_rank, *codes, *bits;
  std::vector<Variant> variants;
  std::vector<RecordLayer> layers;
  uint64_t features;

  // The year at work. By entry, how many rows have it, and the sum of their powers.
  std::vector<uint32_t> count, power_sum;
  std::vector<uint32_t> entries;
  std::vector<uint8_t> rank_of_entry, rank_of_row;
  std::vector<uint16_t> entry_of_row;
  std::vector<uint16_t> slot_class;
  std::vector<OpenCode> open_codes;

  bool nulls = false;
  // By feature so far, where a row of the tile has no crop.
  std::vector<uint8_t> no_crop;

  bool rank(const TemplateYear& year, uint32_t& crc);
  template <bool kNulls>
  void write_features(const RecordLayer& layer, uint32_t used, uint64_t& at, BitSink& sink);
  void write_slots(BitSink& sink) const;
};

TemplateFiller::TemplateFiller(std::vector<uint8_t*> seen, uint64_t rows) : state_(new State{}) {
  state_->seen = std::move(seen);
  state_->rows = rows;
}

TemplateFiller::~TemplateFiller() = default;

void TemplateFiller::open(const uint8_t* record, size_t size) {
  State& state = *state_;
  Parts parts{record, record + size};
  const auto check = parts.next<uint32_t>();
  if (crc32_of(0, parts.at, size - 4) != check) throw TemplateError("record has another checksum than its own");
  state.plain_size = parts.next<uint32_t>();
  state.plain_crc = parts.next<uint32_t>();
  state.static_bits = parts.next<uint32_t>();
  state.slot_power = parts.next<uint32_t>();
  state.row_count = parts.next<uint16_t>();
  const auto layers = parts.next<uint8_t>();
  state.slots = parts.next<uint8_t>();
  state.blocks = parts.next<uint8_t>();
  const auto variants = parts.next<uint8_t>();
  parts.next<uint16_t>();
  if (state.slots == 0 || state.slots > kMostSlots) throw TemplateError("record has no slots, or too many");
  state.row = parts.take(uint64_t{state.row_count} * 4);
  state.power = parts.take(uint64_t{state.row_count} * 4);
  state.null_change = parts.take(uint64_t{state.row_count} * 4);
  for (uint32_t r = 0; r < state.row_count; r++) {
    if (load<uint32_t>(state.row + r * 4) >= state.rows) throw TemplateError("record has a row that is none");
  }
  state.slot_of_rank = parts.take(state.slots);
  for (uint32_t r = 0; r < state.slots; r++) {
    if (state.slot_of_rank[r] >= state.slots) throw TemplateError("record has a slot that is none");
  }
  state.codes = parts.take(uint64_t{state.blocks} * state.slots * 3);
  for (uint32_t c = 0; c < state.blocks * state.slots; c++) {
    if (state.codes[c * 3 + 2] > 15) throw TemplateError("record has a code that is too long");
  }
  state.variants.clear();
  for (uint32_t v = 0; v < variants; v++) {
    const auto block = parts.next<uint8_t>();
    if (block >= state.blocks) throw TemplateError("record has a block that is none");
    Variant variant{block, {}, {}, {}, {}, {}};
    for (OpenCode* code : {&variant.pair, &variant.none, &variant.none_after_match, &variant.whole, &variant.shorter}) {
      const auto length = parts.next<uint8_t>();
      if (length > kMostOpenBits) throw TemplateError("record has a code that is too long");
      const size_t bytes = (length + 7u) / 8;
      code->length = length;
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
    const auto gap = parts.next<uint32_t>();
    const auto features = parts.next<uint32_t>();
    if (number >= state.seen.size()) throw TemplateError("record has a layer that is none");
    state.layers.push_back({number, inline_slots, gap, features, nullptr, nullptr, nullptr, nullptr});
    state.features += features;
    gaps += gap;
  }
  for (RecordLayer& layer : state.layers) {
    layer.gaps = parts.take(uint64_t{layer.features} * 4);
    for (uint32_t f = 0; f < layer.features; f++) {
      const auto gap = load<uint32_t>(layer.gaps + size_t{f} * 4);
      if ((gap & 255) >= variants) throw TemplateError("record has a variant that is none");
      gaps += gap >> 8;
    }
  }
  for (RecordLayer& layer : state.layers) {
    layer.places = parts.take(uint64_t{layer.features} * 2);
    for (uint32_t f = 0; f < layer.features; f++) {
      if (load<uint16_t>(layer.places + size_t{f} * 2) >= state.row_count) {
        throw TemplateError("record has a row that is none");
      }
    }
  }
  uint64_t before = 0;
  for (RecordLayer& layer : state.layers) {
    layer.backs = parts.take(uint64_t{layer.features} * 2);
    for (uint32_t f = 0; f < layer.features; f++, before++) {
      if (load<uint16_t>(layer.backs + size_t{f} * 2) > before) throw TemplateError("record copies what is not there");
    }
  }
  for (RecordLayer& layer : state.layers) {
    layer.distance_bits = parts.take(layer.features);
    for (uint32_t f = 0; f < layer.features; f++) {
      // What the year may replace is a part of the gap.
      const auto gap = load<uint32_t>(layer.gaps + size_t{f} * 4);
      const Variant& variant = state.variants[gap & 255];
      const bool copied = load<uint16_t>(layer.backs + size_t{f} * 2) > 0;
      const uint32_t replaced = copied ? variant.whole.length + layer.distance_bits[f] : variant.pair.length;
      if (replaced > gap >> 8) throw TemplateError("record has a gap that is too short");
    }
  }
  if (gaps > state.static_bits) throw TemplateError("record has fewer bits than it says");
  state.bits = parts.take((uint64_t{state.static_bits} + 7) / 8 + 8);
  if (parts.at != parts.end) throw TemplateError("record is longer than it says");
}

size_t TemplateFiller::most_bytes() const {
  const State& state = *state_;
  const uint64_t bits = state.static_bits + state.features * 3 * kMostOpenBits +
                        uint64_t{kMostSlotBits} * state.slots * state.layers.size();
  return sizeof kGzipHead + bits / 8 + 16 + kTailBytes;
}

size_t TemplateFiller::fill(const TemplateYear& year, bool mark, uint8_t* to, size_t room) {
  State& state = *state_;
  uint32_t crc = state.plain_crc;
  if (most_bytes() > room) throw TemplateError("record gives more than was expected of its size");
  if (!state.rank(year, crc)) return 0;
  const uint32_t used = static_cast<uint32_t>(state.entries.size());

  // The codes of the indexes by block.
  state.open_codes.resize(size_t{state.blocks} * used);
  for (uint32_t block = 0; block < state.blocks; block++) {
    for (uint32_t r = 0; r < used; r++) {
      const uint8_t* const code = state.codes + (size_t{block} * state.slots + state.slot_of_rank[r]) * 3;
      state.open_codes[block * used + r] = {load<uint16_t>(code), code[2]};
    }
  }

  std::memcpy(to, kGzipHead, sizeof kGzipHead);
  BitSink sink(to + sizeof kGzipHead);
  uint64_t at = 0;
  state.no_crop.clear();
  for (const RecordLayer& layer : state.layers) {
    if (layer.inline_slots) {
      sink.copy(state.bits, at, layer.gap);
      at += layer.gap;
      state.write_slots(sink);
    }
    if (state.nulls)
      state.write_features<true>(layer, used, at, sink);
    else
      state.write_features<false>(layer, used, at, sink);
    // Threads write the same byte, and only ever a 1.
    uint8_t* const seen = state.seen[layer.number];
    for (uint32_t f = 0; mark && f < layer.features; f++) {
      const uint32_t place = load<uint16_t>(layer.places + size_t{f} * 2);
      __atomic_store_n(&seen[load<uint32_t>(state.row + place * 4)], uint8_t{1}, __ATOMIC_RELAXED);
    }
  }
  sink.copy(state.bits, at, state.static_bits - at);
  uint8_t* end = sink.end();
  std::memcpy(end, &crc, 4);
  std::memcpy(end + 4, &state.plain_size, 4);
  end += kTailBytes;
  return static_cast<size_t>(end - to);
}

// Ranks the crops of the tile's rows, and makes `crc` the year's.
bool TemplateFiller::State::rank(const TemplateYear& year, uint32_t& crc) {
  if (count.size() <= year.entries) {
    count.resize(year.entries + 1);
    power_sum.resize(year.entries + 1);
    rank_of_entry.resize(year.entries + 1);
  }
  entries.clear();
  entry_of_row.resize(row_count);
  rank_of_row.resize(row_count);
  bool fits = true;
  nulls = false;
  for (uint32_t r = 0; r < row_count; r++) {
    const uint32_t entry = year.at(load<uint32_t>(row + r * 4));
    if (entry > year.entries) throw TileError("row has no entry among the crops");
    entry_of_row[r] = static_cast<uint16_t>(entry);
    if (entry == 0) {
      nulls = true;
      crc ^= load<uint32_t>(null_change + r * 4);
      continue;
    }
    if (count[entry]++ == 0) entries.push_back(entry);
    power_sum[entry] ^= load<uint32_t>(power + r * 4);
  }
  if (entries.size() > slots) fits = false;
  for (const uint32_t entry : entries) fits = fits && year.codes[entry - 1] < kSlotClasses;
  if (fits) {
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
    const auto none = static_cast<uint8_t>(entries.size());
    for (uint32_t r = 0; r < row_count; r++)
      rank_of_row[r] = entry_of_row[r] == 0 ? none : rank_of_entry[entry_of_row[r]];
  }
  for (const uint32_t entry : entries) count[entry] = power_sum[entry] = 0;
  return fits;
}

template <bool kNulls>
void TemplateFiller::State::write_features(const RecordLayer& layer, uint32_t used, uint64_t& at, BitSink& sink) {
  for (uint32_t f = 0; f < layer.features; f++) {
    const auto gap_and_variant = load<uint32_t>(layer.gaps + size_t{f} * 4);
    const uint32_t gap = gap_and_variant >> 8, rank = rank_of_row[load<uint16_t>(layer.places + size_t{f} * 2)];
    const Variant& variant = variants[gap_and_variant & 255];
    if (kNulls) {
      const bool none = rank == used;
      const auto back = load<uint16_t>(layer.backs + size_t{f} * 2);
      no_crop.push_back(none);
      const bool other = back > 0 && (no_crop[no_crop.size() - 1 - back] != 0) != none;
      const uint32_t distance_bits = layer.distance_bits[f];
      if (other) {
        sink.copy(bits, at, gap - distance_bits - variant.whole.length);
        sink.put(variant.shorter.bits, variant.shorter.length);
        sink.copy(bits, at + gap - distance_bits, distance_bits);
        if (!none) sink.put(variant.pair.bits, variant.pair.length);
      } else {
        sink.copy(bits, at, back == 0 && none ? gap - variant.pair.length : gap);
      }
      if (none) {
        const OpenCode& code = back > 0 && !other ? variant.none_after_match : variant.none;
        sink.put(code.bits, code.length);
        at += gap;
        continue;
      }
    } else {
      sink.copy(bits, at, gap);
    }
    const OpenCode code = open_codes[variant.block * used + rank];
    sink.put(code.bits, code.length);
    at += gap;
  }
}

void TemplateFiller::State::write_slots(BitSink& sink) const {
  const BlockCodes& fixed = BlockCodes::fixed();
  const auto put_match = [&](uint32_t length) {
    const LengthCode code = length_code(length);
    sink.put(fixed.litlen[code.symbol]);
    sink.put(length - code.base, code.extra_bits);
    const LengthCode distance = distance_code(kSlotBytes);
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
      const uint32_t take = left <= kMostMatch ? left : std::min(kMostMatch, left - kLeastMatch);
      put_match(take);
      left -= take;
    }
  }
}

}  // namespace fields
