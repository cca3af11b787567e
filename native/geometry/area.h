// Areas of polygons on an ellipsoid.
#pragma once
#include "geometry/wkb.h"

namespace fields {

struct Ellipsoid {
  double semi_major, inverse_flattening;  // meters; 0 for a sphere
};

// Square meters of polygons in degrees, x first: holes taken off, parts added up, edges shortest lines. For edges up to
// 10 km within 1e-6 of Karney's figures, as GeographicLib, PROJ and PostGIS have them.
double area_on_ellipsoid(const Polygons& polygons, const Ellipsoid& ellipsoid);

}  // namespace fields
