#include "tiles/audit/tile_check.h"

#include <algorithm>
#include <utility>

#include "tiles/protobuf.h"
#include "tiles/tiler/world.h"

namespace fields {
namespace {

// Field numbers and wire types of the specification's section 4, as they stand before a field.
enum : uint64_t {
  kLayer = 3 << 3 | 2,
  kName = 1 << 3 | 2,
  kFeature = 2 << 3 | 2,
  kKey = 3 << 3 | 2,
  kValue = 4 << 3 | 2,
  kExtentField = 5 << 3 | 0,
  kVersion = 15 << 3 | 0,
  kId = 1 << 3 | 0,
  kTags = 2 << 3 | 2,
  kType = 3 << 3 | 0,
  kGeometry = 4 << 3 | 2,
};
enum : uint64_t { kMove = 1, kLine = 2, kClose = 7 };
constexpr uint32_t kPoint = 1, kPolygon = 3;

struct Bytes {
  const uint8_t* from;
  const uint8_t* to;
};

Bytes content(Reader& reader) {
  const uint64_t length = reader.next();
  const uint8_t* const from = reader.at;
  reader.skip(length);
  return {from, reader.at};
}

// A value holds one field: text, float, double, int64, uint64, sint64 or bool.
void check_value(Bytes bytes) {
  static constexpr uint64_t kWire[8] = {8, 2, 5, 1, 0, 0, 0, 0};
  Reader reader{bytes.from, bytes.to};
  const uint64_t tag = reader.next();
  if (tag >> 3 < 1 || tag >> 3 > 7 || (tag & 7) != kWire[tag >> 3]) throw TileError("value is of no known type");
  reader.skip_field(tag);
  if (!reader.done()) throw TileError("value has several types");
}

// Walks the commands of a feature's geometry.
class GeometryWalk {
 public:
  GeometryWalk(Bytes bytes, int32_t low, int32_t high) : reader_{bytes.from, bytes.to}, low_(low), high_(high) {}

  GridBox box() const { return box_; }
  bool done() const { return reader_.done(); }

  uint64_t command(uint64_t wanted) {
    const uint64_t value = reader_.next();
    if ((value & 7) != wanted) throw TileError("geometry has an unknown command, or one out of order");
    return value >> 3;
  }

  // One step; false where it is none.
  bool step() {
    const uint64_t x = reader_.next(), y = reader_.next();
    at_.x += signed_of(x);
    at_.y += signed_of(y);
    if (at_.x < low_ || at_.x > high_ || at_.y < low_ || at_.y > high_) throw TileError("geometry leaves its tile");
    box_ = {std::min(box_.min_x, at_.x), std::min(box_.min_y, at_.y), std::max(box_.max_x, at_.x),
            std::max(box_.max_y, at_.y)};
    return x != 0 || y != 0;
  }

  // Twice the area of a ring.
  int64_t ring() {
    if (command(kMove) != 1) throw TileError("a ring begins at several points");
    step();
    const GridPoint start = at_;
    GridPoint before = at_;
    int64_t area = 0;
    const uint64_t lines = command(kLine);
    if (lines < 2) throw TileError("a ring has too few vertices");
    for (uint64_t i = 0; i < lines; i++) {
      if (!step()) throw TileError("a ring repeats a vertex");
      area += int64_t{before.x} * at_.y - int64_t{at_.x} * before.y;
      before = at_;
    }
    if (at_ == start) throw TileError("a ring repeats a vertex");
    area += int64_t{before.x} * start.y - int64_t{start.x} * before.y;
    if (command(kClose) != 1) throw TileError("a ring is not closed");
    return area;
  }

 private:
  static int32_t signed_of(uint64_t value) {
    if (value > UINT32_MAX) throw TileError("geometry has an impossible number");
    const auto bits = static_cast<uint32_t>(value);
    // What leaves 32 bits leaves the tile as well.
    if (bits >> 17 != 0) throw TileError("geometry leaves its tile");
    return static_cast<int32_t>(bits >> 1) ^ -static_cast<int32_t>(bits & 1);
  }

