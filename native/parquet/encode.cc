#include "parquet/encode.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace fields {
namespace {

void put_varint(ByteList& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<uint8_t>(value | 0x80));
  out.push_back(static_cast<uint8_t>(value));
}

uint64_t zigzag(int64_t value) { return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63); }

template <typename T>
void put_plain(ByteList& out, T value) {
  const size_t at = out.size();
  out.resize(at + sizeof value);
  std::memcpy(out.data() + at, &value, sizeof value);
}

void put_bytes(ByteList& out, const ByteList& more) { out.insert(out.end(), more.begin(), more.end()); }

uint32_t bits_of(uint64_t value) { return value == 0 ? 0 : 64 - static_cast<uint32_t>(__builtin_clzll(value)); }

// `count` values of `width` bits, lowest bit first, padded to whole bytes.
template <typename F>
void put_bits(ByteList& out, size_t count, uint32_t width, F&& value) {
  const size_t begin = out.size();
  const size_t bytes = count * width / 8;
  out.resize(begin + bytes + 8);
  uint8_t* to = out.data() + begin;
  uint64_t held = 0;
  uint32_t used = 0;
  for (size_t i = 0; i < count; i++) {
    const uint64_t next = value(i);
    held |= next << used;
    used += width;
    if (used < 64) continue;
    std::memcpy(to, &held, 8);
    to += 8;
    used -= 64;
    held = used > 0 ? next >> (width - used) : 0;
  }
  std::memcpy(to, &held, 8);
  out.resize(begin + bytes);
}

// RLE/bit-packing hybrid: runs of eight or more are a value and a count, everything else groups of eight.
template <typename T>
void put_hybrid(ByteList& out, const T* values, size_t count, uint32_t width) {
  const auto repeats = [&](size_t at) {
    if (at + 8 > count) return false;
    for (size_t i = 1; i < 8; i++) {
      if (values[at + i] != values[at]) return false;
    }
    return true;
  };
  for (size_t at = 0; at < count;) {
    size_t end = at;
    if (repeats(at)) {
      while (end < count && values[end] == values[at]) end++;
      put_varint(out, static_cast<uint64_t>(end - at) << 1);
      for (uint32_t i = 0; i < width; i += 8) out.push_back(static_cast<uint8_t>(values[at] >> i));
    } else {
      while (end < count && !repeats(end)) end += 8;
      const size_t length = end - at;
      end = std::min(end, count);
      put_varint(out, length / 8 << 1 | 1);
      put_bits(out, length, width, [&](size_t i) { return at + i < end ? values[at + i] : T{0}; });
    }
    at = end;
  }
}

constexpr size_t kBlock = 128;
constexpr size_t kMiniBlock = 32;

// DELTA_BINARY_PACKED; differences wrap around in the type's own width.
template <typename T>
void put_delta(ByteList& out, const T* values, size_t count) {
  using U = typename std::make_unsigned<T>::type;
  put_varint(out, kBlock);
  put_varint(out, kBlock / kMiniBlock);
  put_varint(out, count);
  put_varint(out, zigzag(count > 0 ? values[0] : 0));
  T deltas[kBlock];
  for (size_t at = 1; at < count; at += kBlock) {
    const size_t n = std::min(kBlock, count - at);
    for (size_t i = 0; i < n; i++) {
      deltas[i] = static_cast<T>(static_cast<U>(values[at + i]) - static_cast<U>(values[at + i - 1]));
    }
    const T least = *std::min_element(deltas, deltas + n);
    put_varint(out, zigzag(least));
    const auto above = [&](size_t i) {
      return i < n ? static_cast<U>(static_cast<U>(deltas[i]) - static_cast<U>(least)) : U{0};
    };
    uint32_t widths[kBlock / kMiniBlock];
    for (size_t mini = 0; mini < kBlock / kMiniBlock; mini++) {
      U any = 0;
      for (size_t i = 0; i < kMiniBlock; i++) any = static_cast<U>(any | above(mini * kMiniBlock + i));
      widths[mini] = bits_of(any);
      out.push_back(static_cast<uint8_t>(widths[mini]));
    }
    for (size_t mini = 0; mini < kBlock / kMiniBlock && mini * kMiniBlock < n; mini++) {
      if (widths[mini] == 0) continue;
      put_bits(out, kMiniBlock, widths[mini], [&](size_t i) { return uint64_t{above(mini * kMiniBlock + i)}; });
    }
  }
}

