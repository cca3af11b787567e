// The rules, in GDAL's own arithmetic (alg/llrasterize.cpp GDALdllImageFilledPolygon, alg/gdalrasterize.cpp,
// ogr/ogrlinearring.cpp isClockwise; rasterio/features.py geometry_window). A sum written in another order
// moves an edge by 1e-10 pixel, which decides a pixel whose center is on it. Compile with -ffp-contract=off.
#include "zonal/burn.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace fields {
namespace {

constexpr double kNear = 1.0e-5;

inline bool near(double a, double b) { return std::fabs(a - b) < kNear; }

// OGRLinearRing::isClockwise: turn at the lowest, then rightmost vertex; the shoelace sign where that vertex is
// doubled or has a neighbor nearer than 1e-5.
bool is_clockwise(const double* x, const double* y, int n) {
  bool fallback = false;
  int v = 0;
  for (int i = 1; i < n - 1; i++) {
    if (y[i] < y[v] || (y[i] == y[v] && x[i] > x[v])) {
      v = i;
      fallback = false;
    } else if (y[i] == y[v] && x[i] == x[v]) {
      fallback = true;
    }
  }
  int next = v - 1;
  if (next < 0) next = n - 2;
  if (near(x[next], x[v]) && near(y[next], y[v])) fallback = true;
  const double dx0 = x[next] - x[v];
  const double dy0 = y[next] - y[v];
  next = v + 1;
  if (next >= n - 1) next = 0;
  if (near(x[next], x[v]) && near(y[next], y[v])) fallback = true;
  const double dx1 = x[next] - x[v];
  const double dy1 = y[next] - y[v];
  const double cross = dx1 * dy0 - dx0 * dy1;
  if (!fallback && cross != 0) return cross < 0;
  double sum = x[0] * (y[1] - y[n - 1]);
  for (int i = 1; i < n - 1; i++) sum += x[i] * (y[i + 1] - y[i - 1]);
  sum += x[n - 1] * (y[0] - y[n - 2]);
  return sum < 0;
}

// floor(v + 0.5) clamped to [0, limit], because columns beyond the window are clipped anyway. For these values a cast
// is the floor, without a call.
inline int32_t round_column(double v, int32_t limit) {
  const double t = v + 0.5;
  if (!(t >= 1)) return 0;
  return t < limit ? static_cast<int32_t>(t) : limit;
}

// ceil(y - 0.5) clamped to [least, most + 1]: the first row whose center is not above y. least is not negative.
inline int32_t first_row_at(double y, int32_t least, int32_t most) {
  const double t = y - 0.5;
  if (t <= least) return least;
  if (t > most) return most + 1;
  const auto row = static_cast<int32_t>(t);
  return row < t ? row + 1 : row;
}

}  // namespace

Burner::Burner(const Grid& grid, const Albers* albers, PixelRule rule) : grid_(grid), albers_(albers), rule_(rule) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  extent[0] = extent[1] = kInf;
  extent[2] = extent[3] = -kInf;
}

