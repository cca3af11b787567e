#include "tiles/tiler/cells.h"

#include <algorithm>
#include <cstring>

#include "tiles/protobuf.h"
#include "tiles/tiler/tile_layers.h"

namespace fields {
namespace {

constexpr uint32_t kNoRow = CellPainter::kNoRow;
// Points and cells along a tile's side.
constexpr uint32_t kPoints = 512, kCells = 256, kHalf = kCells / 2;
// Cells along the side of a sample, and their children: 4 x 4 and 8 x 8, numbered along a Hilbert curve.
constexpr uint32_t kSample = 4, kChildren = 2 * kSample;
// A cell that is covered to so many parts of a hundred is drawn, whatever the lot: real fields leave room for roads.
constexpr uint64_t kFullPercent = 90;
constexpr uint8_t kSummaryVersion = 1;

// Place of a step of the Hilbert curve through 8 x 8 children; each four steps from a multiple of four are one
// parent's.
struct Curve {
  uint8_t x[kChildren * kChildren], y[kChildren * kChildren];
  Curve() {
    for (uint32_t step = 0; step < kChildren * kChildren; step++) {
      uint32_t along = step, cx = 0, cy = 0;
      for (uint32_t side = 1; side < kChildren; side *= 2, along /= 4) {
        const uint32_t right = (along / 2) & 1, down = (along ^ right) & 1;
        if (down == 0) {
          if (right == 1) {
            cx = side - 1 - cx;
            cy = side - 1 - cy;
          }
          std::swap(cx, cy);
        }
        cx += side * right;
        cy += side * down;
      }
      x[step] = static_cast<uint8_t>(cx);
      y[step] = static_cast<uint8_t>(cy);
    }
  }
};
const Curve kCurve;

// 64 well-mixed bits of a place.
uint64_t lot_of(int zoom, uint64_t x, uint64_t y, uint64_t purpose) {
  uint64_t value =
      (static_cast<uint64_t>(zoom) << 58 | purpose << 56) + x * 0x9e3779b97f4a7c15u + y * 0xc2b2ae3d27d4eb4fu;
  for (int round = 0; round < 2; round++) {
    value ^= value >> 30;
    value *= 0xbf58476d1ce4e5b9u;
    value ^= value >> 27;
    value *= 0x94d049bb133111ebu;
    value ^= value >> 31;
  }
  return value;
}

// A number below `end`, which is below 2^32.
uint64_t draw_below(uint64_t lot, uint64_t end) { return ((lot >> 32) * end) >> 32; }

// The cells of some zoom from those of the zoom below: `side` along a side, from twice as many. `x0`, `y0`: place of
// the first in the world, in cells. `full`: points under a covered cell.
void sample_cells(const std::vector<Cell>& children, uint32_t side, int zoom, uint64_t x0, uint64_t y0, uint64_t full,
                  std::vector<Cell>& out) {
  out.assign(size_t{side} * side, Cell{0, 0, false});
  for (uint32_t top = 0; top < side; top += kSample) {
    for (uint32_t left = 0; left < side; left += kSample) {
      uint64_t grown = draw_below(lot_of(zoom, x0 + left, y0 + top, 0), full);
      for (uint32_t step = 0; step < kChildren * kChildren; step += 4) {
        const Cell* four[4];
        uint64_t count = 0;
        for (uint32_t i = 0; i < 4; i++) {
          four[i] = &children[size_t{2 * top + kCurve.y[step + i]} * 2 * side + 2 * left + kCurve.x[step + i]];
          count += four[i]->count;
        }
        if (count == 0) continue;
        const uint32_t x = left + kCurve.x[step] / 2, y = top + kCurve.y[step] / 2;
        const uint64_t weight = count * 100 >= full * kFullPercent ? full : count;
        const bool drawn = grown + weight >= full;
        // Where in the cell's points the lot falls.
        uint64_t at = drawn ? (full - 1 - grown) * count / weight : draw_below(lot_of(zoom, x0 + x, y0 + y, 1), count);
        grown = drawn ? grown + weight - full : grown + weight;
        uint32_t child = 0;
        while (at >= four[child]->count) at -= four[child++]->count;
        out[size_t{y} * side + x] = {four[child]->row, static_cast<uint32_t>(count), drawn};
      }
    }
  }
}

// Something is drawn wherever there is a field.
void draw_one(std::vector<Cell>& cells) {
  Cell* most = nullptr;
  for (Cell& cell : cells) {
    if (cell.drawn) return;
    if (cell.count > 0 && (most == nullptr || cell.count > most->count)) most = &cell;
  }
  if (most != nullptr) most->drawn = true;
}

void paint_cells(std::vector<Cell>& cells, CellPainter& painter, std::vector<uint32_t>& rows, CellTile& out) {
  draw_one(cells);
  rows.resize(cells.size());
  for (size_t i = 0; i < cells.size(); i++) rows[i] = cells[i].drawn ? cells[i].row : kNoRow;
  if (painter.paint(rows, kCells, out)) return;
  // 65,536 different fields: the one with the least under it is left out.
  const auto least =
      std::min_element(cells.begin(), cells.end(), [](const Cell& a, const Cell& b) { return a.count < b.count; });
  rows[static_cast<size_t>(least - cells.begin())] = kNoRow;
  painter.paint(rows, kCells, out);
}

// A byte of the version; varint of the points under a covered cell; then, row by row, of each cell varint 2 x count +
// drawn and four bytes of its row, or 0 and the varint of how many cells there are without count.
void put_summary(const std::vector<Cell>& cells, uint64_t full, Buffer& out) {
  uint8_t* const start = out.room(2 * kMaxVarint + cells.size() * (kMaxVarint + 4));
  uint8_t* to = start;
  *to++ = kSummaryVersion;
  to = put_number(to, full);
  for (size_t i = 0; i < cells.size();) {
    const Cell& cell = cells[i];
    if (cell.count == 0) {
      const size_t first = i;
      while (i < cells.size() && cells[i].count == 0) i++;
      to = put_number(put_number(to, 0), i - first);
      continue;
    }
    to = put_number(to, uint64_t{cell.count} << 1 | (cell.drawn ? 1 : 0));
    to = put_bytes(to, reinterpret_cast<const uint8_t*>(&cell.row), 4);
    i++;
  }
  out.size += static_cast<size_t>(to - start);
}

class SummaryReader {
 public:
  explicit SummaryReader(CellSummary summary) : at_(summary.bytes), end_(summary.bytes + summary.size) {
    if (*bytes(1) != kSummaryVersion) fail();
  }
  uint64_t number() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = *bytes(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    fail();
  }
  uint32_t row() {
    uint32_t value;
    std::memcpy(&value, bytes(4), 4);
    return value;
  }
  void end() const {
    if (at_ != end_) fail();
  }
  [[noreturn]] static void fail() { throw TileError("a summary of cells is damaged"); }