  Reader reader_;
  int32_t low_, high_;
  GridPoint at_{0, 0};
  GridBox box_{INT32_MAX, INT32_MAX, INT32_MIN, INT32_MIN};
};

GridBox check_point(Bytes bytes) {
  GeometryWalk walk(bytes, 0, static_cast<int32_t>(kExtent) - 1);
  if (walk.command(kMove) != 1) throw TileError("a centroid has several points");
  walk.step();
  if (!walk.done()) throw TileError("geometry goes on after its point");
  return walk.box();
}

GridBox check_polygon(Bytes bytes) {
  constexpr auto kReach = static_cast<int32_t>(kTileBuffer);
  GeometryWalk walk(bytes, -kReach, static_cast<int32_t>(kExtent) + kReach);
  for (bool first = true; first || !walk.done(); first = false) {
    const int64_t area = walk.ring();
    if (area == 0) throw TileError("a ring has no area");
    if (first && area < 0) throw TileError("the first ring is no exterior");
  }
  return walk.box();
}

}  // namespace

TileCheck::TileCheck(std::vector<LayerRule> layers, uint64_t rows)
    : layers_(std::move(layers)), rows_(rows), features_(layers_.size()), there_(layers_.size()) {}

void TileCheck::check(const uint8_t* tile, size_t size) {
  for (size_t layer = 0; layer < layers_.size(); layer++) {
    features_[layer].clear();
    there_[layer] = false;
  }
  Reader reader{tile, tile + size};
  if (reader.done()) throw TileError("tile holds no layer");
  while (!reader.done()) {
    if (reader.next() != kLayer) throw TileError("tile has an unknown field");
    const Bytes layer = content(reader);
    check_layer(layer.from, layer.to);
  }
}

void TileCheck::check_layer(const uint8_t* from, const uint8_t* to) {
  uint64_t keys = 0, values = 0, version = 1, extent = kExtent;
  size_t number = layers_.size();
  // Features may stand before the keys and values that they refer to.
  for (Reader reader{from, to}; !reader.done();) {
    const uint64_t tag = reader.next();
    if (tag == kVersion) {
      version = reader.next();
    } else if (tag == kExtentField) {
      extent = reader.next();
    } else if (tag == kName) {
      const Bytes text = content(reader);
      const std::string name(reinterpret_cast<const char*>(text.from), static_cast<size_t>(text.to - text.from));
      number = 0;
      while (number < layers_.size() && layers_[number].name != name) number++;
      if (number == layers_.size()) throw TileError("tile has an unknown layer: " + name);
    } else if (tag == kKey) {
      keys++;
      content(reader);
    } else if (tag == kValue) {
      values++;
      check_value(content(reader));
    } else if (tag == kFeature) {
      content(reader);
    } else {
      throw TileError("layer has an unknown field");
    }
  }
  if (number == layers_.size()) throw TileError("layer has no name");
  const std::string& name = layers_[number].name;
  if (there_[number]) throw TileError("tile has a layer twice: " + name);
  there_[number] = true;
  if (version != 2 || extent != kExtent) throw TileError("layer is of another version or extent: " + name);
  std::vector<CheckedFeature>& features = features_[number];
  for (Reader reader{from, to}; !reader.done();) {
    const uint64_t tag = reader.next();
    if (tag != kFeature) {
      reader.skip_field(tag);
      continue;
    }
    const Bytes bytes = content(reader);
    const CheckedFeature feature = check_feature(bytes.from, bytes.to, layers_[number].type, keys, values);
    if (!features.empty() && features.back().row >= feature.row) {
      throw TileError("features do not ascend: " + name + ", row " + std::to_string(feature.row));
    }
    features.push_back(feature);
  }
  if (features.empty()) throw TileError("layer has no features: " + name);
}

CheckedFeature TileCheck::check_feature(const uint8_t* from, const uint8_t* to, uint32_t type, uint64_t keys,
                                        uint64_t values) {
  uint64_t row = rows_, own_type = 0;
  Bytes tags{nullptr, nullptr}, geometry{nullptr, nullptr};
  for (Reader reader{from, to}; !reader.done();) {
    const uint64_t tag = reader.next();
    if (tag == kId) {
      row = reader.next();
    } else if (tag == kType) {
      own_type = reader.next();
    } else if (tag == kTags) {
      tags = content(reader);
    } else if (tag == kGeometry) {
      geometry = content(reader);
    } else {
      throw TileError("feature has an unknown field");
    }
  }
  if (row >= rows_) throw TileError("feature's id is no row");
  try {
    if (own_type != type) throw TileError("feature has another type of geometry than its layer");
    for (Reader reader{tags.from, tags.to}; !reader.done();) {
      if (reader.next() >= keys || reader.next() >= values) throw TileError("tag points past the keys or values");
    }
    return {static_cast<uint32_t>(row), type == kPoint ? check_point(geometry) : check_polygon(geometry)};
  } catch (const TileError& error) {
    throw TileError("row " + std::to_string(row) + ": " + error.what());
  }
}

}  // namespace fields
