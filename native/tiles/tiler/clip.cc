#include "tiles/tiler/clip.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace fields {
namespace {

template <bool kRows, bool kLow>
struct Line {
  int32_t limit;

  static int32_t across(GridPoint p) { return kRows ? p.y : p.x; }
  static int32_t along(GridPoint p) { return kRows ? p.x : p.y; }
  bool outside(GridPoint p) const { return kLow ? across(p) < limit : across(p) > limit; }

  // From the vertex inside, whichever way the ring runs.
  GridPoint cut(GridPoint in, GridPoint out) const {
    const double share = static_cast<double>(limit - across(in)) / static_cast<double>(across(out) - across(in));
    const double step = share * (static_cast<double>(along(out)) - along(in));
    const auto at = along(in) + static_cast<int32_t>(std::floor(step + 0.5));
    return kRows ? GridPoint{at, limit} : GridPoint{limit, at};
  }
};

}  // namespace

template <typename Line>
void ShapeClip::add_crossing(GridPoint in, GridPoint out, Line line, uint32_t chain, bool goes_out) {
  const int64_t width = std::abs(static_cast<int64_t>(line.across(out)) - line.across(in));
  const int64_t part = std::abs(static_cast<int64_t>(line.limit) - line.across(in));
  const int64_t drift = static_cast<int64_t>(line.along(out)) - line.along(in);
  crossings_.push_back({line.along(in) * width + drift * part, width, drift, chain, goes_out});
}

template <typename Line>
void ShapeClip::add_chains(const Shape& in, size_t ring, Line line) {
  const GridPoint* const p = in.points.data() + in.ring_begin(ring);
  const uint32_t n = in.ring_end[ring] - in.ring_begin(ring);
  uint32_t start = 0;
  while (line.outside(p[start]) || !line.outside(p[start == 0 ? n - 1 : start - 1])) start++;
  for (uint32_t k = 0; k < n;) {
    // Comes in before vertex `start + k`.
    const auto at = [&](uint32_t i) { return p[(start + i) % n]; };
    const auto chain = static_cast<uint32_t>(chains_.size());
    const auto begin = static_cast<uint32_t>(points_.size());
    points_.push_back(line.cut(at(k), at(k + n - 1)));
    add_crossing(at(k), at(k + n - 1), line, chain, false);
    for (; k < n && !line.outside(at(k)); k++) points_.push_back(at(k));
    points_.push_back(line.cut(at(k - 1), at(k)));
    add_crossing(at(k - 1), at(k), line, chain, true);
    chains_.push_back({begin, static_cast<uint32_t>(points_.size()), 0, false});
    while (k < n && line.outside(at(k))) k++;
  }
}

// False where crossings are not in turn: the shape is not valid.
bool ShapeClip::link() {
  if (crossings_.size() > 2) {
    std::sort(crossings_.begin(), crossings_.end(), [](const Crossing& a, const Crossing& b) {
      const __int128 p = static_cast<__int128>(a.numerator) * b.width, q = static_cast<__int128>(b.numerator) * a.width;
      // From one point on the line the ways out part.
      return p != q ? p < q : a.drift * b.width < b.drift * a.width;
    });
  }
  for (size_t i = 0; i < crossings_.size(); i += 2) {
    const Crossing &a = crossings_[i], &b = crossings_[i + 1];
    if (a.out == b.out) return false;
    if (a.out)
      chains_[a.chain].next = b.chain;
    else
      chains_[b.chain].next = a.chain;
  }
  return true;
}

// The part of `out`, from `first_part` on, that each whole hole lies in. A hole may touch the rings around it, in
// vertices and in the middle of an edge: it lies where most of its edges' middles do.
void ShapeClip::find_owners(const Shape& in, const Shape& out, size_t first_part) {
  owners_.assign(whole_.size(), first_part);
  if (out.part_end.size() == first_part + 1) return;
  std::vector<size_t> most(whole_.size(), 0);
  std::vector<GridPoint> doubled;
  for (size_t part = first_part; part < out.part_end.size(); part++) {
    const uint32_t exterior = out.part_begin(part);
    doubled.clear();
    for (uint32_t i = out.ring_begin(exterior); i < out.ring_end[exterior]; i++) {
      doubled.push_back({2 * out.points[i].x, 2 * out.points[i].y});
    }
    for (size_t hole = 0; hole < whole_.size(); hole++) {
      const uint32_t from = in.ring_begin(whole_[hole]), to = in.ring_end[whole_[hole]];
      size_t inside = 0;
      GridPoint a = in.points[to - 1];
      for (uint32_t i = from; i < to; i++) {
        const GridPoint b = in.points[i];
        inside += contains(doubled.data(), doubled.size(), {a.x + b.x, a.y + b.y}) ? 1 : 0;
        a = b;
      }
      if (inside <= most[hole]) continue;
      most[hole] = inside;
      owners_[hole] = part;
    }
  }
}