 private:
  const uint8_t* bytes(size_t size) {
    if (static_cast<size_t>(end_ - at_) < size) fail();
    const uint8_t* const at = at_;
    at_ += size;
    return at;
  }
  const uint8_t* at_;
  const uint8_t* end_;
};

// Puts a child's cells into a quarter of a tile's. Returns the points under a covered cell.
uint64_t take_summary(CellSummary summary, uint32_t left, uint32_t top, std::vector<Cell>& cells) {
  SummaryReader reader(summary);
  const uint64_t full = reader.number();
  for (uint32_t i = 0; i < kHalf * kHalf;) {
    const uint64_t word = reader.number();
    if (word == 0) {
      const uint64_t none = reader.number();
      if (none == 0 || none > kHalf * kHalf - i) SummaryReader::fail();
      i += static_cast<uint32_t>(none);
      continue;
    }
    const uint64_t count = word >> 1;
    if (count == 0 || count > full || full > UINT32_MAX) SummaryReader::fail();
    cells[size_t{top + i / kHalf} * kCells + left + i % kHalf] = {reader.row(), static_cast<uint32_t>(count),
                                                                  (word & 1) != 0};
    i++;
  }
  reader.end();
  return full;
}

}  // namespace

uint32_t CellPainter::root_of(uint32_t piece) const {
  while (parents_[piece] != piece) piece = parents_[piece];
  return piece;
}

void CellPainter::find_pieces(const std::vector<uint32_t>& rows, uint32_t side) {
  const uint32_t wide = side + 2;
  pieces_.assign(size_t{wide} * wide, 0);
  parents_.assign(1, 0);
  for (uint32_t y = 0; y < side; y++) {
    for (uint32_t x = 0; x < side; x++) {
      const size_t i = size_t{y} * side + x, at = size_t{y + 1} * wide + x + 1;
      const uint32_t row = rows[i];
      if (row == kNoRow) continue;
      const uint32_t west = x > 0 && rows[i - 1] == row ? root_of(pieces_[at - 1]) : 0;
      const uint32_t north = y > 0 && rows[i - side] == row ? root_of(pieces_[at - wide]) : 0;
      uint32_t piece = west != 0 ? west : north;
      if (piece == 0) {
        piece = static_cast<uint32_t>(parents_.size());
        parents_.push_back(piece);
      } else if (west != 0 && north != 0 && north != west) {
        piece = std::min(west, north);
        parents_[std::max(west, north)] = piece;
      }
      pieces_[at] = piece;
    }
  }
  for (uint32_t& piece : pieces_) piece = root_of(piece);
}

// The ring from the northwestern corner of the square at `start` on, eastwards, its piece to the right. Where two
// squares of a piece touch at a corner only, the ring goes on along the other: no ring meets itself.
void CellPainter::follow(uint32_t start, uint32_t wide, int32_t scale) {
  const auto step = static_cast<int32_t>(wide);
  const int32_t steps[4] = {1, step, -1, -step};
  const int32_t dx[4] = {scale, 0, -scale, 0}, dy[4] = {0, scale, 0, -scale};
  const uint32_t piece = pieces_[start];
  auto right = static_cast<int32_t>(start);
  auto x = static_cast<int32_t>(start % wide) * scale;
  auto y = static_cast<int32_t>(start / wide - 1) * scale;
  uint32_t heading = 0;
  do {
    if (heading == 0) followed_[static_cast<size_t>(right)] = 1;
    const int32_t ahead = steps[heading], left = right + steps[(heading + 3) & 3];
    uint32_t next = heading;
    if (pieces_[static_cast<size_t>(left + ahead)] == piece) {
      next = (heading + 3) & 3;
      right = left + ahead;
    } else if (pieces_[static_cast<size_t>(right + ahead)] == piece) {
      right += ahead;
    } else {
      next = (heading + 1) & 3;
    }
    if (next != heading) points_.push_back({x, y});
    heading = next;
    x += dx[heading];
    y += dy[heading];
  } while (right != static_cast<int32_t>(start) || heading != 0);
}

bool CellPainter::paint(const std::vector<uint32_t>& rows, uint32_t side, CellTile& out) {
  out.clear();
  find_pieces(rows, side);
  const uint32_t wide = side + 2;
  const auto scale = static_cast<int32_t>(kExtent / side);
  followed_.assign(pieces_.size(), 0);
  points_.clear();
  rings_.clear();
  for (uint32_t y = 1; y <= side; y++) {
    for (uint32_t x = 1; x <= side; x++) {
      const uint32_t at = y * wide + x, piece = pieces_[at];
      if (piece == 0 || pieces_[at - wide] == piece || followed_[at] != 0) continue;
      const auto begin = static_cast<uint32_t>(points_.size());
      follow(at, wide, scale);
      rings_.push_back({rows[size_t{y - 1} * side + x - 1], piece, begin, static_cast<uint32_t>(points_.size())});
    }
  }
  // The first ring of a piece is its exterior: it was met in its northernmost row.
  std::stable_sort(rings_.begin(), rings_.end(),
                   [](const Ring& a, const Ring& b) { return a.row != b.row ? a.row < b.row : a.piece < b.piece; });
  size_t different = 0;
  for (size_t i = 0; i < rings_.size(); i++) different += i == 0 || rings_[i].row != rings_[i - 1].row ? 1 : 0;
  if (different > kMostCellRows) return false;
  for (size_t i = 0; i < rings_.size(); i++) {
    const Ring& ring = rings_[i];
    shape_.points.insert(shape_.points.end(), points_.begin() + ring.begin, points_.begin() + ring.end);
    shape_.close_ring();
    const bool last = i + 1 == rings_.size() || rings_[i + 1].row != ring.row;
    if (last || rings_[i + 1].piece != ring.piece) shape_.close_part();
    if (!last) continue;
    append_geometry(shape_, {0, 0}, out.geometry);
    out.features.push_back({ring.row, out.geometry.size});
    shape_.clear();
  }
  return true;
}

void CellGrid::begin(TileAddress tile) {
  tile_ = tile;
  rows_.assign(size_t{kPoints} * kPoints, kNoRow);
  lone_row_ = kNoRow;
  empty_ = true;
}

void CellGrid::add(const WorldField& field) {
  const int shift = kWorldBits - tile_.z;
  const uint64_t left = uint64_t{tile_.x} << shift, top = uint64_t{tile_.y} << shift, side = uint64_t{1} << shift;
  if (lone_row_ == kNoRow && field.label.x >= left && field.label.x - left < side && field.label.y >= top &&
      field.label.y - top < side) {
    lone_row_ = field.row;
    lone_at_ = static_cast<uint32_t>((field.label.y - top) * kPoints / side * kPoints +
                                     (field.label.x - left) * kPoints / side);
  }
  uint32_t ring = 0;
  for (const uint32_t end : field.part_end) {
    add_part(field, ring, end);
    ring = end;
  }
}

// Even-odd over the points' lines. An edge is asked from its upper end, so neighbors cross a line at the same x.
void CellGrid::add_part(const WorldField& field, uint32_t first_ring, uint32_t end_ring) {
  const int shift = kWorldBits - tile_.z;
  const auto left = static_cast<int64_t>(uint64_t{tile_.x} << shift);
  const auto top = static_cast<int64_t>(uint64_t{tile_.y} << shift);
  const int64_t spacing = (int64_t{1} << shift) / kPoints, first = spacing / 2;
  // The first line at or below a y, and the first column at or right of an x; not below 0.
  const auto line_from = [&](int64_t y) {
    return y <= first ? 0 : std::min<int64_t>(kPoints, (y - first + spacing - 1) / spacing);
  };
  crossings_.clear();
  for (uint32_t ring = first_ring; ring < end_ring; ring++) {
    const uint32_t begin = field.ring_begin(ring), end = field.ring_end[ring];
    for (uint32_t i = begin, before = end - 1; i < end; before = i++) {
      int64_t x1 = field.points[before].x - left, y1 = field.points[before].y - top;
      int64_t x2 = field.points[i].x - left, y2 = field.points[i].y - top;
      if (y1 > y2) {
        std::swap(x1, x2);
        std::swap(y1, y2);
      }
      const int64_t from = line_from(y1), to = line_from(y2);
      if (from == to) continue;
      const double slope = static_cast<double>(x2 - x1) / static_cast<double>(y2 - y1);
      for (int64_t line = from; line < to; line++) {
        const auto down = static_cast<double>(first + line * spacing - y1);
        crossings_.push_back({static_cast<uint32_t>(line), static_cast<double>(x1) + down * slope});
      }
    }
  }
  std::sort(crossings_.begin(), crossings_.end(),
            [](const Crossing& a, const Crossing& b) { return a.line != b.line ? a.line < b.line : a.x < b.x; });
  const auto column_from = [&](double x) {
    const double column = (x - static_cast<double>(first)) / static_cast<double>(spacing);
    if (!(column > 0)) return uint32_t{0};
    if (column >= kPoints) return kPoints;
    const auto whole = static_cast<uint32_t>(column);
    return whole < column ? whole + 1 : whole;
  };
  for (size_t i = 0; i + 1 < crossings_.size(); i += 2) {
    const uint32_t from = column_from(crossings_[i].x), to = column_from(crossings_[i + 1].x);
    uint32_t* const line = &rows_[size_t{crossings_[i].line} * kPoints];
    for (uint32_t column = from; column < to; column++) {
      if (line[column] == kNoRow) line[column] = field.row;
      empty_ = false;
    }
  }
}

void CellGrid::finish(CellTile& out, Buffer& summary) {
  out.clear();
  if (empty_ && lone_row_ != kNoRow) rows_[lone_at_] = lone_row_;
  points_.resize(rows_.size());
  for (size_t i = 0; i < rows_.size(); i++) points_[i] = {rows_[i], rows_[i] == kNoRow ? 0u : 1u, false};
  sample_cells(points_, kCells, tile_.z, uint64_t{tile_.x} * kCells, uint64_t{tile_.y} * kCells, 4, cells_);
  if (!painter_.paint(rows_, kPoints, out)) paint_cells(cells_, painter_, rows_, out);
  if (tile_.z == 0) return;
  sample_cells(cells_, kHalf, tile_.z - 1, uint64_t{tile_.x} * kHalf, uint64_t{tile_.y} * kHalf, 16, parents_);
  put_summary(parents_, 16, summary);
}

void CellMerger::merge(TileAddress tile, const CellSummary (&children)[4], CellTile& out, Buffer& summary) {
  out.clear();
  cells_.assign(size_t{kCells} * kCells, Cell{0, 0, false});
  uint64_t full = 0;
  for (uint32_t i = 0; i < 4; i++) {
    if (children[i].size == 0) continue;
    const uint64_t here = take_summary(children[i], i % 2 * kHalf, i / 2 * kHalf, cells_);
    if (full != 0 && here != full) SummaryReader::fail();
    full = here;
  }
  if (full == 0) return;
  paint_cells(cells_, painter_, rows_, out);
  if (tile.z == 0) return;
  sample_cells(cells_, kHalf, tile.z - 1, uint64_t{tile.x} * kHalf, uint64_t{tile.y} * kHalf, 4 * full, parents_);
  put_summary(parents_, 4 * full, summary);
}

}  // namespace fields
