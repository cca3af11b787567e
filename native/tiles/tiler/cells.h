// The content of zooms below kFieldZoom: cells that carry the row of a field at that place.
#pragma once
#include <cstdint>
#include <vector>

#include "tiles/gzip.h"
#include "tiles/tiler/shape.h"
#include "tiles/tiler/world.h"

namespace fields {

// At the zoom above kFieldZoom a tile is 512 x 512 points, one CSS pixel each; a point belongs to the field that
// contains it, and is drawn as a square. At lower zooms a tile is 256 x 256 cells with a side of two CSS pixels, each
// made of four cells of the zoom below. A cell carries one of the fields under it, drawn by lot with the fields' areas
// as weights, and as many cells are drawn as the fields under them cover.
//
// Both draws are one systematic sample: over 4 x 4 cells, along a Hilbert curve, every point of the curve at which
// the covered area grows by another cell's takes the cell and the field that it falls on; where the first one lies is a
// hash of the place. So each field gets its share of squares, and the squares of 16 cells differ from the truth by
// less than one. All of it depends on geometry, rows and place alone, and on nothing outside the 4 x 4 cells.

// A polygon of squares that carry the same row.
struct CellFeature {
  uint32_t row;
  size_t geometry_end;  // one past its last byte in CellTile::geometry
};

// Features of a tile by ascending row, at most kMostCellRows, each row once. Geometry is vector tile commands.
struct CellTile {
  std::vector<CellFeature> features;
  Buffer geometry;
  void clear() {
    features.clear();
    geometry.size = 0;
  }
};

// Precompressed tiles have room for so many features.
constexpr size_t kMostCellRows = 65535;

struct Cell {
  uint32_t row;    // of one of the fields under it
  uint32_t count;  // of the points under it that lie in fields; 0: there is no row
  bool drawn;
};

// A tile's summary for the zoom above: opaque bytes, 0 to 98,310.
struct CellSummary {
  const uint8_t* bytes = nullptr;
  size_t size = 0;
};

// Draws squares as polygons. Not for several threads at once.
class CellPainter {
 public:
  // `rows`: side x side, kNoRow where nothing is drawn. False, and nothing drawn, when there are more than
  // kMostCellRows different rows.
  bool paint(const std::vector<uint32_t>& rows, uint32_t side, CellTile& out);

  static constexpr uint32_t kNoRow = UINT32_MAX;

 private:
  struct Ring {
    uint32_t row, piece, begin, end;  // of points_
  };
  uint32_t root_of(uint32_t piece) const;
  void find_pieces(const std::vector<uint32_t>& rows, uint32_t side);
  void follow(uint32_t start, uint32_t wide, int32_t scale);

  // Numbers of 4-connected pieces, with one row of zeros around.
  std::vector<uint32_t> pieces_, parents_;
  std::vector<uint8_t> followed_;
  std::vector<GridPoint> points_;
  std::vector<Ring> rings_;
  Shape shape_;
};

// The cells of a tile of the zoom above kFieldZoom (above the highest zoom, where that is lower) from the fields that
// touch it. 3 MB, however many fields come. Not for several threads at once.
class CellGrid {
 public:
  void begin(TileAddress tile);
  // By ascending row, each field once; those that lie beyond the tile may come too. Where fields overlap, the first has
  // the points.
  void add(const WorldField& field);
  // The tile's features, and the summary for the zoom above, appended.
  void finish(CellTile& out, Buffer& summary);

 private:
  struct Crossing {
    uint32_t line;
    double x;
  };
  void add_part(const WorldField& field, uint32_t first_ring, uint32_t end_ring);

  TileAddress tile_{0, 0, 0};
  std::vector<uint32_t> rows_;
  std::vector<Crossing> crossings_;
  // The first field with its label here: drawn when no field is large enough for a point.
  uint32_t lone_row_ = CellPainter::kNoRow, lone_at_ = 0;
  bool empty_ = true;
  std::vector<Cell> points_, cells_, parents_;
  CellPainter painter_;
};

// The cells of a tile of a lower zoom from the summaries of its four children: northwest, northeast, southwest,
// southeast, without bytes where there is no such tile. Throws TileError where they are no summaries.
class CellMerger {
 public:
  void merge(TileAddress tile, const CellSummary (&children)[4], CellTile& out, Buffer& summary);

 private:
  std::vector<Cell> cells_, parents_;
  std::vector<uint32_t> rows_;
  CellPainter painter_;
};

}  // namespace fields
