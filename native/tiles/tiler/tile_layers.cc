#include "tiles/tiler/tile_layers.h"

#include <cmath>
#include <cstring>

#include "tiles/protobuf.h"

namespace fields {
namespace {

constexpr uint64_t kFeatureType = 3 << 3 | 0, kFeatureGeometry = 4 << 3 | 2;
constexpr uint64_t kLayerExtent = 5 << 3 | 0, kLayerVersion = 15 << 3 | 0;
constexpr uint64_t kValueFloat = 2 << 3 | 5, kValueDouble = 3 << 3 | 1, kValueUint = 5 << 3 | 0,
                   kValueSint = 6 << 3 | 0;
constexpr uint32_t kNoValue = UINT32_MAX;
// Keys of included values; those of areas have 32 bits.
constexpr uint64_t kIncluded = uint64_t{1} << 32;
constexpr uint32_t kMoveTo = 1, kLineTo = 2, kClosePath = 7;

uint32_t zigzag(int32_t value) { return (static_cast<uint32_t>(value) << 1) ^ static_cast<uint32_t>(value >> 31); }

uint32_t command(uint32_t id, size_t count) { return static_cast<uint32_t>(count) << 3 | id; }

uint8_t* put_text(uint8_t* to, uint64_t tag, const char* text) {
  const size_t size = std::strlen(text);
  return put_bytes(put_number(put_number(to, tag), size), reinterpret_cast<const uint8_t*>(text), size);
}

// Hectares as a message `Value`, rounded to 0.01 and in the shortest type that holds that number exactly.
uint8_t* put_area(uint8_t* to, float area) {
  const double hundredths = std::floor(static_cast<double>(area) * 100 + 0.5), hectares = hundredths / 100;
  const double whole = std::floor(hectares);
  if (whole == hectares && std::fabs(hectares) < static_cast<double>(kMaxNumber)) {
    if (hectares >= 0) return put_number(put_number(to, kValueUint), static_cast<uint64_t>(hectares));
    return put_number(put_number(to, kValueSint), (static_cast<uint64_t>(-hectares) << 1) - 1);
  }
  const auto narrow = static_cast<float>(hectares);
  if (static_cast<double>(narrow) == hectares) {
    to = put_number(to, kValueFloat);
    return put_bytes(to, reinterpret_cast<const uint8_t*>(&narrow), 4);
  }
  to = put_number(to, kValueDouble);
  return put_bytes(to, reinterpret_cast<const uint8_t*>(&hectares), 8);
}

uint64_t mixed(uint64_t value) {
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93u;
  value ^= value >> 32;
  return value;
}

}  // namespace

void append_geometry(const Shape& shape, GridPoint origin, Buffer& out) {
  uint8_t* const start = out.room(5 * (2 * shape.points.size() + 3 * shape.ring_end.size()));
  uint8_t* to = start;
  GridPoint at = origin;
  for (size_t ring = 0; ring < shape.ring_end.size(); ring++) {
    const uint32_t begin = shape.ring_begin(ring), end = shape.ring_end[ring];
    to = put_number(to, command(kMoveTo, 1));
    for (uint32_t i = begin; i < end; i++) {
      const GridPoint p = shape.points[i];
      to = put_number(put_number(to, zigzag(p.x - at.x)), zigzag(p.y - at.y));
      at = p;
      if (i == begin) to = put_number(to, command(kLineTo, end - begin - 1));
    }
    to = put_number(to, command(kClosePath, 1));
  }
  out.size += static_cast<size_t>(to - start);
}

void append_point(GridPoint at, Buffer& out) {
  uint8_t* const start = out.room(3 * kMaxVarint);
  uint8_t* to = put_number(start, command(kMoveTo, 1));
  to = put_number(put_number(to, zigzag(at.x)), zigzag(at.y));
  out.size += static_cast<size_t>(to - start);
}

uint32_t TileLayers::known_value(uint64_t key) {
  // Another layer's slots are free. At most half of all is in use.
  size_t at = mixed(key) & (slots_.size() - 1);
  for (; slots_[at].stamp == stamp_; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].key == key) return slots_[at].number;
  }
  slots_[at] = {key, stamp_, value_count_};
  return kNoValue;
}

uint32_t TileLayers::area_value(float area) {
  uint32_t bits;
  std::memcpy(&bits, &area, 4);
  const uint32_t known = known_value(bits);
  if (known != kNoValue) return known;
  uint8_t value[16];
  return new_value(value, static_cast<size_t>(put_area(value, area) - value));
}

