// Sine and cosine by + - * / alone, in a fixed order: the same bits on every machine, where libm's differ.
#pragma once
#include <cmath>
#include <cstdint>

namespace fields {

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

// Without a branch, so it can be vectorized.
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

}  // namespace fields