Status Burner::burn(uint32_t field, const uint8_t* wkb, size_t size) {
  const Status status = read_wkb(wkb, size, polygons_);
  if (status != kOk) return status;
  if (albers_ != nullptr && !project(*albers_, polygons_)) return kNotFinite;

  // The crop window, as rasterio computes it: the affine inverse by the determinant, floor and ceil, then the
  // intersection with the raster.
  const double idet = 1.0 / (grid_.a * grid_.e);
  const double ia = grid_.e * idet;
  const double ie = grid_.a * idet;
  const double ic = -grid_.c * ia;
  const double jf = -grid_.f * ie;
  double min_col = std::numeric_limits<double>::infinity(), max_col = -min_col;
  double min_row = min_col, max_row = -min_col;
  const size_t n = polygons_.x.size();
  for (size_t i = 0; i < n; i++) {
    const double col = polygons_.x[i] * ia + ic;
    const double row = polygons_.y[i] * ie + jf;
    min_col = std::min(min_col, col);
    max_col = std::max(max_col, col);
    min_row = std::min(min_row, row);
    max_row = std::max(max_row, row);
  }
  extent[0] = std::min(extent[0], min_col);
  extent[1] = std::min(extent[1], min_row);
  extent[2] = std::max(extent[2], max_col);
  extent[3] = std::max(extent[3], max_row);
  const double col_begin = std::max(std::floor(min_col), 0.0);
  const double row_begin = std::max(std::floor(min_row), 0.0);
  const double col_end = std::min(std::ceil(max_col), static_cast<double>(grid_.width));
  const double row_end = std::min(std::ceil(max_row), static_cast<double>(grid_.height));
  if (!(col_begin < col_end && row_begin < row_end)) return kOutside;
  col0_ = static_cast<uint32_t>(col_begin);
  row0_ = static_cast<uint32_t>(row_begin);
  width_ = static_cast<uint32_t>(col_end) - col0_;
  height_ = static_cast<uint32_t>(row_end) - row0_;

  // Vertices relative to the window's corner, by the reciprocal of the pixel size (GDALInvGeoTransform).
  const double gx = grid_.c + ((col_begin * grid_.a + grid_.c) - grid_.c);
  const double gy = grid_.f + ((row_begin * grid_.e + grid_.f) - grid_.f);
  const double rx = 1.0 / grid_.a, ry = 1.0 / grid_.e;
  const double ox = -gx / grid_.a, oy = -gy / grid_.e;
  px_.resize(n);
  py_.resize(n);
  for (size_t i = 0; i < n; i++) {
    px_[i] = ox + polygons_.x[i] * rx;
    py_[i] = oy + polygons_.y[i] * ry;
  }

  if (rule_ == PixelRule::kCoverage) {
    cover();
    if (covered_.empty()) return kNoTouch;
    place(field, covered_);
    return kOk;
  }
  spans_.clear();
  ordered_ = polygons_.part_end.size() == 1;
  uint32_t ring = 0;
  for (const uint32_t end : polygons_.part_end) {
    burn_part(ring, end);
    ring = end;
  }
  if (rule_ == PixelRule::kCenter) {
    if (spans_.empty()) return kNoCenter;
    emit(field);
    return kOk;
  }
  const bool small = spans_.empty();
  if (small || rule_ == PixelRule::kTouched) touch_edges();
  if (spans_.empty()) return kNoTouch;
  emit(field);
  return small && rule_ == PixelRule::kSmallTouched ? kSmall : kOk;
}

// Pixels that an edge passes through, except by less than kReach or along a side: a field on the pixel lattice touches
// only its own pixels, even if it was reprojected.
void Burner::touch_edges() {
  constexpr double kReach = 1e-6;
  ordered_ = false;
  uint32_t begin = 0;
  for (const uint32_t stop : polygons_.ring_end) {
    for (uint32_t i = begin + 1; i < stop; i++) {
      const uint32_t upper = py_[i] < py_[i - 1] ? i : i - 1, lower = upper == i ? i - 1 : i;
      const double x1 = px_[upper], y1 = py_[upper], x2 = px_[lower], y2 = py_[lower];
      const double least = x1 < x2 ? x1 : x2, most = x1 < x2 ? x2 : x1;
      const double slope = y1 < y2 ? (x2 - x1) / (y2 - y1) : 0;
      const double row_begin = std::floor(y1 + kReach), row_end = std::ceil(y2 - kReach);
      const auto row_to = static_cast<uint32_t>(row_end > 0 ? (row_end < height_ ? row_end : height_) : 0);
      for (auto r = static_cast<uint32_t>(row_begin > 0 ? (row_begin < row_to ? row_begin : row_to) : 0); r < row_to;
           r++) {
        // Where the edge enters and leaves the row, limited to its ends.
        const double xa = y1 < r ? x1 + (r - y1) * slope : x1;
        const double xb = y2 > r + 1.0 ? x1 + (r + 1.0 - y1) * slope : x2;
        const double left = xa < xb ? xa : xb, right = xa < xb ? xb : xa;
        const double from = std::floor((left > least ? left : least) + kReach);
        const double to = std::ceil((right < most ? right : most) - kReach);
        const auto a = static_cast<uint32_t>(from > 0 ? (from < width_ ? from : width_) : 0);
        const auto b = static_cast<uint32_t>(to > 0 ? (to < width_ ? to : width_) : 0);
        if (a < b) spans_.push_back({row0_ + r, col0_ + a, col0_ + b});
      }
    }
    begin = stop;
  }
}

uint64_t Burner::count_crossings() {
  uint64_t total = 0;
  for (uint32_t& at : row_at_) {
    const uint32_t n = at;
    at = static_cast<uint32_t>(total);
    total += n;
  }
  if (total > UINT32_MAX) throw std::length_error("A polygon crosses more rows than can be burned");
  crossings_.resize(total);
  return total;
}

