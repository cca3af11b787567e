// Albers equal-area conic on an ellipsoid, forward.
#pragma once
#include "geometry/wkb.h"

namespace fields {

// Constants of one projection; computed once in src/kernel/albers.ts, where each is explained.
struct Albers {
  double lon0;  // central meridian, radians
  double a;     // semi-major axis, meters
  double e2;    // eccentricity squared
  double n, c, rho0;
  double x0, y0;  // false easting and northing, meters
};

// Project degrees to meters in place. False when a vertex lies outside the projection's domain.
bool project(const Albers& albers, Polygons& polygons);

}  // namespace fields