// Thrift's compact protocol, only what page headers need: 32-bit integers, structs, booleans.
class Header {
 public:
  void integer(uint8_t field, uint32_t value) {
    key(field, 5);
    put_varint(bytes_, zigzag(value));
  }
  void truth(uint8_t field) { key(field, 1); }
  void begin(uint8_t field) {
    key(field, 12);
    outer_ = last_;
    last_ = 0;
  }
  void end() {
    bytes_.push_back(0);
    last_ = outer_;
  }
  const ByteList& finish() {
    bytes_.push_back(0);
    return bytes_;
  }

 private:
  void key(uint8_t field, uint8_t type) {
    bytes_.push_back(static_cast<uint8_t>((field - last_) << 4 | type));
    last_ = field;
  }
  ByteList bytes_;
  uint8_t last_ = 0, outer_ = 0;
};

void put_dictionary_page(Chunk& chunk, const ByteList& values, size_t count) {
  Header header;
  header.integer(1, 2);  // DICTIONARY_PAGE
  header.integer(2, static_cast<uint32_t>(values.size()));
  header.integer(3, static_cast<uint32_t>(values.size()));
  header.begin(7);
  header.integer(1, static_cast<uint32_t>(count));
  header.integer(2, 0);  // PLAIN
  header.truth(3);       // sorted
  header.end();
  put_bytes(chunk.bytes, header.finish());
  put_bytes(chunk.bytes, values);
  chunk.dictionary_bytes = static_cast<uint32_t>(chunk.bytes.size());
}

void put_data_page(Chunk& chunk, const ByteList& values, Validity valid, uint32_t rows, size_t present) {
  ByteList levels;
  if (valid != nullptr) {
    ByteList packed;
    put_hybrid(packed, valid, rows, 1);
    put_plain(levels, static_cast<uint32_t>(packed.size()));
    put_bytes(levels, packed);
  }
  chunk.nulls = rows - static_cast<uint32_t>(present);
  Header header;
  const auto size = static_cast<uint32_t>(levels.size() + values.size());
  header.integer(1, 0);  // DATA_PAGE
  header.integer(2, size);
  header.integer(3, size);
  header.begin(5);
  header.integer(1, rows);
  header.integer(2, static_cast<uint32_t>(chunk.encoding));
  header.integer(3, 3);  // RLE
  header.integer(4, 3);
  header.end();
  chunk.bytes.reserve(chunk.bytes.size() + levels.size() + values.size() + 64);
  put_bytes(chunk.bytes, header.finish());
  put_bytes(chunk.bytes, levels);
  put_bytes(chunk.bytes, values);
}

// Indices into a dictionary of `size` values.
void put_indices(Chunk& chunk, const std::vector<uint32_t>& index, size_t size, Validity valid, uint32_t rows,
                 Workspace& space) {
  chunk.encoding = Encoding::kDictionary;
  const uint32_t width = size > 1 ? bits_of(size - 1) : 0;
  space.packed.assign(1, static_cast<uint8_t>(width));
  put_hybrid(space.packed, index.data(), index.size(), width);
  put_data_page(chunk, space.packed, valid, rows, index.size());
}

template <typename T>
bool before(T a, T b, bool is_unsigned) {
  if constexpr (std::is_integral<T>::value) {
    using U = typename std::make_unsigned<T>::type;
    if (is_unsigned) return static_cast<U>(a) < static_cast<U>(b);
  }
  return a < b;
}

template <typename T>
void put_bounds(Chunk& chunk, T least, T most) {
  put_plain(chunk.min, least);
  put_plain(chunk.max, most);
}

