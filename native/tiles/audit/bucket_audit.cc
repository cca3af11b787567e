#include "tiles/audit/bucket_audit.h"

#include <algorithm>
#include <string>
#include <utility>

#include "tiles/precompressed/record.h"
#include "tiles/tiler/tile_id.h"

namespace fields {
namespace {

constexpr size_t kPolygons = 0, kPoints = 1;
// Units of the tile by which snapping and repair may carry a vertex out of the field's box.
constexpr int64_t kTolerance = 2;
// Units of the world within which the middle of an edge, which is rounded, may be in another tile than the edge.
constexpr uint32_t kRounding = 2;

std::string name_of(TileAddress tile) {
  return std::to_string(tile.z) + "/" + std::to_string(tile.x) + "/" + std::to_string(tile.y);
}

int64_t unit_of(int zoom) { return int64_t{1} << (kWorldBits - kExtentBits - zoom); }

WorldBox box_of_field(const WorldField& field) {
  WorldBox box{field.label.x, field.label.y, field.label.x, field.label.y};
  for (const WorldPoint& p : field.points) {
    box = {std::min(box.min_x, p.x), std::min(box.min_y, p.y), std::max(box.max_x, p.x), std::max(box.max_y, p.y)};
  }
  return box;
}

}  // namespace

std::vector<LayerRule> tiler_layers() { return {{"fields", 3}, {"centroids", 1}}; }

BucketAudit::BucketAudit(uint64_t rows, std::vector<uint8_t*> seen)
    : seen_(std::move(seen)), check_(tiler_layers(), rows) {}

template <typename Visit>
void BucketAudit::each_tile(const StoredTiles& tiles, TileStore& store, Visit&& visit) {
  size_t begin = 0;
  for (size_t t = 0; t < tiles.ids.size(); t++) {
    const TileAddress address = tile_of(tiles.ids[t]);
    try {
      store.read(tiles.bytes.data() + begin, tiles.sizes[t], plain_);
      check_.check(plain_.data(), plain_.size);
    } catch (const TileError& error) {
      throw AuditError("tile " + name_of(address) + ": " + error.what());
    } catch (const RecordError& error) {
      throw AuditError("tile " + name_of(address) + ": " + error.what());
    }
    begin += tiles.sizes[t];
    visit(address);
  }
  if (begin != tiles.bytes.size) throw AuditError("tiles have other sizes than they say");
}

void BucketAudit::check(const StoredTiles& tiles, TileStore& store) {
  each_tile(tiles, store, [](TileAddress) {});
}

void BucketAudit::check(BucketReader& fields, TileAddress bucket, TilerZooms zooms, TileStore& store,
                        const BucketTiles& tiles) {
  check(tiles.cells, store);
  index(bucket, zooms, store, tiles);
  fields.each([&](const WorldField& field, SpilledId) { check_field(field); });
  check_unclaimed();
}

void BucketAudit::index(TileAddress bucket, TilerZooms zooms, TileStore& store, const BucketTiles& tiles) {
  const uint32_t side = UINT32_MAX >> bucket.z;
  const uint32_t west = bucket.z == 0 ? 0 : bucket.x << (kWorldBits - bucket.z),
                 north = bucket.z == 0 ? 0 : bucket.y << (kWorldBits - bucket.z);
  bucket_ = {west, north, west + side, north + side};
  for (auto& features : features_) features.clear();
  tiles_.clear();
  zooms_.clear();
  for (size_t k = 0; k < tiles.zooms.size(); k++) {
    const int z = zooms.least_tiled() + static_cast<int>(k), depth = z - bucket.z;
    const uint32_t across = 1u << depth;
    zooms_.push_back({z, bucket.x << depth, bucket.y << depth, across, {}});
    Zoom& zoom = zooms_.back();
    zoom.numbers.assign(size_t{across} * across, kNone);
    const auto bit = static_cast<uint8_t>(1u << k);
    each_tile(tiles.zooms[k], store, [&](TileAddress address) {
      const uint32_t x = address.x - zoom.first_x, y = address.y - zoom.first_y;
      if (address.z != z || x >= across || y >= across) {
        throw AuditError("tile " + name_of(address) + " is not under " + name_of(bucket));
      }
      uint32_t& number = zoom.numbers[size_t{y} * across + x];
      if (number != kNone) throw AuditError("tile " + name_of(address) + " is there twice");
      number = static_cast<uint32_t>(tiles_.size());
      Tile tile{address, {}};
      for (size_t layer = 0; layer < 2; layer++) {
        std::vector<CheckedFeature>& all = features_[layer];
        const std::vector<CheckedFeature>& own = check_.features(layer);
        tile.layers[layer] = {all.size(), all.size() + own.size(), 0};
        all.insert(all.end(), own.begin(), own.end());
        uint8_t* const seen = seen_[layer];
        if (seen == nullptr) continue;
        for (const CheckedFeature& feature : own) {
          // Read first: other threads seldom write here, and an exchange would lock the line.
          uint8_t& byte = seen[feature.row];
          if ((__atomic_load_n(&byte, __ATOMIC_RELAXED) & bit) == 0) __atomic_fetch_or(&byte, bit, __ATOMIC_RELAXED);
        }
      }
      tiles_.push_back(tile);
    });
  }
}

BucketAudit::Tile* BucketAudit::tile_at(const Zoom& zoom, uint32_t x, uint32_t y) {
  const uint32_t number = zoom.numbers[size_t{y - zoom.first_y} * zoom.side + (x - zoom.first_x)];
  return number == kNone ? nullptr : &tiles_[number];
}

bool BucketAudit::range_of(const WorldBox& box, int64_t margin, const Zoom& zoom, Range& range) {
  const int shift = kWorldBits - zoom.z;
  const auto low = [&](uint32_t at, uint32_t first) { return std::max((at - margin) >> shift, int64_t{first}); };
  const auto high = [&](uint32_t at, uint32_t first) {
    return std::min((at + margin) >> shift, int64_t{first} + zoom.side - 1);
  };
  const int64_t min_x = low(box.min_x, zoom.first_x), max_x = high(box.max_x, zoom.first_x);
  const int64_t min_y = low(box.min_y, zoom.first_y), max_y = high(box.max_y, zoom.first_y);
  if (min_x > max_x || min_y > max_y) return false;
  range = {static_cast<uint32_t>(min_x), static_cast<uint32_t>(min_y), static_cast<uint32_t>(max_x),
           static_cast<uint32_t>(max_y)};
  return true;
}

void BucketAudit::check_field(const WorldField& field) {
  const WorldBox box = box_of_field(field);
  for (const Zoom& zoom : zooms_) {
    claim_polygons(field, box, zoom);
    claim_point(field, zoom);
  }
  last_.assign(zooms_.size(), {UINT32_MAX, UINT32_MAX});
  demand(field, field.label);
  for (uint32_t ring = 0; ring < field.ring_end.size(); ring++) {
    const uint32_t begin = field.ring_begin(ring), end = field.ring_end[ring];
    WorldPoint a = field.points[end - 1];
    for (uint32_t i = begin; i < end; i++) {
      const WorldPoint b = field.points[i];
      demand(field, b);
      demand_edge(field, a, b);
      a = b;
    }
  }
  for (const Zoom& zoom : zooms_) demand_inside(field, box, zoom);
}

const CheckedFeature* BucketAudit::claim(Tile& tile, size_t layer, uint32_t row) {
  Layer& features = tile.layers[layer];
  const std::vector<CheckedFeature>& all = features_[layer];
  while (features.at < features.end && all[features.at].row < row) features.at++;
  if (features.at == features.end || all[features.at].row != row) return nullptr;
  features.claimed++;
  return &all[features.at];
}

void BucketAudit::claim_polygons(const WorldField& field, const WorldBox& box, const Zoom& zoom) {
  const int64_t unit = unit_of(zoom.z), tolerance = kTolerance * unit;
  Range range;
  if (!range_of(box, (kTileBuffer + kTolerance) * unit, zoom, range)) return;
  for (uint32_t y = range.min_y; y <= range.max_y; y++) {
    for (uint32_t x = range.min_x; x <= range.max_x; x++) {
      Tile* const tile = tile_at(zoom, x, y);
      if (tile == nullptr) continue;
      const CheckedFeature* const feature = claim(*tile, kPolygons, field.row);
      if (feature == nullptr) continue;
      const int64_t west = int64_t{x} << (kWorldBits - zoom.z), north = int64_t{y} << (kWorldBits - zoom.z);
      const GridBox& own = feature->box;
      if (west + own.min_x * unit < box.min_x - tolerance || west + own.max_x * unit > box.max_x + tolerance ||
          north + own.min_y * unit < box.min_y - tolerance || north + own.max_y * unit > box.max_y + tolerance) {
        throw AuditError("tile " + name_of(tile->address) + ": row " + std::to_string(field.row) +
                         " is drawn where its field is not");
      }
    }
  }
}

void BucketAudit::claim_point(const WorldField& field, const Zoom& zoom) {
  const int shift = kWorldBits - zoom.z;
  const uint32_t x = static_cast<uint32_t>(uint64_t{field.label.x} >> shift),
                 y = static_cast<uint32_t>(uint64_t{field.label.y} >> shift);
  if (x - zoom.first_x >= zoom.side || y - zoom.first_y >= zoom.side) return;
  const TileAddress address{zoom.z, x, y};
  Tile* const tile = tile_at(zoom, x, y);
  const CheckedFeature* const feature = tile == nullptr ? nullptr : claim(*tile, kPoints, field.row);
  if (feature == nullptr) {
    throw AuditError("tile " + name_of(address) + " lacks the centroid of row " + std::to_string(field.row));
  }
  const int64_t unit = unit_of(zoom.z);
  const int64_t dx = (int64_t{x} << shift) + feature->box.min_x * unit - field.label.x,
                dy = (int64_t{y} << shift) + feature->box.min_y * unit - field.label.y;
  if (std::abs(dx) > unit || std::abs(dy) > unit) {
    throw AuditError("tile " + name_of(address) + ": the centroid of row " + std::to_string(field.row) +
                     " is at another place");
  }
}

void BucketAudit::demand(const WorldField& field, WorldPoint at) {
  if (at.x < bucket_.min_x || at.x > bucket_.max_x || at.y < bucket_.min_y || at.y > bucket_.max_y) return;
  for (size_t k = zooms_.size(); k-- > 0;) {
    const Zoom& zoom = zooms_[k];
    const int shift = kWorldBits - zoom.z;
    const Place place{static_cast<uint32_t>(uint64_t{at.x} >> shift), static_cast<uint32_t>(uint64_t{at.y} >> shift)};
    // Tiles above it were demanded then, too.
    if (place.x == last_[k].x && place.y == last_[k].y) return;
    last_[k] = place;
    demand(field, zoom, place.x, place.y);
  }
}

void BucketAudit::demand(const WorldField& field, const Zoom& zoom, uint32_t x, uint32_t y) {
  const Tile* const tile = tile_at(zoom, x, y);
  // Claimed before, where it is there.
  if (tile != nullptr) {
    const Layer& features = tile->layers[kPolygons];
    if (features.at < features.end && features_[kPolygons][features.at].row == field.row) return;
  }
  throw AuditError("tile " + name_of({zoom.z, x, y}) + " lacks the polygon of row " + std::to_string(field.row));
}

void BucketAudit::demand_edge(const WorldField& field, WorldPoint a, WorldPoint b) {
  const int shift = kWorldBits - zooms_.back().z;
  const auto tile = [&](uint32_t at) { return static_cast<int64_t>(uint64_t{at} >> shift); };
  // Between two tiles that share a side there is no third.
  if (std::abs(tile(a.x) - tile(b.x)) + std::abs(tile(a.y) - tile(b.y)) <= 1) return;
  if (std::max(a.x, b.x) < bucket_.min_x || std::min(a.x, b.x) > bucket_.max_x || std::max(a.y, b.y) < bucket_.min_y ||
      std::min(a.y, b.y) > bucket_.max_y) {
    return;
  }
  const auto middle = [](uint32_t p, uint32_t q) { return static_cast<uint32_t>((uint64_t{p} + q) / 2); };
  const WorldPoint m{middle(a.x, b.x), middle(a.y, b.y)};
  if (m == a || m == b) return;
  const uint32_t width = static_cast<uint32_t>((uint64_t{1} << shift) - 1);
  const auto within = [&](uint32_t at) { return (at & width) >= kRounding && (at & width) <= width - kRounding; };
  if (within(m.x) && within(m.y)) demand(field, m);
  demand_edge(field, a, m);
  demand_edge(field, m, b);
}

// Tiles without any border: where their center is inside, all of them is.
void BucketAudit::demand_inside(const WorldField& field, const WorldBox& box, const Zoom& zoom) {
  const int shift = kWorldBits - zoom.z;
  Range range;
  if (!range_of(box, 0, zoom, range)) return;
  const uint64_t width = uint64_t{1} << shift;
  // Such tiles have others around them that the box meets.
  if (box.max_x - box.min_x < 2 * width || box.max_y - box.min_y < 2 * width) return;
  for (uint32_t y = range.min_y; y <= range.max_y; y++) {
    // Between two units, where no vertex is.
    const double center = (static_cast<double>(y) + 0.5) * static_cast<double>(width) + 0.5;
    for (uint32_t part = 0; part < field.part_end.size(); part++) {
      crossings_.clear();
      for (uint32_t ring = field.part_begin(part); ring < field.part_end[part]; ring++) {
        const uint32_t begin = field.ring_begin(ring), end = field.ring_end[ring];
        WorldPoint a = field.points[end - 1];
        for (uint32_t i = begin; i < end; i++) {
          const WorldPoint b = field.points[i];
          if ((a.y < center) != (b.y < center)) {
            const double along = (center - a.y) / (static_cast<double>(b.y) - a.y);
            crossings_.push_back(a.x + along * (static_cast<double>(b.x) - a.x));
          }
          a = b;
        }
      }
      std::sort(crossings_.begin(), crossings_.end());
      for (size_t c = 0; c + 1 < crossings_.size(); c += 2) {
        // Tiles that lie between two crossings with all of their width.
        const double from = crossings_[c] / static_cast<double>(width),
                     to = crossings_[c + 1] / static_cast<double>(width);
        for (uint32_t x = range.min_x; x <= range.max_x; x++) {
          if (x > from && x + 1.0 < to) demand(field, zoom, x, y);
        }
      }
    }
  }
}

void BucketAudit::check_unclaimed() const {
  size_t begin[2] = {0, 0};
  for (const Tile& tile : tiles_) {
    for (size_t layer = 0; layer < 2; layer++) {
      const Layer& features = tile.layers[layer];
      const size_t count = features.end - begin[layer];
      begin[layer] = features.end;
      if (features.claimed != count) {
        throw AuditError("tile " + name_of(tile.address) + " has " + std::to_string(count - features.claimed) +
                         " features of fields that do not meet it, in layer " + tiler_layers()[layer].name);
      }
    }
  }
}

}  // namespace fields
