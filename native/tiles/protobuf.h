// Protobuf's wire format, as used in vector tiles.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "tiles/gzip.h"

namespace fields {

// Field numbers and wire types of the vector tile specification 2.1, as they stand before a field.
constexpr uint64_t kTileLayers = 3 << 3 | 2;
constexpr uint64_t kLayerName = 1 << 3 | 2, kLayerFeatures = 2 << 3 | 2, kLayerKeys = 3 << 3 | 2,
                   kLayerValues = 4 << 3 | 2;
constexpr uint64_t kFeatureId = 1 << 3 | 0, kFeatureTags = 2 << 3 | 2;
constexpr uint64_t kMaxNumber = (uint64_t{1} << 53) - 1;
constexpr size_t kMaxVarint = 10;

struct Reader {
  const uint8_t* at;
  const uint8_t* end;

  bool done() const { return at == end; }

  uint64_t next() {
    if (at == end) throw TileError("number extends past the end");
    if (*at < 0x80) return *at++;
    uint64_t value = 0;
    for (int shift = 0; shift < 56; shift += 7) {
      if (at == end) throw TileError("number extends past the end");
      const uint8_t byte = *at++;
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      if (value > kMaxNumber) break;
      return value;
    }
    throw TileError("number is larger than 2^53");
  }

  // Past a number, however large.
  void skip_number() {
    for (size_t i = 0; i < kMaxVarint; i++) {
      if (at == end) throw TileError("number extends past the end");
      if (*at++ < 0x80) return;
    }
    throw TileError("number is longer than 64 bits");
  }

  void skip(uint64_t length) {
    if (length > static_cast<uint64_t>(end - at)) throw TileError("field extends past the end");
    at += length;
  }

  // Past the value of a field.
  void skip_field(uint64_t tag) {
    switch (tag & 7) {
      case 0: skip_number(); break;
      case 1: skip(8); break;
      case 2: skip(next()); break;
      case 5: skip(4); break;
      default: throw TileError("field " + std::to_string(tag >> 3) + " has wire type " + std::to_string(tag & 7));
    }
  }
};

// A known field with a value of the wrong type.
[[noreturn]] inline void wrong_type(uint64_t tag) {
  throw TileError("field " + std::to_string(tag >> 3) + " has wire type " + std::to_string(tag & 7));
}

inline size_t number_size(uint64_t value) {
  size_t size = 1;
  for (; value >= 0x80; value >>= 7) size++;
  return size;
}

inline uint8_t* put_number(uint8_t* to, uint64_t value) {
  for (; value >= 0x80; value >>= 7) *to++ = static_cast<uint8_t>(value | 0x80);
  *to++ = static_cast<uint8_t>(value);
  return to;
}

inline uint8_t* put_bytes(uint8_t* to, const uint8_t* from, size_t length) {
  std::memcpy(to, from, length);
  return to + length;
}

}  // namespace fields