template <typename T>
uint64_t pattern(T value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

// The different values of a column in order of appearance, and the index of each row's value.
template <typename T>
class Distinct {
 public:
  explicit Distinct(Workspace& space) : index(space.index), place_(space.place) {}

  // False if there are more than `most`.
  bool find(const std::vector<T>& values, size_t most) {
    index.resize(values.size());
    for (size_t i = 0; i < values.size(); i++) {
      if (i > 0 && pattern(values[i]) == pattern(values[i - 1])) {
        index[i] = index[i - 1];
        continue;
      }
      if (2 * (found.size() + 1) > slots_.size()) grow();
      size_t at = slot_of(values[i]);
      if (slots_[at] == 0) {
        if (found.size() == most) return false;
        found.push_back(values[i]);
        slots_[at] = static_cast<uint32_t>(found.size());
      }
      index[i] = slots_[at] - 1;
    }
    return true;
  }

  // The same for integers in a small range, such as pixels and classes; `found` ascends. False if the range is large.
  bool find_near(const std::vector<T>& values) {
    index.resize(values.size());
    if (values.empty()) return true;
    const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
    const T from = *least;
    const uint64_t range = static_cast<uint64_t>(*greatest) - static_cast<uint64_t>(from);
    if (range > kNear) return false;
    auto& place = place_;
    place.assign(range + 1, 0);
    for (const T value : values) place[static_cast<uint64_t>(value) - static_cast<uint64_t>(from)] = 1;
    for (uint64_t i = 0; i <= range; i++) {
      if (place[i] == 0) continue;
      place[i] = static_cast<uint32_t>(found.size());
      found.push_back(static_cast<T>(static_cast<uint64_t>(from) + i));
    }
    for (size_t i = 0; i < values.size(); i++) {
      index[i] = place[static_cast<uint64_t>(values[i]) - static_cast<uint64_t>(from)];
    }
    return true;
  }

  // By value.
  void sort(bool is_unsigned) {
    std::vector<uint32_t> order(found.size()), rank(found.size());
    for (uint32_t i = 0; i < order.size(); i++) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](uint32_t a, uint32_t b) { return before(found[a], found[b], is_unsigned); });
    std::vector<T> sorted(found.size());
    for (uint32_t i = 0; i < order.size(); i++) {
      rank[order[i]] = i;
      sorted[i] = found[order[i]];
    }
    found.swap(sorted);
    for (uint32_t& i : index) i = rank[i];
  }

  std::vector<T> found;
  std::vector<uint32_t>& index;

 private:
  std::vector<uint32_t>& place_;
  static constexpr uint64_t kNear = 1 << 16;

  size_t slot_of(T value) const {
    const uint64_t bits = pattern(value);
    size_t at = static_cast<size_t>((bits * 0x9e3779b97f4a7c15u) >> 32) & (slots_.size() - 1);
    while (slots_[at] != 0 && pattern(found[slots_[at] - 1]) != bits) at = (at + 1) & (slots_.size() - 1);
    return at;
  }

  void grow() {
    slots_.assign(slots_.size() * 2, 0);
    for (size_t i = 0; i < found.size(); i++) slots_[slot_of(found[i])] = static_cast<uint32_t>(i + 1);
  }

  std::vector<uint32_t> slots_ = std::vector<uint32_t>(1024);
};

}  // namespace

template <typename T>
Chunk encode_numbers(const std::vector<T>& values, Validity valid, uint32_t rows, bool is_unsigned, Workspace& space) {
  Chunk chunk;
  Distinct<T> distinct(space);
  // With more than half as many different values, a dictionary saves nothing.
  const size_t most_values = values.size() / 2 + 1;
  bool few = false, sorted = false;
  if constexpr (std::is_integral<T>::value) {
    // Unsigned values above the signed maximum would be sorted last.
    const bool plain = !is_unsigned || std::all_of(values.begin(), values.end(), [](T value) { return value >= 0; });
    sorted = plain && distinct.find_near(values);
    few = sorted && distinct.found.size() <= most_values;
  }
  if (!sorted) {
    few = distinct.find(values, most_values);
    if (few) distinct.sort(is_unsigned);
  }
  if (few) {
    const auto& found = distinct.found;
    ByteList dictionary;
    for (const T value : found) put_plain(dictionary, value);
    if (!found.empty()) put_bounds(chunk, found.front(), found.back());
    put_dictionary_page(chunk, dictionary, found.size());
    put_indices(chunk, distinct.index, found.size(), valid, rows, space);
    return chunk;
  }
  const auto [least, most] =
      std::minmax_element(values.begin(), values.end(), [&](T a, T b) { return before(a, b, is_unsigned); });
  put_bounds(chunk, *least, *most);
  ByteList plain(values.size() * sizeof(T));
  std::memcpy(plain.data(), values.data(), plain.size());
  put_data_page(chunk, plain, valid, rows, values.size());
  return chunk;
}