void Burner::burn_part(uint32_t first_ring, uint32_t end_ring) {
  const uint32_t first = first_ring == 0 ? 0 : polygons_.ring_end[first_ring - 1];
  const uint32_t end = polygons_.ring_end[end_ring - 1];
  double min_y = py_[first], max_y = py_[first];
  for (uint32_t i = first + 1; i < end; i++) {
    min_y = std::min(min_y, py_[i]);
    max_y = std::max(max_y, py_[i]);
  }
  const double last = static_cast<double>(height_) - 1;
  if (!(max_y > -1.0 && min_y < last + 1.0)) return;
  // Truncation, not floor: a polygon that ends above the window still tests row 0.
  const int32_t row_min = min_y < 0 ? 0 : static_cast<int32_t>(std::min(min_y, last + 1));
  const int32_t row_max = static_cast<int32_t>(std::min(max_y, last));
  if (row_min > row_max) return;
  const int32_t rows = row_max - row_min + 1;
  const auto limit = static_cast<int32_t>(width_);

  // Edges by the rows whose center they cross: y1 <= row + 0.5 < y2.
  edges_.clear();
  row_at_.assign(static_cast<size_t>(rows) + 1, 0);
  uint32_t begin = first;
  for (uint32_t ring = first_ring; ring < end_ring; ring++) {
    const uint32_t stop = polygons_.ring_end[ring];
    // GDAL turns every ring clockwise before it walks; only the direction of horizontal edges matters.
    bool turned = false, turn_known = false;
    for (uint32_t i = begin; i < stop; i++) {
      const uint32_t j = i == begin ? stop - 1 : i - 1;
      double x1 = px_[j], y1 = py_[j], x2 = px_[i], y2 = py_[i];
      if (y1 == y2) {
        const double row = y1 - 0.5;
        if (x1 == x2 || row != std::floor(row) || row < row_min || row > row_max) continue;
        if (!turn_known) {
          turned = !is_clockwise(&polygons_.x[begin], &polygons_.y[begin], static_cast<int>(stop - begin));
          turn_known = true;
        }
        if ((x1 > x2) == turned) continue;
        const int32_t a = round_column(std::min(x1, x2), limit);
        const int32_t b = round_column(std::max(x1, x2), limit);
        if (a < b) {
          spans_.push_back(
              {row0_ + static_cast<uint32_t>(row), col0_ + static_cast<uint32_t>(a), col0_ + static_cast<uint32_t>(b)});
          ordered_ = false;
        }
        continue;
      }
      if (y1 > y2) {
        std::swap(x1, x2);
        std::swap(y1, y2);
      }
      const int32_t row_from = first_row_at(y1, row_min, row_max);
      const int32_t row_to = first_row_at(y2, row_min, row_max);
      if (row_from >= row_to) continue;
      edges_.push_back({x1, y1, x2, y2, row_from - row_min, row_to - row_min});
      for (int32_t r = row_from; r < row_to; r++) row_at_[static_cast<size_t>(r - row_min)]++;
    }
    begin = stop;
  }

  const uint64_t total = count_crossings();
  for (const Edge& edge : edges_) {
    const double dy = edge.y2 - edge.y1, dx = edge.x2 - edge.x1;
    for (int32_t r = edge.row_begin; r < edge.row_end; r++) {
      const double cy = static_cast<double>(row_min + r) + 0.5;
      const double x = (cy - edge.y1) * dx / dy + edge.x1;
      crossings_[row_at_[static_cast<size_t>(r)]++] = round_column(x, limit);
    }
  }

  // After filling, row_at_[r] is the end of row r. Allocate all pairs, so each is written in place: copying a value
  // that was just written stalls.
  size_t count = spans_.size();
  spans_.resize(count + total / 2);
  const auto add = [&](uint32_t row, int32_t a, int32_t b) {
    Span& span = spans_[count++];
    span.row = row;
    span.begin = col0_ + static_cast<uint32_t>(a);
    span.end = col0_ + static_cast<uint32_t>(b);
  };
  uint32_t at = 0;
  for (int32_t r = 0; r < rows; r++) {
    const uint32_t stop = row_at_[static_cast<size_t>(r)];
    const uint32_t row = row0_ + static_cast<uint32_t>(row_min + r);
    if (stop - at == 2) {
      // Most rows. The order of the two is unpredictable, so avoid a branch.
      const int32_t a = std::min(crossings_[at], crossings_[at + 1]), b = std::max(crossings_[at], crossings_[at + 1]);
      if (a < b) add(row, a, b);
      at = stop;
      continue;
    }
    std::sort(crossings_.data() + at, crossings_.data() + stop);
    const size_t first_of_row = count;
    for (; at + 1 < stop; at += 2) {
      const int32_t a = crossings_[at], b = crossings_[at + 1];
      if (a >= b) continue;
      if (count > first_of_row && spans_[count - 1].end == col0_ + static_cast<uint32_t>(a)) {
        spans_[count - 1].end = col0_ + static_cast<uint32_t>(b);
      } else {
        add(row, a, b);
      }
    }
    at = stop;
  }
  spans_.resize(count);
}

