// All tiles of some zooms under one tile.
#pragma once
#include <cstdint>
#include <vector>

#include "tiles/tiler/clip.h"
#include "tiles/tiler/field_shapes.h"
#include "tiles/tiler/simplify.h"
#include "tiles/tiler/spill.h"
#include "tiles/tiler/tile_layers.h"
#include "tiles/tiler/world.h"

namespace fields {

// Stored tiles of one zoom, without gaps, by ascending id.
struct StoredTiles {
  Buffer bytes;
  std::vector<uint64_t> ids;
  std::vector<uint32_t> sizes;
  uint64_t features[2] = {0, 0};  // polygons, points
  uint64_t largest = 0;           // bytes of the largest, before compression
};

// Makes the tiles of zooms [least, most] that lie under `root`, whose own zoom is not above `least`. Fields come by
// ascending row; each becomes a polygon in every tile that it intersects, buffers included, and a point in the tile
// of its label. A tile's content depends only on the fields. `begin` makes it reusable.
class FieldTiler {
 public:
  FieldTiler(FieldAttributes attributes, TileStore& store);

  // `limit`: bytes that pieces of tiles may take before `add` returns false.
  void begin(TileAddress root, int least, int most, size_t limit);
  // False if there is no more room; everything added so far is then useless.
  bool add(const WorldField& field, SpilledId id, const std::vector<uint8_t>& zooms);
  // Appends the tiles, by zoom from `least`: `out` has one element a zoom.
  void finish(StoredTiles* out);

  const ShapeCounts& counts() const { return shapes_.counts; }

 private:
  struct Piece {
    uint32_t tile, field, offset, size;  // of the geometry in pieces_
  };
  struct Field {
    uint32_t row, id_offset, id_size;
  };
  struct Tiles {
    uint32_t min_x, min_y, max_x, max_y;  // closed
  };
  // The tiles of a zoom that a box intersects, only those under the root; false if there are none.
  bool tiles_of(GridBox box, int zoom, Tiles& tiles) const;
  uint32_t number_of(int zoom, uint32_t x, uint32_t y) const;
  void add_polygon(const WorldField& field, const std::vector<uint8_t>& zooms, int zoom);
  void add_piece(const Shape& shape, int zoom, uint32_t x, uint32_t y);
  // A square in every tile that the field intersects and that has nothing of its shape.
  void fill_gaps(const WorldField& field, int zoom, size_t first_piece);
  void add_point(const WorldField& field, int zoom);

  FieldAttributes attributes_;
  TileStore& store_;
  TileLayers layers_;
  FieldShapes shapes_;
  ShapeClip clip_;
  TileAddress root_{0, 0, 0};
  int least_ = 0, most_ = 0;
  size_t limit_ = 0;
  // By zoom from least_: number of its first tile, and the place along the curve of each, row by row.
  std::vector<uint32_t> first_tile_;
  std::vector<std::vector<uint32_t>> along_;
  Buffer bytes_, ids_;
  std::vector<Field> fields_;
  std::vector<Piece> polygons_, points_;
  Shape column_, west_, piece_, north_;
  std::vector<std::pair<uint32_t, WorldPoint>> met_;
  std::vector<Feature> features_;
  std::vector<uint32_t> order_[2], begins_[2];
};

}  // namespace fields
