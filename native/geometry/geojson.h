// Newline-delimited GeoJSON for tippecanoe: a polygon and a point for every field.
#pragma once
#include <cstdint>
#include <string>

#include "geometry/wkb.h"

namespace fields {

// Attributes of one field as JSON: `"field_id":7,"area_ha":64.75,"crop_code":1`.
struct Text {
  const char* data;
  size_t size;
};

// Whether all vertices are degrees, as GeoJSON requires.
bool on_globe(const Polygons& polygons);

// Appends two lines: the polygon in layer `fields` and a point inside it in layer `centroids`, both with this
// id and these properties. Coordinates are degrees with `decimals` places (at most 9); exterior rings run
// counterclockwise, holes clockwise, polygons are cut at the antimeridian (RFC 7946).
void append_features(const Polygons& polygons, uint64_t id, Text properties, int decimals, std::string& out);

// A point inside: the centroid if it is inside, else the middle of the widest piece of a horizontal line
// through the part with the largest area.
void point_inside(const Polygons& polygons, double& x, double& y);

}  // namespace fields
