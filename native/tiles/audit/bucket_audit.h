// Checks that a bucket's finished tiles have its fields where they must be, and nowhere else.
#pragma once
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "tiles/audit/tile_check.h"
#include "tiles/tiler/bucket.h"

namespace fields {

// An error in finished tiles.
struct AuditError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The tiler's layers, in the order in which the audit counts them.
std::vector<LayerRule> tiler_layers();

// Not for several threads at once.
class BucketAudit {
 public:
  // `seen`: by layer, one byte per row; bit z is set for every row that is in a tile of zoom least_tiled() + z.
  // Threads share it.
  BucketAudit(uint64_t rows, std::vector<uint8_t*> seen);

  // Decodes the stored tiles and checks each one. At the zooms that show every field, the centroid
  // must be in its tile, and the polygon in every tile that its label, its border or, at the tile's center, its inside
  // meets; and a feature must lie in the box of its field, give or take two units. Throws AuditError.
  void check(BucketReader& fields, TileAddress bucket, TilerZooms zooms, TileStore& store, const BucketTiles& tiles);
  // Tiles without fields to compare, such as those of cells.
  void check(const StoredTiles& tiles, TileStore& store);

 private:
  // Features of one layer of a tile, as numbers in features_.
  struct Layer {
    size_t at, end;  // the first whose row is not below the field's, and one past the last
    size_t claimed;  // how many belong to a field
  };
  struct Tile {
    TileAddress address;
    Layer layers[2];
  };
  // Tiles of one zoom under the bucket's: numbers in tiles_ by place, row by row; kNone where there is no tile.
  struct Zoom {
    int z;
    uint32_t first_x, first_y, side;
    std::vector<uint32_t> numbers;
  };
  // Of tiles; closed.
  struct Range {
    uint32_t min_x, min_y, max_x, max_y;
  };
  static constexpr uint32_t kNone = UINT32_MAX;

  // Calls `visit(address)` for each tile, which check_ holds then.
  template <typename Visit>
  void each_tile(const StoredTiles& tiles, TileStore& store, Visit&& visit);
  void index(TileAddress bucket, TilerZooms zooms, TileStore& store, const BucketTiles& tiles);
  Tile* tile_at(const Zoom& zoom, uint32_t x, uint32_t y);
  // False where no tile under the bucket's is within `margin` of the box.
  static bool range_of(const WorldBox& box, int64_t margin, const Zoom& zoom, Range& range);
  void check_field(const WorldField& field);
  // The feature of a row, if the tile has it. Rows ascend from call to call.
  const CheckedFeature* claim(Tile& tile, size_t layer, uint32_t row);
  void claim_polygons(const WorldField& field, const WorldBox& box, const Zoom& zoom);
  void claim_point(const WorldField& field, const Zoom& zoom);
  // The polygon must be in the tile of each zoom that has the point.
  void demand(const WorldField& field, WorldPoint at);
  void demand(const WorldField& field, const Zoom& zoom, uint32_t x, uint32_t y);
  void demand_edge(const WorldField& field, WorldPoint a, WorldPoint b);
  void demand_inside(const WorldField& field, const WorldBox& box, const Zoom& zoom);
  void check_unclaimed() const;

  std::vector<uint8_t*> seen_;
  TileCheck check_;
  Buffer plain_;
  std::vector<CheckedFeature> features_[2];
  std::vector<Tile> tiles_;
  std::vector<Zoom> zooms_;
  WorldBox bucket_{};
  // By zoom, the last required tile.
  struct Place {
    uint32_t x, y;
  };
  std::vector<Place> last_;
  std::vector<double> crossings_;
};

}  // namespace fields