// Spans as disjoint runs in row order, cut at chunk edges.
void Burner::emit(uint32_t field) {
  if (!ordered_) {
    std::sort(spans_.begin(), spans_.end(),
              [](const Span& a, const Span& b) { return a.row != b.row ? a.row < b.row : a.begin < b.begin; });
    size_t kept = 0;
    for (size_t i = 1; i < spans_.size(); i++) {
      Span& last = spans_[kept];
      if (spans_[i].row == last.row && spans_[i].begin <= last.end) {
        last.end = std::max(last.end, spans_[i].end);
      } else {
        spans_[++kept] = spans_[i];
      }
    }
    spans_.resize(kept + 1);
  }
  place(field, spans_);
}

void Burner::write(const Span& span, uint32_t begin, uint32_t end) {
  runs.push_back((span.row % kChunkRows) << 22 | (begin % kChunkCols) << 11 | (end - begin - 1));
}

void Burner::write(const CoveredSpan& span, uint32_t begin, uint32_t end) {
  write(Span{span.row, begin, end}, begin, end);
  if (span.share == kWhole) return;
  runs.back() |= kWeighted;
  for (uint32_t col = begin; col < end; col++) {
    uint32_t bits;
    std::memcpy(&bits, &shares_[span.share + col - span.begin], 4);
    runs.push_back(bits);
  }
}

// Spans in row order, disjoint, as entries by chunk.
template <typename Piece>
void Burner::place(uint32_t field, const std::vector<Piece>& pieces) {
  const size_t first_entry = entries.size();
  const uint32_t across = grid_.chunk_cols();
  const auto append = [&](uint32_t chunk, const Piece& piece, uint32_t begin, uint32_t end) {
    const uint32_t words = words_of(piece, begin, end);
    if (entries.size() == first_entry || entries.back().chunk != chunk || entries.back().runs + words > 65535) {
      entries.push_back({chunk, field, static_cast<uint32_t>(runs.size()), 0, 0});
    }
    entries.back().runs = static_cast<uint16_t>(entries.back().runs + words);
    write(piece, begin, end);
  };

  // Nearly every field is in one chunk column, so its spans are already in chunk order.
  uint32_t min_col = pieces[0].begin, max_col = pieces[0].end - 1;
  for (const Piece& piece : pieces) {
    min_col = std::min(min_col, piece.begin);
    max_col = std::max(max_col, piece.end - 1);
  }
  const uint32_t left = min_col / kChunkCols, right = max_col / kChunkCols;
  if (left == right) {
    for (const Piece& piece : pieces) {
      append(piece.row / kChunkRows * across + left, piece, piece.begin, piece.end);
    }
  } else {
    for (size_t from = 0; from < pieces.size();) {
      const uint32_t chunk_row = pieces[from].row / kChunkRows;
      size_t to = from;
      while (to < pieces.size() && pieces[to].row / kChunkRows == chunk_row) to++;
      for (uint32_t chunk_col = left; chunk_col <= right; chunk_col++) {
        const uint32_t begin = chunk_col * kChunkCols, end = begin + kChunkCols;
        for (size_t i = from; i < to; i++) {
          const uint32_t a = std::max(pieces[i].begin, begin), b = std::min(pieces[i].end, end);
          if (a < b) append(chunk_row * across + chunk_col, pieces[i], a, b);
        }
      }
      from = to;
    }
  }
  const auto parts = static_cast<uint16_t>(std::min<size_t>(entries.size() - first_entry, 65535));
  for (size_t i = first_entry; i < entries.size(); i++) entries[i].parts = parts;
}