void ShapeClip::append_rings(const Shape& in, Shape& out) {
  const size_t first_part = out.part_end.size();
  for (uint32_t start = 0; start < chains_.size(); start++) {
    if (chains_[start].used) continue;
    const size_t first = out.points.size();
    for (uint32_t i = start; !chains_[i].used; i = chains_[i].next) {
      chains_[i].used = true;
      out.points.insert(out.points.end(), points_.begin() + chains_[i].begin, points_.begin() + chains_[i].end);
    }
    if (finish_ring(out, first)) out.close_part();
  }
  if (whole_.empty() || out.part_end.size() == first_part) return;
  // Holes that the line leaves whole go to the piece around them: the others' rings have to make room.
  find_owners(in, out, first_part);
  Shape parts;
  for (size_t part = first_part; part < out.part_end.size(); part++) {
    const uint32_t exterior = out.part_begin(part), begin = out.ring_begin(exterior);
    parts.points.insert(parts.points.end(), out.points.begin() + begin, out.points.begin() + out.ring_end[exterior]);
    parts.close_ring();
    for (size_t i = 0; i < whole_.size(); i++) {
      if (owners_[i] != part) continue;
      const uint32_t from = in.ring_begin(whole_[i]), to = in.ring_end[whole_[i]];
      parts.points.insert(parts.points.end(), in.points.begin() + from, in.points.begin() + to);
      parts.close_ring();
    }
    parts.close_part();
  }
  const auto rings = static_cast<uint32_t>(out.part_begin(first_part));
  out.points.resize(out.ring_begin(rings));
  const auto points = static_cast<uint32_t>(out.points.size());
  out.ring_end.resize(rings);
  out.part_end.resize(first_part);
  out.points.insert(out.points.end(), parts.points.begin(), parts.points.end());
  for (const uint32_t end : parts.ring_end) out.ring_end.push_back(points + end);
  for (const uint32_t end : parts.part_end) out.part_end.push_back(rings + end);
}

template <typename Line>
bool ShapeClip::clip_at(const Shape& in, Line line, Shape& out) {
  bool any = false;
  for (const GridPoint p : in.points) any |= line.outside(p);
  if (!any) return false;
  out.clear();
  for (size_t part = 0; part < in.part_end.size(); part++) {
    points_.clear();
    chains_.clear();
    crossings_.clear();
    whole_.clear();
    bool exterior_whole = false;
    for (uint32_t ring = in.part_begin(part); ring < in.part_end[part]; ring++) {
      const uint32_t begin = in.ring_begin(ring), end = in.ring_end[ring];
      uint32_t outside = 0;
      for (uint32_t i = begin; i < end; i++) outside += line.outside(in.points[i]) ? 1 : 0;
      if (outside == 0) {
        if (ring == in.part_begin(part)) exterior_whole = true;
        whole_.push_back(ring);
      } else if (outside < end - begin) {
        add_chains(in, ring, line);
      }
    }
    if (exterior_whole) {
      for (const uint32_t ring : whole_) {
        out.points.insert(out.points.end(), in.points.begin() + in.ring_begin(ring),
                          in.points.begin() + in.ring_end[ring]);
        out.close_ring();
      }
      out.close_part();
      continue;
    }
    if (!link()) {
      // One ring out of all of them: even-odd gives the same area, and repair cuts it apart.
      for (uint32_t i = 0; i < chains_.size(); i++) {
        chains_[i].next = i + 1 == chains_.size() ? 0 : i + 1;
      }
    }
    append_rings(in, out);
  }
  return true;
}

bool ShapeClip::clip(const Shape& in, Side side, int32_t limit, Shape& out) {
  switch (side) {
    case Side::kWest: return clip_at(in, Line<false, true>{limit}, out);
    case Side::kEast: return clip_at(in, Line<false, false>{limit}, out);
    case Side::kNorth: return clip_at(in, Line<true, true>{limit}, out);
    default: return clip_at(in, Line<true, false>{limit}, out);
  }
}

}  // namespace fields
