#include "geometry/geojson.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "geometry/antimeridian.h"

namespace fields {
namespace {

constexpr double kScale[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

// Twice the signed area of vertices [begin, end), positive counterclockwise, and its first moments. Taken from
// the first vertex, so that a small ring far from the origin keeps its digits.
struct Moments {
  double area = 0, mx = 0, my = 0;
};

Moments moments(const Polygons& p, uint32_t begin, uint32_t end) {
  Moments m;
  const double x0 = p.x[begin], y0 = p.y[begin];
  for (uint32_t i = begin; i < end; i++) {
    const uint32_t j = i + 1 == end ? begin : i + 1;
    const double ax = p.x[i] - x0, ay = p.y[i] - y0, bx = p.x[j] - x0, by = p.y[j] - y0;
    const double cross = ax * by - bx * ay;
    m.area += cross;
    m.mx += (ax + bx) * cross;
    m.my += (ay + by) * cross;
  }
  return m;
}

uint32_t ring_begin(const Polygons& p, uint32_t ring) { return ring == 0 ? 0 : p.ring_end[ring - 1]; }

// Even-odd over the rings [first, last).
bool inside(const Polygons& p, uint32_t first, uint32_t last, double x, double y) {
  bool in = false;
  for (uint32_t ring = first; ring < last; ring++) {
    const uint32_t begin = ring_begin(p, ring), end = p.ring_end[ring];
    for (uint32_t i = begin, j = end - 1; i < end; j = i++) {
      if ((p.y[i] > y) == (p.y[j] > y)) continue;
      if (x < (p.x[j] - p.x[i]) * (y - p.y[i]) / (p.y[j] - p.y[i]) + p.x[i]) in = !in;
    }
  }
  return in;
}

// Middle of the widest inner piece of the horizontal line at `y`; width 0 when the line misses the part.
double widest_piece(const Polygons& p, uint32_t first, uint32_t last, double y, double& middle) {
  std::vector<double> xs;
  for (uint32_t ring = first; ring < last; ring++) {
    const uint32_t begin = ring_begin(p, ring), end = p.ring_end[ring];
    for (uint32_t i = begin, j = end - 1; i < end; j = i++) {
      if ((p.y[i] > y) == (p.y[j] > y)) continue;
      xs.push_back((p.x[j] - p.x[i]) * (y - p.y[i]) / (p.y[j] - p.y[i]) + p.x[i]);
    }
  }
  std::sort(xs.begin(), xs.end());
  double widest = 0;
  for (size_t i = 0; i + 1 < xs.size(); i += 2) {
    if (xs[i + 1] - xs[i] > widest) {
      widest = xs[i + 1] - xs[i];
      middle = (xs[i] + xs[i + 1]) / 2;
    }
  }
  return widest;
}

class Writer {
 public:
  Writer(std::string& out, int decimals) : out_(out), scale_(kScale[decimals]), decimals_(decimals) {}

  void text(const char* s) { out_.append(s); }
  void text(Text t) { out_.append(t.data, t.size); }

  void integer(uint64_t value) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out_.append(digits, static_cast<size_t>(end - digits));
  }

  void position(double x, double y) {
    out_.push_back('[');
    fixed(x);
    out_.push_back(',');
    fixed(y);
    out_.push_back(']');
  }

  void ring(const Polygons& p, uint32_t begin, uint32_t end, bool counter_clockwise) {
    // The closing vertex is written from the first one: they are equal by definition.
    end--;
    const bool reverse = (moments(p, begin, end).area > 0) != counter_clockwise;
    out_.push_back('[');
    const uint32_t n = end - begin;
    for (uint32_t i = 0; i <= n; i++) {
      const uint32_t at = i % n;
      const uint32_t v = reverse ? begin + (n - at) % n : begin + at;
      if (i > 0) out_.push_back(',');
      position(p.x[v], p.y[v]);
    }
    out_.push_back(']');
  }

  void polygon(const Polygons& p, uint32_t first, uint32_t last) {
    out_.push_back('[');
    for (uint32_t r = first; r < last; r++) {
      if (r > first) out_.push_back(',');
      ring(p, ring_begin(p, r), p.ring_end[r], r == first);
    }
    out_.push_back(']');
  }

 private:
  // Fixed decimals without trailing zeros.
  void fixed(double value) {
    const double scaled = std::nearbyint(value * scale_);
    uint64_t magnitude = static_cast<uint64_t>(std::fabs(scaled));
    if (scaled < 0) out_.push_back('-');
    const auto unit = static_cast<uint64_t>(scale_);
    integer(magnitude / unit);
    uint64_t fraction = magnitude % unit;
    if (fraction == 0) return;
    char digits[10];
    int n = decimals_;
    for (int i = n - 1; i >= 0; i--) {
      digits[i] = static_cast<char>('0' + fraction % 10);
      fraction /= 10;
    }
    while (digits[n - 1] == '0') n--;
    out_.push_back('.');
    out_.append(digits, static_cast<size_t>(n));
  }

  std::string& out_;
  double scale_;
  int decimals_;
};

}  // namespace

bool on_globe(const Polygons& p) {
  for (const double lng : p.x) {
    if (!(lng >= -540.0 && lng <= 540.0)) return false;
  }
  for (const double lat : p.y) {
    if (!(lat >= -90.0 && lat <= 90.0)) return false;
  }
  return true;
}

void point_inside(const Polygons& p, double& x, double& y) {
  Moments sum;
  double largest = -1;
  uint32_t first = 0, main_first = 0, main_last = 0;
  const double ox = p.x[0], oy = p.y[0];
  for (const uint32_t last : p.part_end) {
    double part_area = 0;
    for (uint32_t ring = first; ring < last; ring++) {
      const uint32_t begin = ring_begin(p, ring);
      Moments m = moments(p, begin, p.ring_end[ring]);
      // Exteriors add and holes subtract, whatever their winding in the file.
      const double sign = (m.area > 0) == (ring == first) ? 1 : -1;
      part_area += sign * m.area;
      const double dx = p.x[begin] - ox, dy = p.y[begin] - oy;
      sum.area += sign * m.area;
      sum.mx += sign * (m.mx + 3 * dx * m.area);
      sum.my += sign * (m.my + 3 * dy * m.area);
    }
    if (part_area > largest) {
      largest = part_area;
      main_first = first;
      main_last = last;
    }
    first = last;
  }
  if (sum.area > 0) {
    x = ox + sum.mx / (3 * sum.area);
    y = oy + sum.my / (3 * sum.area);
    first = 0;
    for (const uint32_t last : p.part_end) {
      if (inside(p, first, last, x, y)) return;
      first = last;
    }
  }
  const uint32_t begin = ring_begin(p, main_first), end = p.ring_end[main_first];
  const auto [low, high] = std::minmax_element(p.y.begin() + begin, p.y.begin() + end);
  double widest = 0;
  x = p.x[begin];
  y = p.y[begin];
  // Several heights, because the middle one may cross a hole or a bay; uneven ones, because a line through
  // vertices may coincide with an edge.
  for (const double share : {0.487, 0.259, 0.741, 0.123, 0.877, 0.367, 0.623}) {
    const double height = *low + (*high - *low) * share;
    double middle = 0;
    const double width = widest_piece(p, main_first, main_last, height, middle);
    if (width > widest) {
      widest = width;
      x = middle;
      y = height;
    }
  }
}

void append_features(const Polygons& polygons, uint64_t id, Text properties, int decimals, std::string& out) {
  Polygons cut;
  if (leaves_map(polygons)) cut_at_antimeridian(polygons, cut);
  // A part thinner than the rounding has no width left.
  const Polygons& p = cut.part_end.empty() ? polygons : cut;
  Writer write(out, decimals);
  const auto head = [&](const char* layer) {
    write.text("{\"type\":\"Feature\",\"id\":");
    write.integer(id);
    write.text(",\"tippecanoe\":{\"layer\":\"");
    write.text(layer);
    write.text("\"},\"properties\":{");
    write.text(properties);
    write.text("},\"geometry\":");
  };
  head("fields");
  if (p.part_end.size() == 1) {
    write.text("{\"type\":\"Polygon\",\"coordinates\":");
    write.polygon(p, 0, p.part_end[0]);
  } else {
    write.text("{\"type\":\"MultiPolygon\",\"coordinates\":[");
    uint32_t first = 0;
    for (const uint32_t last : p.part_end) {
      if (first > 0) write.text(",");
      write.polygon(p, first, last);
      first = last;
    }
    write.text("]");
  }
  write.text("}}\n");
  double x, y;
  point_inside(p, x, y);
  head("centroids");
  write.text("{\"type\":\"Point\",\"coordinates\":");
  write.position(x, y);
  write.text("}}\n");
}

}  // namespace fields