template <typename T>
Chunk encode_rising(const std::vector<T>& values, Validity valid, uint32_t rows, bool is_unsigned) {
  Chunk chunk;
  chunk.encoding = Encoding::kDelta;
  ByteList packed;
  put_delta(packed, values.data(), values.size());
  if (!values.empty()) {
    const auto [least, most] =
        std::minmax_element(values.begin(), values.end(), [&](T a, T b) { return before(a, b, is_unsigned); });
    put_bounds(chunk, *least, *most);
  }
  put_data_page(chunk, packed, valid, rows, values.size());
  return chunk;
}

Chunk encode_choices(const std::vector<uint32_t>& index, const std::vector<ByteList>& texts, Validity valid,
                     uint32_t rows, Workspace& space) {
  std::vector<uint32_t> used(texts.size(), 0);
  for (const uint32_t i : index) used[i] = 1;
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < texts.size(); i++) {
    if (used[i] != 0) order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return texts[a] < texts[b]; });
  Chunk chunk;
  ByteList values;
  for (uint32_t i = 0; i < order.size(); i++) {
    used[order[i]] = i;
    put_plain(values, static_cast<uint32_t>(texts[order[i]].size()));
    put_bytes(values, texts[order[i]]);
  }
  if (!order.empty()) {
    chunk.min = texts[order.front()];
    chunk.max = texts[order.back()];
  }
  put_dictionary_page(chunk, values, order.size());
  std::vector<uint32_t> ranked(index.size());
  for (size_t i = 0; i < index.size(); i++) ranked[i] = used[index[i]];
  put_indices(chunk, ranked, order.size(), valid, rows, space);
  return chunk;
}

Chunk encode_strings(const uint8_t* text, const std::vector<uint32_t>& lengths, Validity valid, uint32_t rows) {
  Chunk chunk;
  chunk.encoding = Encoding::kDeltaStrings;
  std::vector<int32_t> shared, rest;
  ByteList suffixes;
  const uint8_t* last = text;
  uint32_t last_length = 0;
  const uint8_t *least = nullptr, *most = nullptr;
  uint32_t least_length = 0, most_length = 0;
  for (const uint32_t length : lengths) {
    const uint32_t limit = std::min(length, last_length);
    const auto same = static_cast<uint32_t>(std::mismatch(text, text + limit, last).first - text);
    shared.push_back(static_cast<int32_t>(same));
    rest.push_back(static_cast<int32_t>(length - same));
    suffixes.insert(suffixes.end(), text + same, text + length);
    if (least == nullptr || std::lexicographical_compare(text, text + length, least, least + least_length)) {
      least = text;
      least_length = length;
    }
    if (most == nullptr || std::lexicographical_compare(most, most + most_length, text, text + length)) {
      most = text;
      most_length = length;
    }
    last = text;
    last_length = length;
    text += length;
  }
  if (least != nullptr) {
    chunk.min.assign(least, least + least_length);
    chunk.max.assign(most, most + most_length);
  }
  ByteList values;
  put_delta(values, shared.data(), shared.size());
  put_delta(values, rest.data(), rest.size());
  put_bytes(values, suffixes);
  put_data_page(chunk, values, valid, rows, lengths.size());
  return chunk;
}

#define FIELDS_ENCODE(T) template Chunk encode_numbers<T>(const std::vector<T>&, Validity, uint32_t, bool, Workspace&);
FIELDS_ENCODE(int32_t)
FIELDS_ENCODE(int64_t)
FIELDS_ENCODE(float)
FIELDS_ENCODE(double)
#undef FIELDS_ENCODE
template Chunk encode_rising<int32_t>(const std::vector<int32_t>&, Validity, uint32_t, bool);
template Chunk encode_rising<int64_t>(const std::vector<int64_t>&, Validity, uint32_t, bool);

}  // namespace fields
