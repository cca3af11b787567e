// The ellipsoid is mapped onto the sphere of the same surface, latitude by latitude so that areas stay (Snyder, Map
// Projections: A Working Manual, 3-11 to 3-18). There an edge is taken for part of a great circle, and the area between
// it and the equator is a formula. A shortest line on the ellipsoid bends slightly against that circle, less than 1e-9
// per meter; long edges get the area between the two, to the first order of flattening.
#include "geometry/area.h"

#include <cmath>

namespace fields {
namespace {

constexpr double kDegree = 0.017453292519943295;
// Of an edge, on the sphere of radius 1: below, about 100 m, the difference is less than 1e-8 of a field's area.
constexpr double kLong = 1.5e-5;

class AuthalicSphere {
 public:
  explicit AuthalicSphere(const Ellipsoid& ellipsoid) {
    const double f = ellipsoid.inverse_flattening == 0 ? 0 : 1 / ellipsoid.inverse_flattening;
    e2_ = f * (2 - f);
    e_ = std::sqrt(e2_);
    pole_ = q(1);
    semi_major_ = ellipsoid.semi_major;
    radius2_ = ellipsoid.semi_major * ellipsoid.semi_major * pole_ / 2;
  }

  double radius2() const { return radius2_; }

  // Area between the great circle from one vertex to the next and the shortest line on the ellipsoid, on the sphere of
  // radius 1, positive where the line lies to the left. `y` are latitudes in degrees, `t` their half_tangents.
  double bulge(double y1, double t1, double y2, double t2, double step) const {
    const double beta1 = 2 * std::atan(t1), beta2 = 2 * std::atan(t2);
    const double beta = (beta1 + beta2) / 2, phi = (y1 + y2) / 2 * kDegree;
    const double east = step * std::cos(beta), north = beta2 - beta1;
    const double length = std::hypot(east, north);
    if (!(length > 0) || !(std::cos(beta) > 1e-6)) return 0;
    const double sine = east / length, cosine2 = 1 - sine * sine;
    // Stretch of parallels by the mapping; meridians shrink by as much. From Clairaut's relation the line's curvature.
    const double parallel = semi_major_ * std::cos(phi) / std::sqrt(1 - e2_ * std::sin(phi) * std::sin(phi));
    const double stretch = parallel / (std::sqrt(radius2_) * std::cos(beta));
    const double slope = stretch * std::tan(beta) - std::sin(phi) / (stretch * std::cos(beta));
    const double curvature = -sine * (slope * (1 + 2 * cosine2) - 4 * (stretch - 1) * sine * sine * std::tan(beta));
    return curvature * length * length * length / 12;
  }

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

  double e2_, e_, pole_, semi_major_, radius2_;
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
        if (std::fabs(step) + std::fabs(here - before) > kLong)
          angle += sphere.bulge(polygons.y[i - 1], before, polygons.y[i], here, step);
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
