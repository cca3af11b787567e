// The ellipsoid is mapped onto the sphere of the same surface, latitude by latitude so that areas stay (Snyder, Map
// Projections: A Working Manual, 3-11 to 3-18). There an edge is taken for part of a great circle, and the area between
// it and the equator is a formula. A shortest line on the ellipsoid bends less than 1e-9 per metre against that circle.
#include "geometry/area.h"

#include <cmath>

namespace fields {
namespace {

constexpr double kDegree = 0.017453292519943295;

class AuthalicSphere {
 public:
  explicit AuthalicSphere(const Ellipsoid& ellipsoid) {
    const double f = ellipsoid.inverse_flattening == 0 ? 0 : 1 / ellipsoid.inverse_flattening;
    e2_ = f * (2 - f);
    e_ = std::sqrt(e2_);
    pole_ = q(1);
    radius2_ = ellipsoid.semi_major * ellipsoid.semi_major * pole_ / 2;
  }

  double radius2() const { return radius2_; }

  // Tangent of half the latitude on the sphere.
  double half_tangent(double latitude) const {
    const double sine = q(std::sin(latitude * kDegree)) / pole_;
    return sine / (1 + std::sqrt(std::fmax(0, 1 - sine * sine)));
  }

 private:
  double q(double sine) const {
    if (e2_ == 0) return 2 * sine;
    return (1 - e2_) * (sine / (1 - e2_ * sine * sine) + std::atanh(e_ * sine) / e_);
  }

  double e2_, e_, pole_, radius2_;
};

}  // namespace

double area_on_ellipsoid(const Polygons& polygons, const Ellipsoid& ellipsoid) {
  const AuthalicSphere sphere(ellipsoid);
  double total = 0;
  uint32_t ring = 0, vertex = 0;
  for (const uint32_t part_end : polygons.part_end) {
    double part = 0;
    for (const uint32_t first = ring; ring < part_end; ring++) {
      const uint32_t end = polygons.ring_end[ring];
      double angle = 0;  // the ring's, on the sphere of radius 1
      double before = sphere.half_tangent(polygons.y[vertex]);
      for (uint32_t i = vertex + 1; i < end; i++) {
        const double here = sphere.half_tangent(polygons.y[i]);
        // The shorter way round the earth.
        const double step = std::remainder(polygons.x[i] - polygons.x[i - 1], 360) * kDegree;
        angle += 2 * std::atan2(std::tan(step / 2) * (before + here), 1 + before * here);
        before = here;
      }
      part += ring == first ? std::fabs(angle) : -std::fabs(angle);
      vertex = end;
    }
    total += part;
  }
  return total * sphere.radius2();
}

}  // namespace fields