uint32_t TileLayers::included_value(uint32_t number) {
  const uint32_t known = known_value(kIncluded | number);
  if (known != kNoValue) return known;
  const IncludedColumns& from = *attributes_.included;
  return new_value(from.values + from.offsets[number],
                   static_cast<size_t>(from.offsets[number + 1] - from.offsets[number]));
}

uint32_t TileLayers::new_value(const uint8_t* bytes, size_t size) {
  uint8_t* const start = values_.room(2 * kMaxVarint + size);
  values_.size +=
      static_cast<size_t>(put_bytes(put_number(put_number(start, kLayerValues), size), bytes, size) - start);
  return value_count_++;
}

void TileLayers::add(const char* name, uint32_t type, const std::vector<Feature>& features, bool attributed) {
  static const IncludedColumns none;
  const IncludedColumns& included = attributes_.included == nullptr ? none : *attributes_.included;
  size_t wanted = 64;
  while (wanted < 2 * features.size() * (1 + included.columns.size())) wanted *= 2;
  if (slots_.size() < wanted) {
    slots_.assign(wanted, Slot{0, 0, 0});
    stamp_ = 0;
  }
  if (++stamp_ == 0) {
    slots_.assign(slots_.size(), Slot{0, 0, 0});
    stamp_ = 1;
  }
  value_count_ = 0;
  values_.size = features_.size = 0;
  const uint32_t area_key = attributes_.has_ids ? 1 : 0;
  for (const Feature& feature : features) {
    tags_.size = 0;
    uint8_t* const tags = tags_.room(2 * kMaxVarint * (2 + included.columns.size()));
    uint8_t* tags_end = tags;
    if (attributed) {
      if (feature.id_size > 0) {
        tags_end = put_number(put_number(tags_end, 0), new_value(feature.id, feature.id_size));
      }
      const float area = attributes_.area_ha[feature.row];
      if (std::isfinite(area)) tags_end = put_number(put_number(tags_end, area_key), area_value(area));
      uint32_t key = area_key;
      for (const auto& column : included.columns) {
        key++;
        const uint32_t value = column.value[feature.row];
        if (value < included.count) {
          tags_end = put_number(put_number(tags_end, key), included_value(value));
        }
      }
    }
    const auto tags_size = static_cast<size_t>(tags_end - tags);
    const size_t size = 2 + (tags_size > 0 ? 1 + number_size(tags_size) + tags_size : 0) + 1 +
                        number_size(feature.row) + 1 + number_size(feature.geometry_size) + feature.geometry_size;
    uint8_t* const start = features_.room(1 + kMaxVarint + size);
    uint8_t* to = put_number(put_number(start, kLayerFeatures), size);
    to = put_number(put_number(to, kFeatureType), type);
    if (tags_size > 0) to = put_bytes(put_number(put_number(to, kFeatureTags), tags_size), tags, tags_size);
    to = put_number(put_number(to, kFeatureId), feature.row);
    to = put_number(put_number(to, kFeatureGeometry), feature.geometry_size);
    to = put_bytes(to, feature.geometry, feature.geometry_size);
    features_.size += static_cast<size_t>(to - start);
  }
  size_t head_room = 64;
  for (const auto& column : included.columns) head_room += 2 * kMaxVarint + column.key.size();
  head_.size = 0;
  uint8_t* const head = head_.room(head_room);
  uint8_t* to = put_number(put_number(head, kLayerVersion), 2);
  to = put_text(to, kLayerName, name);
  to = put_number(put_number(to, kLayerExtent), kExtent);
  if (attributed) {
    if (attributes_.has_ids) to = put_text(to, kLayerKeys, "field_id");
    to = put_text(to, kLayerKeys, "area_ha");
    for (const auto& column : included.columns) to = put_text(to, kLayerKeys, column.key.c_str());
  }
  const auto head_size = static_cast<size_t>(to - head);
  const size_t size = head_size + values_.size + features_.size;
  uint8_t* const start = tile_.room(1 + kMaxVarint + size);
  to = put_bytes(put_number(put_number(start, kTileLayers), size), head, head_size);
  if (values_.size > 0) to = put_bytes(to, values_.data(), values_.size);
  to = put_bytes(to, features_.data(), features_.size);
  tile_.size += static_cast<size_t>(to - start);
}

}  // namespace fields
