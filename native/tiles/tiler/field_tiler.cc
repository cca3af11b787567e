#include "tiles/tiler/field_tiler.h"

#include <algorithm>
#include <cmath>

#include "tiles/tiler/mercator.h"
#include "tiles/tiler/tile_id.h"

namespace fields {
namespace {

constexpr int32_t kSide = static_cast<int32_t>(kExtent), kMargin = static_cast<int32_t>(kTileBuffer);

// The tile of a place in the world, of 2^shift units a side; all of the world is one at zoom 0.
uint32_t tile_of_place(uint32_t at, int shift) { return static_cast<uint32_t>(uint64_t{at} >> shift); }

// The tile of a point of the grid.
int32_t tile_at(int32_t at) { return at >> kExtentBits; }

// Calls `meet` for the tiles within `tiles` that an edge crosses, with a point of it in each.
template <typename Tiles, typename Meet>
void meet_edge(WorldPoint a, WorldPoint b, int shift, const Tiles& tiles, Meet&& meet) {
  if (a.x > b.x) std::swap(a, b);
  const double width = static_cast<double>(uint64_t{1} << shift), last = width - 1;
  const double ax = a.x, ay = a.y, bx = b.x, by = b.y;
  const auto y_at = [&](double x) { return bx == ax ? ay : ay + (by - ay) * ((x - ax) / (bx - ax)); };
  const auto row_of = [&](double y) {
    return tile_of_place(static_cast<uint32_t>(std::clamp(y, 0.0, 4294967295.0)), shift);
  };
  const uint32_t from = std::max(tile_of_place(a.x, shift), tiles.min_x),
                 to = std::min(tile_of_place(b.x, shift), tiles.max_x);
  for (uint32_t x = from; x <= to; x++) {
    const double west = std::max(ax, x * width), east = std::min(bx, x * width + last);
    const double y0 = bx == ax ? std::min(ay, by) : std::min(y_at(west), y_at(east));
    const double y1 = bx == ax ? std::max(ay, by) : std::max(y_at(west), y_at(east));
    const uint32_t top = std::max(row_of(y0), tiles.min_y), bottom = std::min(row_of(y1), tiles.max_y);
    for (uint32_t y = top; y <= bottom; y++) {
      // The middle of the edge within this row and column.
      const double middle = (std::max(y0, y * width) + std::min(y1, y * width + last)) / 2;
      const double along = ay == by || bx == ax ? (west + east) / 2 : ax + (bx - ax) * ((middle - ay) / (by - ay));
      meet(x, y,
           WorldPoint{static_cast<uint32_t>(std::clamp(along, x * width, x * width + last)),
                      static_cast<uint32_t>(std::clamp(middle, y * width, y * width + last))});
    }
  }
}

}  // namespace

FieldTiler::FieldTiler(FieldAttributes attributes, TileStore& store)
    : attributes_(attributes), store_(store), layers_(attributes) {}

void FieldTiler::begin(TileAddress root, int least, int most, size_t limit) {
  root_ = root;
  least_ = least;
  most_ = most;
  limit_ = limit;
  bytes_.size = ids_.size = 0;
  fields_.clear();
  polygons_.clear();
  points_.clear();
  first_tile_.assign(1, 0);
  along_.resize(static_cast<size_t>(most - least + 1));
  for (int z = least; z <= most; z++) {
    const int depth = z - root.z;
    const uint32_t side = 1u << depth;
    std::vector<uint32_t>& along = along_[static_cast<size_t>(z - least)];
    along.resize(static_cast<size_t>(side) * side);
    // Under a tile the curve goes through all tiles of a zoom at one stretch.
    uint64_t first = tile_id({z, root.x << depth, root.y << depth});
    first -= (first - first_tile_id(z)) % (static_cast<uint64_t>(side) * side);
    for (uint32_t y = 0; y < side; y++) {
      for (uint32_t x = 0; x < side; x++) {
        along[y * side + x] = static_cast<uint32_t>(tile_id({z, (root.x << depth) + x, (root.y << depth) + y}) - first);
      }
    }
    first_tile_.push_back(first_tile_.back() + side * side);
  }
}

uint32_t FieldTiler::number_of(int zoom, uint32_t x, uint32_t y) const {
  const int depth = zoom - root_.z;
  const auto z = static_cast<size_t>(zoom - least_);
  const size_t at = ((y - (root_.y << depth)) << depth) + (x - (root_.x << depth));
  return first_tile_[z] + along_[z][at];
}

bool FieldTiler::tiles_of(GridBox box, int zoom, Tiles& tiles) const {
  const int depth = zoom - root_.z;
  const auto low = [&](int32_t at, uint32_t root) {
    return std::max<int64_t>(tile_at(at), static_cast<int64_t>(root) << depth);
  };
  const auto high = [&](int32_t at, uint32_t root) {
    return std::min<int64_t>(tile_at(at), ((static_cast<int64_t>(root) + 1) << depth) - 1);
  };
  const int64_t min_x = low(box.min_x, root_.x), max_x = high(box.max_x, root_.x);
  const int64_t min_y = low(box.min_y, root_.y), max_y = high(box.max_y, root_.y);
  if (min_x > max_x || min_y > max_y) return false;
  tiles = {static_cast<uint32_t>(min_x), static_cast<uint32_t>(min_y), static_cast<uint32_t>(max_x),
           static_cast<uint32_t>(max_y)};
  return true;
}

bool FieldTiler::add(const WorldField& field, SpilledId id, const std::vector<uint8_t>& zooms) {
  fields_.push_back({field.row, static_cast<uint32_t>(ids_.size), static_cast<uint32_t>(id.size)});
  ids_.append(id.bytes, id.size);
  for (int z = most_; z >= least_; z--) {
    add_polygon(field, zooms, z);
    add_point(field, z);
  }
  return bytes_.size + ids_.size + (polygons_.size() + points_.size()) * sizeof(Piece) <= limit_;
}

void FieldTiler::add_point(const WorldField& field, int zoom) {
  const int shift = kWorldBits - zoom, unit = shift - kExtentBits;
  const uint32_t x = tile_of_place(field.label.x, shift), y = tile_of_place(field.label.y, shift);
  const int depth = zoom - root_.z;
  if (x >> depth != root_.x || y >> depth != root_.y) return;
  // Rounded down, for a viewer leaves out points that are not within their tile.
  const size_t before = bytes_.size;
  append_point({static_cast<int32_t>((field.label.x >> unit) % kExtent),
                static_cast<int32_t>((field.label.y >> unit) % kExtent)},
               bytes_);
  points_.push_back({number_of(zoom, x, y), static_cast<uint32_t>(fields_.size() - 1), static_cast<uint32_t>(before),
                     static_cast<uint32_t>(bytes_.size - before)});
}

void FieldTiler::add_piece(const Shape& shape, int zoom, uint32_t x, uint32_t y) {
  const size_t before = bytes_.size;
  append_geometry(shape, {static_cast<int32_t>(x) * kSide, static_cast<int32_t>(y) * kSide}, bytes_);
  if (bytes_.size > UINT32_MAX) throw TileError("a tile's features take more than 4 GiB");
  polygons_.push_back({number_of(zoom, x, y), static_cast<uint32_t>(fields_.size() - 1), static_cast<uint32_t>(before),
                       static_cast<uint32_t>(bytes_.size - before)});
}

void FieldTiler::add_polygon(const WorldField& field, const std::vector<uint8_t>& zooms, int zoom) {
  const Shape& shape = shapes_.draw(field, zooms, zoom);
  const GridBox box = box_of(shape);
  const size_t first_piece = polygons_.size();
  Tiles tiles;
  // Tiles whose buffer it meets; what only touches the buffer's side has no area there.
  if (tiles_of({box.min_x - kMargin + 1, box.min_y - kMargin + 1, box.max_x + kMargin - 1, box.max_y + kMargin - 1},
               zoom, tiles)) {
    for (uint32_t x = tiles.min_x; x <= tiles.max_x; x++) {
      const int32_t west = static_cast<int32_t>(x) * kSide - kMargin, east = west + kSide + 2 * kMargin;
      // Each cut only where something is to be cut off.
      const Shape* column = &shape;
      if (box.min_x < west && clip_.clip(*column, Side::kWest, west, west_)) column = &west_;
      if (box.max_x > east && clip_.clip(*column, Side::kEast, east, column_)) column = &column_;
      if (column->empty()) continue;
      const GridBox rows = column == &shape ? box : box_of(*column);
      for (uint32_t y = tiles.min_y; y <= tiles.max_y; y++) {
        const int32_t north = static_cast<int32_t>(y) * kSide - kMargin, south = north + kSide + 2 * kMargin;
        if (rows.max_y <= north || rows.min_y >= south) continue;
        const Shape* piece = column;
        if (rows.min_y < north && clip_.clip(*piece, Side::kNorth, north, north_)) piece = &north_;
        if (rows.max_y > south && clip_.clip(*piece, Side::kSouth, south, piece_)) piece = &piece_;
        if (piece == &shape) {
          add_piece(shape, zoom, x, y);
          continue;
        }
        // The column is needed for the tiles below it.
        if (piece == column) {
          piece_ = *column;
          piece = &piece_;
        }
        Shape& own = piece == &north_ ? north_ : piece_;
        if (shapes_.mend(own)) add_piece(own, zoom, x, y);
      }
    }
  }
  fill_gaps(field, zoom, first_piece);
}

void FieldTiler::fill_gaps(const WorldField& field, int zoom, size_t first_piece) {
  const int shift = kWorldBits - zoom, unit = shift - kExtentBits;
  const WorldBox box = box_of(field);
  Tiles tiles;
  if (!tiles_of({static_cast<int32_t>(box.min_x >> unit), static_cast<int32_t>(box.min_y >> unit),
                 static_cast<int32_t>(box.max_x >> unit), static_cast<int32_t>(box.max_y >> unit)},
                zoom, tiles)) {
    return;
  }
  const uint64_t count = static_cast<uint64_t>(tiles.max_x - tiles.min_x + 1) * (tiles.max_y - tiles.min_y + 1);
  if (count == polygons_.size() - first_piece && count == 1) return;
  // Where the field's border goes; what lies within it is in the shape.
  met_.clear();
  const auto meet = [&](uint32_t x, uint32_t y, WorldPoint at) {
    if (x < tiles.min_x || x > tiles.max_x || y < tiles.min_y || y > tiles.max_y) return;
    const uint32_t number = number_of(zoom, x, y);
    if (met_.empty() || met_.back().first != number) met_.push_back({number, at});
  };
  meet(tile_of_place(field.label.x, shift), tile_of_place(field.label.y, shift), field.label);
  for (size_t ring = 0; ring < field.ring_end.size(); ring++) {
    const uint32_t begin = field.ring_begin(static_cast<uint32_t>(ring)), end = field.ring_end[ring];
    WorldPoint a = field.points[end - 1];
    for (uint32_t i = begin; i < end; i++) {
      const WorldPoint b = field.points[i];
      const uint32_t ax = tile_of_place(a.x, shift), ay = tile_of_place(a.y, shift), bx = tile_of_place(b.x, shift),
                     by = tile_of_place(b.y, shift);
      meet(bx, by, b);
      if (ax != bx || ay != by) meet_edge(a, b, shift, tiles, meet);
      a = b;
    }
  }
  std::stable_sort(met_.begin(), met_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  const size_t pieces = polygons_.size();
  for (size_t i = 0; i < met_.size(); i++) {
    const auto [number, at] = met_[i];
    if (i > 0 && met_[i - 1].first == number) continue;
    const auto has = [&, wanted = number](const Piece& piece) { return piece.tile == wanted; };
    const auto from = polygons_.begin() + static_cast<ptrdiff_t>(first_piece);
    if (std::any_of(from, polygons_.begin() + static_cast<ptrdiff_t>(pieces), has)) continue;
    Shape square;
    square.add_square({static_cast<int32_t>(at.x >> unit), static_cast<int32_t>(at.y >> unit)});
    add_piece(square, zoom, tile_of_place(at.x, shift), tile_of_place(at.y, shift));
  }
}

void FieldTiler::finish(StoredTiles* out) {
  const uint32_t tiles = first_tile_.back();
  std::vector<Piece>* const lists[2] = {&polygons_, &points_};
  for (int layer = 0; layer < 2; layer++) {
    // A counting sort, which keeps rows in their order.
    std::vector<uint32_t>&begins = begins_[layer], &order = order_[layer];
    begins.assign(tiles + 1, 0);
    for (const Piece& piece : *lists[layer]) begins[piece.tile + 1]++;
    for (uint32_t t = 0; t < tiles; t++) begins[t + 1] += begins[t];
    order.resize(lists[layer]->size());
    for (uint32_t i = 0; i < order.size(); i++) order[begins[(*lists[layer])[i].tile]++] = i;
    for (uint32_t t = tiles; t > 0; t--) begins[t] = begins[t - 1];
    begins[0] = 0;
  }
  for (int z = least_; z <= most_; z++) {
    const auto k = static_cast<size_t>(z - least_);
    const int depth = z - root_.z;
    uint64_t first_id = tile_id({z, root_.x << depth, root_.y << depth});
    first_id -= (first_id - first_tile_id(z)) % (uint64_t{1} << (2 * depth));
    for (uint32_t t = first_tile_[k]; t < first_tile_[k + 1]; t++) {
      layers_.begin();
      // Points first: layers stand by name, as tippecanoe has them.
      for (int layer = 1; layer >= 0; layer--) {
        features_.clear();
        for (uint32_t i = begins_[layer][t]; i < begins_[layer][t + 1]; i++) {
          const Piece& piece = (*lists[layer])[order_[layer][i]];
          const Field& field = fields_[piece.field];
          features_.push_back(
              {field.row, ids_.data() + field.id_offset, field.id_size, bytes_.data() + piece.offset, piece.size});
        }
        if (features_.empty()) continue;
        out[k].features[layer] += features_.size();
        layers_.add(layer == 0 ? "fields" : "centroids", layer == 0 ? 3 : 1, features_, true);
      }
      const Buffer& tile = layers_.tile();
      if (tile.size == 0) continue;
      out[k].largest = std::max<uint64_t>(out[k].largest, tile.size);
      const size_t before = out[k].bytes.size;
      store_.store(tile.data(), tile.size, out[k].bytes);
      out[k].ids.push_back(first_id + (t - first_tile_[k]));
      out[k].sizes.push_back(static_cast<uint32_t>(out[k].bytes.size - before));
    }
  }
}

}  // namespace fields
