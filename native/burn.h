// Which pixels belong to a field: GDAL's pixel-centre rule, bit for bit.
#pragma once
#include <cstdint>
#include <vector>

#include "albers.h"
#include "wkb.h"

namespace fields {

// The raster is cut into chunks of this size; a run never crosses a chunk's edge. 9 + 11 + 11 bits hold a run:
// row, first column, length - 1.
constexpr uint32_t kChunkRows = 512;
constexpr uint32_t kChunkCols = 2048;

// North-up raster: x = c + col * a, y = f + row * e.
struct Grid {
  double a, c, e, f;
  uint32_t width, height;
  uint32_t chunk_cols() const { return (width + kChunkCols - 1) / kChunkCols; }
};

// A field's pixels inside one chunk.
struct Entry {
  uint32_t chunk;
  uint32_t field;  // row in the batch
  uint32_t run_begin;
  uint16_t runs;   // at most 65,535; a field with more in a chunk has several entries there
  uint16_t parts;  // entries that the field has in all chunks together
};

// Which pixels belong to a field. The names are shared with src/kernel/kernel.ts (PIXEL_RULES).
enum class PixelRule : uint8_t {
  kCentre,        // whose centre lies inside
  kTouched,       // those, and all that an edge passes through
  kSmallTouched,  // by centre; by touch where that gives no pixel
};

// All that a batch of fields burns; used again for every batch.
class Burner {
 public:
  Burner(const Grid& grid, const Albers* albers, PixelRule rule);

  // Burns one geometry and appends its entries and runs.
  Status burn(uint32_t field, const uint8_t* wkb, size_t size);
  // Orders entries by chunk, then field. Call once, after the last field.
  void sort_entries();

  std::vector<Entry> entries;
  std::vector<uint32_t> runs;
  // All fields' vertices in pixels of the raster: min column, min row, max column, max row.
  double extent[4];

 private:
  struct Span {
    uint32_t row, begin, end;
  };
  struct Edge {
    double x1, y1, x2, y2;  // y1 < y2
    int32_t row_begin, row_end;
  };

  void burn_part(uint32_t first_ring, uint32_t end_ring);
  void touch_edges();
  void emit(uint32_t field);

  Grid grid_;
  const Albers* albers_;
  PixelRule rule_;
  Polygons polygons_;
  std::vector<double> px_, py_;
  std::vector<Edge> edges_;
  std::vector<uint32_t> row_at_;
  std::vector<int32_t> crossings_;
  std::vector<Span> spans_;
  bool ordered_ = true;  // spans_ are sorted and disjoint
  // The field's window in the raster.
  uint32_t col0_ = 0, row0_ = 0, width_ = 0, height_ = 0;
};

}  // namespace fields
