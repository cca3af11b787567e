#include "tiles/tiler/clip.h"

#include <cmath>

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

template <typename Line>
bool clip_at(const Shape& in, Line line, Shape& out) {
  bool any = false;
  for (const GridPoint p : in.points) any |= line.outside(p);
  if (!any) return false;
  out.clear();
  for (size_t part = 0; part < in.part_end.size(); part++) {
    const uint32_t exterior = in.part_begin(part);
    bool drawn = true;
    for (uint32_t ring = exterior; ring < in.part_end[part] && drawn; ring++) {
      const size_t first = out.points.size();
      GridPoint before = in.points[in.ring_end[ring] - 1];
      bool before_out = line.outside(before);
      for (uint32_t i = in.ring_begin(ring); i < in.ring_end[ring]; i++) {
        const GridPoint p = in.points[i];
        const bool is_out = line.outside(p);
        if (is_out != before_out) out.points.push_back(is_out ? line.cut(before, p) : line.cut(p, before));
        if (!is_out) out.points.push_back(p);
        before = p;
        before_out = is_out;
      }
      if (finish_ring(out, first) == 0 && ring == exterior) drawn = false;
    }
    if (drawn) out.close_part();
  }
  return true;
}

}  // namespace

bool clip(const Shape& in, Side side, int32_t limit, Shape& out) {
  switch (side) {
    case Side::kWest: return clip_at(in, Line<false, true>{limit}, out);
    case Side::kEast: return clip_at(in, Line<false, false>{limit}, out);
    case Side::kNorth: return clip_at(in, Line<true, true>{limit}, out);
    default: return clip_at(in, Line<true, false>{limit}, out);
  }
}

}  // namespace fields
