// Snyder, Map Projections: A Working Manual (USGS PP 1395), pages 98-102, equations 3-12, 14-1 to 14-4.
//
// Only + - * / and sqrt are used, in a fixed order, and contraction is off: the oracle in test/oracle gives the same
// bits. libm's sin and log differ in the last bit between C libraries and JavaScript engines, and a last bit
// decides pixels whose center lies on an edge.
#include "geometry/albers.h"

#include <cmath>

#include "geometry/sine.h"

namespace fields {
namespace {

// (1/(2e)) ln((1+es)/(1-es)) / s as a series in t = e²s²: below 1e-19 after nine terms for Earth's e² = 0.0067.
inline double log_term(double t) {
  return 1.0 +
         t * (1.0 / 3 +
              t * (1.0 / 5 +
                   t * (1.0 / 7 + t * (1.0 / 9 + t * (1.0 / 11 + t * (1.0 / 13 + t * (1.0 / 15 + t * (1.0 / 17))))))));
}

constexpr double kPi = 3.14159265358979323846, kTwoPi = 6.28318530717958647693;

// The same bits with any number of lanes: a lane rounds like a scalar, and fused multiply-add is not enabled.
#if defined(__x86_64__) && defined(__gnu_linux__)
#define EVERY_LANE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define EVERY_LANE
#endif

// Whether every vertex can be projected; the others become NaN.
EVERY_LANE bool project_all(const Albers& albers, double* __restrict xs, double* __restrict ys, size_t count) {
  const Albers p = albers;
  double least = 0;
  for (size_t i = 0; i < count; i++) {
    double dlon = xs[i] * kRadians - p.lon0;
    // The shorter way round the globe.
    dlon -= dlon > kPi ? kTwoPi : 0.0;
    dlon -= dlon < -kPi ? -kTwoPi : 0.0;
    double s, unused;
    sin_cos(ys[i] * kRadians, s, unused);
    const double t = p.e2 * s * s;
    const double q = (1.0 - p.e2) * s * (1.0 / (1.0 - t) + log_term(t));
    const double square = p.c - p.n * q;
    least = square < least ? square : least;
    const double rho = p.a * std::sqrt(square) / p.n;
    double sine, cosine;
    sin_cos(p.n * dlon, sine, cosine);
    xs[i] = p.x0 + rho * sine;
    ys[i] = p.y0 + (p.rho0 - rho * cosine);
  }
  return !(least < 0);
}

EVERY_LANE bool in_domain(const double* __restrict xs, const double* __restrict ys, size_t count) {
  int32_t outside = 0;
  for (size_t i = 0; i < count; i++) {
    const bool inside = ys[i] >= -90.0 && ys[i] <= 90.0 && xs[i] >= -540.0 && xs[i] <= 540.0;
    outside |= inside ? 0 : 1;
  }
  return outside == 0;
}

}  // namespace

bool project(const Albers& p, Polygons& polygons) {
  const size_t count = polygons.x.size();
  double* xs = polygons.x.data();
  double* ys = polygons.y.data();
  return in_domain(xs, ys, count) && project_all(p, xs, ys, count);
}

}  // namespace fields