// The covered share of each pixel, row by row: each edge adds the height that it spans in the row to all pixels
// on its right, and to the right part of the pixels that it crosses. Shells add, holes subtract, parts add up, and a
// share is at most 1, as in exactextract.
void Burner::cover() {
  cover_edges_.clear();
  covered_.clear();
  shares_.clear();
  row_at_.assign(size_t{height_} + 1, 0);
  uint32_t begin = 0, ring = 0;
  for (const uint32_t part_end : polygons_.part_end) {
    for (bool shell = true; ring < part_end; ring++, shell = false) {
      const uint32_t stop = polygons_.ring_end[ring];
      double area = 0;
      for (uint32_t i = begin + 1; i < stop; i++) {
        area += (px_[i - 1] - px_[begin]) * (py_[i] - py_[begin]) - (px_[i] - px_[begin]) * (py_[i - 1] - py_[begin]);
      }
      const double sign = (area < 0) == shell ? 1 : -1;
      for (uint32_t i = begin + 1; i < stop; i++) {
        const bool down = py_[i - 1] < py_[i];
        const uint32_t upper = down ? i - 1 : i, lower = down ? i : i - 1;
        const double row_begin = std::floor(py_[upper]), row_end = std::ceil(py_[lower]);
        const auto to = static_cast<uint32_t>(row_end > 0 ? (row_end < height_ ? row_end : height_) : 0);
        const auto from = static_cast<uint32_t>(row_begin > 0 ? (row_begin < to ? row_begin : to) : 0);
        if (from >= to || py_[upper] == py_[lower]) continue;
        cover_edges_.push_back({px_[upper], py_[upper], px_[lower], py_[lower], down ? sign : -sign, from, to});
        for (uint32_t r = from; r < to; r++) row_at_[r]++;
      }
      begin = stop;
    }
  }
  count_crossings();
  for (size_t i = 0; i < cover_edges_.size(); i++) {
    for (uint32_t r = cover_edges_[i].row_begin; r < cover_edges_[i].row_end; r++) {
      crossings_[row_at_[r]++] = static_cast<int32_t>(i);
    }
  }

  gain_.assign(size_t{width_} + 2, 0);
  uint32_t at = 0;
  for (uint32_t r = 0; r < height_; r++) {
    gain_begin_ = width_;
    gain_end_ = 0;
    for (; at < row_at_[r]; at++) {
      const CoverEdge& edge = cover_edges_[static_cast<size_t>(crossings_[at])];
      const double least = edge.x1 < edge.x2 ? edge.x1 : edge.x2, most = edge.x1 < edge.x2 ? edge.x2 : edge.x1;
      const double slope = (edge.x2 - edge.x1) / (edge.y2 - edge.y1);
      const double top = edge.y1 < r ? r : edge.y1, bottom = edge.y2 > r + 1.0 ? r + 1.0 : edge.y2;
      const double xa = edge.y1 < r ? edge.x1 + (r - edge.y1) * slope : edge.x1;
      const double xb = edge.y2 > r + 1.0 ? edge.x1 + (r + 1.0 - edge.y1) * slope : edge.x2;
      const double left = xa < xb ? xa : xb, right = xa < xb ? xb : xa;
      spread(left > least ? left : least, right < most ? right : most, (bottom - top) * edge.sign);
    }
    keep_row(r);
  }
}

// Add an edge that spans `height` of a row between two columns.
void Burner::spread(double left, double right, double height) {
  const double limit = width_;
  if (left >= limit) {
    gain_end_ = width_;
    return;
  }
  if (!(right > 0)) {
    gain_[0] += height;
    gain_begin_ = 0;
    gain_end_ = std::max(gain_end_, 1u);
    return;
  }
  const double length = right - left;
  if (left < 0) gain_[0] += height * (-left / length);
  const double begin = left > 0 ? left : 0, end = right < limit ? right : limit;
  auto col = static_cast<uint32_t>(begin);
  gain_begin_ = std::min(gain_begin_, col);
  do {
    const double a = begin > col ? begin : col, b = end < col + 1.0 ? end : col + 1.0;
    const double part = length > 0 ? height * ((b - a) / length) : height;
    const double beside = (a + b) / 2 - col;
    gain_[col] += part * (1 - beside);
    gain_[col + 1] += part * beside;
    col++;
  } while (col < end);
  gain_end_ = std::max(gain_end_, right > limit ? width_ : std::min(col + 1, width_));
}

// A row's shares as spans, whole pixels separate from others.
void Burner::keep_row(uint32_t row) {
  double share = 0;
  for (uint32_t col = gain_begin_; col < gain_end_; col++) {
    share += gain_[col];
    const double units = std::floor(std::min(std::max(share, 0.0), 1.0) * kShareUnits + 0.5);
    if (!(units > 0)) continue;
    const bool whole = units == kShareUnits;
    const uint32_t r = row0_ + row, c = col0_ + col;
    const bool joins = !covered_.empty() && covered_.back().row == r && covered_.back().end == c &&
                       (covered_.back().share == kWhole) == whole;
    if (joins) {
      covered_.back().end++;
    } else {
      covered_.push_back({r, c, c + 1, whole ? kWhole : static_cast<uint32_t>(shares_.size())});
    }
    if (!whole) shares_.push_back(static_cast<float>(units / kShareUnits));
  }
  if (gain_begin_ < gain_end_) std::fill(gain_.begin() + gain_begin_, gain_.begin() + gain_end_ + 1, 0.0);
}

void Burner::sort_entries() {
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.chunk < b.chunk; });
}

}  // namespace fields
