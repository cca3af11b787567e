// Which pixels belong to a field: GDAL's pixel-center rule, bit for bit.
#pragma once
#include <cstdint>
#include <vector>

#include "geometry/albers.h"
#include "geometry/wkb.h"

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
  uint16_t runs;  // or words, where runs have weights; at most 65,535; a field with more in a chunk has several entries
                  // there
  uint16_t parts;  // entries that the field has in all chunks together
};

// Which pixels belong to a field. The names are shared with src/kernel/zonal.ts (PIXEL_RULES).
enum class PixelRule : uint8_t {
  kCenter,        // pixels whose center is inside
  kTouched,       // those, and all pixels that an edge passes through
  kSmallTouched,  // by center; by touch if that gives no pixel
  kCoverage,      // all pixels that it covers partly, weighted by the covered share
};

// A run with this bit is followed by the covered share of each of its pixels, as float bits; others are covered
// fully. Shares are multiples of 1 / kShareUnits, so that their sums are exact in any order.
constexpr uint32_t kWeighted = uint32_t{1} << 31;
constexpr double kShareUnits = 1 << 24;

// The pixels of a batch of fields; reused for every batch.
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
  struct CoveredSpan {
    uint32_t row, begin, end;
    uint32_t share;  // place of its pixels' shares in shares_, or kWhole
  };
  struct CoverEdge {
    double x1, y1, x2, y2;  // y1 < y2
    double sign;            // 1 if the polygon is on the right
    uint32_t row_begin, row_end;
  };
  static constexpr uint32_t kWhole = UINT32_MAX;
  static uint32_t words_of(const Span&, uint32_t, uint32_t) { return 1; }
  static uint32_t words_of(const CoveredSpan& span, uint32_t begin, uint32_t end) {
    return span.share == kWhole ? 1 : 1 + end - begin;
  }
  struct Edge {
    double x1, y1, x2, y2;  // y1 < y2
    int32_t row_begin, row_end;
  };

  // Room for the crossings, which are then filled row by row: row_at_ goes from counts to first places. Returns their
  // number.
  uint64_t count_crossings();
  void burn_part(uint32_t first_ring, uint32_t end_ring);
  void touch_edges();
  void cover();
  void spread(double left, double right, double height);
  void keep_row(uint32_t row);
  void emit(uint32_t field);
  template <typename Piece>
  void place(uint32_t field, const std::vector<Piece>& pieces);
  void write(const Span& span, uint32_t begin, uint32_t end);
  void write(const CoveredSpan& span, uint32_t begin, uint32_t end);

  Grid grid_;
  const Albers* albers_;
  PixelRule rule_;
  Polygons polygons_;
  std::vector<double> px_, py_;
  std::vector<Edge> edges_;
  std::vector<uint32_t> row_at_;
  std::vector<int32_t> crossings_;
  std::vector<Span> spans_;
  std::vector<CoverEdge> cover_edges_;
  std::vector<CoveredSpan> covered_;
  std::vector<float> shares_;
  // One row of pixels: what each adds to the covered share of every pixel from it to the right.
  std::vector<double> gain_;
  uint32_t gain_begin_ = 0, gain_end_ = 0;
  bool ordered_ = true;  // spans_ are sorted and disjoint
  // The field's window in the raster.
  uint32_t col0_ = 0, row0_ = 0, width_ = 0, height_ = 0;
};

}  // namespace fields
