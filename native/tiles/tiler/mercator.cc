#include "tiles/tiler/mercator.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "geometry/antimeridian.h"
#include "geometry/geojson.h"
#include "geometry/sine.h"

namespace fields {
namespace {

constexpr double kWorld = 4294967296.0;
constexpr double kOverTwoPi = 0.15915494309189535;
constexpr double kMaxLatitude = 85.06;

// Natural logarithm of a normal positive number (FreeBSD msun e_log.c): + - * / in a fixed order, so that archives
// are the same on every machine.
double log_of(double x) {
  constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  uint64_t bits;
  std::memcpy(&bits, &x, 8);
  // Between sqrt(1/2) and sqrt(2).
  const uint64_t from = bits - 0x3fe6a09e00000000u;
  const auto k = static_cast<double>(static_cast<int64_t>(from) >> 52);
  bits = (from & 0xfffffffffffffu) + 0x3fe6a09e00000000u;
  std::memcpy(&x, &bits, 8);
  const double f = x - 1.0, s = f / (2.0 + f), z = s * s, w = z * z;
  const double t1 = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
  const double t2 =
      z * (6.666666666666735130e-01 +
           w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
  const double half = 0.5 * f * f;
  return k * kLn2High - ((half - (s * (half + (t1 + t2)) + k * kLn2Low)) - f);
}

uint32_t unit_of(double share) {
  const double unit = std::floor(share * kWorld + 0.5);
  return unit < 0 ? 0 : unit >= kWorld ? UINT32_MAX : static_cast<uint32_t>(unit);
}

// Twice the area by the surveyor's formula.
__int128 area_of(const WorldPoint* points, size_t n) {
  __int128 area = 0;
  const WorldPoint o = points[0];
  const auto dx = [&](size_t i) { return static_cast<int64_t>(points[i].x) - static_cast<int64_t>(o.x); };
  const auto dy = [&](size_t i) { return static_cast<int64_t>(points[i].y) - static_cast<int64_t>(o.y); };
  for (size_t i = 1; i + 1 < n; i++) {
    area += static_cast<__int128>(dx(i)) * dy(i + 1) - static_cast<__int128>(dx(i + 1)) * dy(i);
  }
  return area;
}

}  // namespace

WorldPoint to_world(double lng, double lat) {
  double sine, cosine;
  sin_cos(std::clamp(lat, -kMaxLatitude, kMaxLatitude) * kRadians, sine, cosine);
  const double north = 0.5 * log_of((1.0 + sine) / (1.0 - sine));
  return {unit_of(lng / 360.0 + 0.5), unit_of(0.5 - north * kOverTwoPi)};
}

bool WorldProjector::add_ring(const Polygons& p, uint32_t begin, uint32_t end, bool exterior, WorldField& out) {
  const size_t first = out.points.size();
  // The last vertex is the first one again.
  for (uint32_t i = begin; i + 1 < end; i++) {
    const WorldPoint point = to_world(p.x[i], p.y[i]);
    if (out.points.size() == first || point != out.points.back()) out.points.push_back(point);
  }
  while (out.points.size() > first + 1 && out.points.back() == out.points[first]) out.points.pop_back();
  const size_t n = out.points.size() - first;
  if (n < 3) {
    out.points.resize(first);
    return false;
  }
  // A ring that crosses itself may have none by the formula, and yet cover some.
  const __int128 area = area_of(out.points.data() + first, n);
  if (area != 0 && (area > 0) != exterior)
    std::reverse(out.points.begin() + static_cast<ptrdiff_t>(first), out.points.end());
  out.ring_end.push_back(static_cast<uint32_t>(out.points.size()));
  return true;
}

void WorldProjector::project(const Polygons& polygons, WorldField& out) {
  out.clear();
  cut_.clear();
  if (leaves_map(polygons)) cut_at_antimeridian(polygons, cut_);
  const Polygons& p = cut_.part_end.empty() ? polygons : cut_;
  double lng, lat;
  point_inside(p, lng, lat);
  out.label = to_world(lng, lat);
  uint32_t ring = 0;
  for (const uint32_t last : p.part_end) {
    bool drawn = false;
    for (; ring < last; ring++) {
      const uint32_t begin = ring == 0 ? 0 : p.ring_end[ring - 1];
      // Rings without area are left out; the first that has some is the exterior, for the even-odd rule fills it.
      const bool added = add_ring(p, begin, p.ring_end[ring], !drawn, out);
      drawn = drawn || added;
    }
    if (drawn) out.part_end.push_back(static_cast<uint32_t>(out.ring_end.size()));
  }
}

WorldBox box_of(const WorldField& field) {
  WorldBox box{field.label.x, field.label.y, field.label.x, field.label.y};
  for (const WorldPoint& p : field.points) {
    box.min_x = std::min(box.min_x, p.x);
    box.min_y = std::min(box.min_y, p.y);
    box.max_x = std::max(box.max_x, p.x);
    box.max_y = std::max(box.max_y, p.y);
  }
  return box;
}

}  // namespace fields
