// Snyder, Map Projections: A Working Manual (USGS PP 1395), pages 98-102, equations 3-12, 14-1 to 14-4.
//
// Only + - * / and sqrt are used, in a fixed order, and contraction is off: the oracle in test/oracle gives the same
// bits. libm's sin and log differ in the last bit between C libraries and JavaScript engines, and a last bit
// decides pixels whose centre lies on an edge.
#include "geometry/albers.h"

#include <cmath>

namespace fields {
namespace {

constexpr double kRadians = 0.017453292519943295;
constexpr double kTwoOverPi = 6.36619772367581382433e-01;
// pi/2 in two pieces: the first has 33 bits, so that small multiples of it are exact.
constexpr double kHalfPiHigh = 1.57079632673412561417e+00;
constexpr double kHalfPiLow = 6.07710050650619224932e-11;

// Minimax polynomials of sin and cos on [-pi/4, pi/4] (FreeBSD msun k_sin.c, k_cos.c).
inline double sin_poly(double x) {
  const double z = x * x;
  const double r =
      8.33333333332248946124e-03 +
      z * (-1.98412698298579493134e-04 +
           z * (2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)));
  return x + z * x * (-1.66666666666666324348e-01 + z * r);
}

inline double cos_poly(double x) {
  const double z = x * x;
  const double r = z * (4.16666666666666019037e-02 +
                        z * (-1.38888888888741095749e-03 +
                             z * (2.48015872894767294178e-05 +
                                  z * (-2.75573143513906633035e-07 +
                                       z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11)))));
  return 1.0 - (0.5 * z - z * r);
}

// Without a branch, so that several vertices are done at once.
inline void sin_cos(double x, double& sine, double& cosine) {
  const double k = std::floor(x * kTwoOverPi + 0.5);
  const double r = (x - k * kHalfPiHigh) - k * kHalfPiLow;
  const double s = sin_poly(r);
  const double c = cos_poly(r);
  const auto quadrant = static_cast<int32_t>(k);
  const double a = (quadrant & 1) != 0 ? c : s;
  const double b = (quadrant & 1) != 0 ? s : c;
  sine = (quadrant & 2) != 0 ? -a : a;
  cosine = ((quadrant + 1) & 2) != 0 ? -b : b;
}

// (1/(2e)) ln((1+es)/(1-es)) / s as a series in t = e²s²: below 1e-19 after nine terms for Earth's e² = 0.0067.
inline double log_term(double t) {
  return 1.0 +
         t * (1.0 / 3 +
              t * (1.0 / 5 +
                   t * (1.0 / 7 + t * (1.0 / 9 + t * (1.0 / 11 + t * (1.0 / 13 + t * (1.0 / 15 + t * (1.0 / 17))))))));
}

constexpr double kPi = 3.14159265358979323846, kTwoPi = 6.28318530717958647693;

// The same bits with any number of lanes: a lane rounds as a scalar does, and these machines' instruction sets
// have no fused multiply-add unless it is asked for.
#if defined(__x86_64__) && defined(__gnu_linux__)
#define EVERY_LANE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define EVERY_LANE
#endif

// Returns whether every vertex has an image; where one has none, that is NaN.
EVERY_LANE bool project_all(const Albers& albers, double* __restrict xs, double* __restrict ys, size_t count) {
  const Albers p = albers;
  double least = 0;
  for (size_t i = 0; i < count; i++) {
    double dlon = xs[i] * kRadians - p.lon0;
    // The short way round the globe.
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
