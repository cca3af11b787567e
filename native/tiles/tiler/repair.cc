#include "tiles/tiler/repair.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

namespace fields {
namespace {

constexpr int kMostRounds = 64;

bool before(GridPoint a, GridPoint b) { return a.x != b.x ? a.x < b.x : a.y < b.y; }

// Whether p, which is on the line through a and b, lies between them.
bool between(GridPoint a, GridPoint b, GridPoint p) {
  return p != a && p != b && std::min(a.x, b.x) <= p.x && p.x <= std::max(a.x, b.x) && std::min(a.y, b.y) <= p.y &&
         p.y <= std::max(a.y, b.y);
}

// Half-plane of a direction, for sorting by angle: 0 for angles of [0, 180) degrees.
int half_of(GridPoint d) { return d.y > 0 || (d.y == 0 && d.x > 0) ? 0 : 1; }

int64_t cross(GridPoint a, GridPoint b) { return static_cast<int64_t>(a.x) * b.y - static_cast<int64_t>(a.y) * b.x; }

GridPoint minus(GridPoint a, GridPoint b) { return {a.x - b.x, a.y - b.y}; }

}  // namespace

bool ShapeRepair::repair(const Shape& in, Shape& out) {
  out.clear();
  parts_.clear();
  const auto add_ring = [this](const Shape& from, size_t ring) {
    const uint32_t begin = from.ring_begin(ring), end = from.ring_end[ring];
    for (uint32_t i = begin; i < end; i++) {
      const GridPoint a = from.points[i], b = from.points[i + 1 == end ? begin : i + 1];
      if (a != b) edges_.push_back({a, b});
    }
  };
  for (size_t part = 0; part < in.part_end.size(); part++) {
    edges_.clear();
    for (uint32_t ring = in.part_begin(part); ring < in.part_end[part]; ring++) add_ring(in, ring);
    if (!arrange(Rule::kOdd, parts_)) return false;
  }
  if (in.part_end.size() < 2) {
    std::swap(out, parts_);
    return true;
  }
  edges_.clear();
  for (size_t ring = 0; ring < parts_.ring_end.size(); ring++) add_ring(parts_, ring);
  if (arrange(Rule::kPositive, out)) return true;
  out.clear();
  return false;
}

bool ShapeRepair::arrange(Rule rule, Shape& out) {
  if (!node()) return false;
  collect_borders();
  keep_boundaries(rule);
  trace(out);
  return true;
}

bool ShapeRepair::node() {
  for (int round = 0; round < kMostRounds; round++) {
    cuts_.clear();
    const auto n = static_cast<uint32_t>(edges_.size());
    order_.resize(n);
    std::iota(order_.begin(), order_.end(), 0u);
    const auto top = [this](uint32_t i) { return std::min(edges_[i].a.y, edges_[i].b.y); };
    std::sort(order_.begin(), order_.end(), [&](uint32_t i, uint32_t j) {
      const int32_t a = top(i), b = top(j);
      return a != b ? a < b : i < j;
    });
    for (uint32_t i = 0; i < n; i++) {
      const Edge& e = edges_[order_[i]];
      const int32_t bottom = std::max(e.a.y, e.b.y), left = std::min(e.a.x, e.b.x), right = std::max(e.a.x, e.b.x);
      for (uint32_t j = i + 1; j < n; j++) {
        const Edge& f = edges_[order_[j]];
        if (std::min(f.a.y, f.b.y) > bottom) break;
        if (std::min(f.a.x, f.b.x) > right || std::max(f.a.x, f.b.x) < left) continue;
        find_cuts(e, order_[i], f, order_[j]);
      }
    }
    if (cuts_.empty()) return true;
    apply_cuts();
  }
  return false;
}

void ShapeRepair::find_cuts(const Edge& e, uint32_t i, const Edge& f, uint32_t j) {
  const int64_t c = turn(e.a, e.b, f.a), d = turn(e.a, e.b, f.b);
  if ((c > 0 && d > 0) || (c < 0 && d < 0)) return;
  const int64_t a = turn(f.a, f.b, e.a), b = turn(f.a, f.b, e.b);
  if ((a > 0 && b > 0) || (a < 0 && b < 0)) return;
  if (c != 0 && d != 0 && a != 0 && b != 0) {
    const double share = static_cast<double>(a) / (static_cast<double>(a) - static_cast<double>(b));
    const GridPoint at{e.a.x + static_cast<int32_t>(std::floor(share * (e.b.x - e.a.x) + 0.5)),
                       e.a.y + static_cast<int32_t>(std::floor(share * (e.b.y - e.a.y) + 0.5))};
    if (at != e.a && at != e.b) cuts_.push_back({i, at});
    if (at != f.a && at != f.b) cuts_.push_back({j, at});
    return;
  }
  if (c == 0 && between(e.a, e.b, f.a)) cuts_.push_back({i, f.a});
  if (d == 0 && between(e.a, e.b, f.b)) cuts_.push_back({i, f.b});
  if (a == 0 && between(f.a, f.b, e.a)) cuts_.push_back({j, e.a});
  if (b == 0 && between(f.a, f.b, e.b)) cuts_.push_back({j, e.b});
}

void ShapeRepair::apply_cuts() {
  const auto along = [this](const Cut& cut) {
    const Edge& e = edges_[cut.edge];
    const GridPoint d = minus(e.b, e.a), p = minus(cut.at, e.a);
    return static_cast<int64_t>(d.x) * p.x + static_cast<int64_t>(d.y) * p.y;
  };
  std::sort(cuts_.begin(), cuts_.end(), [&](const Cut& a, const Cut& b) {
    if (a.edge != b.edge) return a.edge < b.edge;
    const int64_t p = along(a), q = along(b);
    return p != q ? p < q : before(a.at, b.at);
  });
  fresh_.clear();
  size_t next = 0;
  for (uint32_t i = 0; i < edges_.size(); i++) {
    GridPoint from = edges_[i].a;
    for (; next < cuts_.size() && cuts_[next].edge == i; next++) {
      if (cuts_[next].at == from) continue;
      fresh_.push_back({from, cuts_[next].at});
      from = cuts_[next].at;
    }
    if (from != edges_[i].b) fresh_.push_back({from, edges_[i].b});
  }
  edges_.swap(fresh_);
}

void ShapeRepair::collect_borders() {
  borders_.clear();
  for (const Edge& e : edges_) {
    if (before(e.a, e.b))
      borders_.push_back({e.a, e.b, 1, 1});
    else
      borders_.push_back({e.b, e.a, -1, 1});
  }
  const auto key = [](const Border& b) { return std::tie(b.a.x, b.a.y, b.b.x, b.b.y); };
  std::sort(borders_.begin(), borders_.end(), [&](const Border& a, const Border& b) { return key(a) < key(b); });
  size_t kept = 0;
  for (const Border& border : borders_) {
    if (kept > 0 && key(borders_[kept - 1]) == key(border)) {
      borders_[kept - 1].net += border.net;
      borders_[kept - 1].count += border.count;
    } else {
      borders_[kept++] = border;
    }
  }
  borders_.resize(kept);
}

// Turns `edges_` into the borders with the inside on one side, directed so that it is on the side of positive turns.
void ShapeRepair::keep_boundaries(Rule rule) {
  edges_.clear();
  if (borders_.empty()) return;
  // Borders by bands of rows (of columns, for those along a row), so that a ray meets few.
  int32_t low[2] = {INT32_MAX, INT32_MAX}, high[2] = {INT32_MIN, INT32_MIN};
  for (const Border& b : borders_) {
    const GridPoint ends[2] = {b.a, b.b};
    for (const GridPoint p : ends) {
      low[0] = std::min(low[0], p.y);
      high[0] = std::max(high[0], p.y);
      low[1] = std::min(low[1], p.x);
      high[1] = std::max(high[1], p.x);
    }
  }
  struct Bands {
    int32_t low;
    int64_t step;
    std::vector<std::vector<uint32_t>> lists;
    size_t of(int32_t at) const { return static_cast<size_t>((static_cast<int64_t>(at) - low) / step); }
  };
  const auto bands_of = [&](bool columns) {
    const int64_t extent = static_cast<int64_t>(high[columns]) - low[columns] + 1;
    const int64_t count = std::min<int64_t>(extent, std::max<int64_t>(1, static_cast<int64_t>(borders_.size() / 4)));
    const int64_t step = (extent + count - 1) / count;
    Bands bands{low[columns], step, {}};
    bands.lists.resize(static_cast<size_t>((extent + step - 1) / step));
    for (uint32_t i = 0; i < borders_.size(); i++) {
      const int32_t p = columns ? borders_[i].a.x : borders_[i].a.y, q = columns ? borders_[i].b.x : borders_[i].b.y;
      if (p == q) continue;
      for (size_t k = bands.of(std::min(p, q)); k <= bands.of(std::max(p, q)); k++) bands.lists[k].push_back(i);
    }
    return bands;
  };
  const Bands rows = bands_of(false);
  Bands columns;
  bool has_columns = false;
  const auto weight = [rule](const Border& b) { return rule == Rule::kOdd ? b.count : b.net; };
  const auto inside = [rule](int32_t winding) { return rule == Rule::kOdd ? (winding & 1) != 0 : winding > 0; };
  for (const Border& e : borders_) {
    // From the middle of the edge to the east, or to the south from an edge along a row. Coordinates are doubled, so
    // that the middle is whole.
    const bool flat = e.a.y == e.b.y;
    if (flat && !has_columns) {
      columns = bands_of(true);
      has_columns = true;
    }
    const int64_t mx = static_cast<int64_t>(e.a.x) + e.b.x, my = static_cast<int64_t>(e.a.y) + e.b.y;
    int32_t beyond = 0;
    const Bands& bands = flat ? columns : rows;
    // Half of an odd sum is rounded down: the band of a point between two rows is that of the upper one, in which all
    // edges are that span both.
    const auto middle = static_cast<int32_t>((flat ? mx : my) >> 1);
    for (const uint32_t i : bands.lists[bands.of(middle)]) {
      const Border& f = borders_[i];
      if (&f == &e) continue;
      // Where f crosses the ray: downwards counts as its direction has the east on its left, and so on.
      const int64_t p = 2 * static_cast<int64_t>(flat ? f.a.x : f.a.y),
                    q = 2 * static_cast<int64_t>(flat ? f.b.x : f.b.y);
      const int64_t at = flat ? mx : my;
      if ((p > at) == (q > at)) continue;
      // Twice the turn of (f.a, f.b, middle).
      const __int128 side = static_cast<__int128>(f.b.x - f.a.x) * (my - 2 * static_cast<int64_t>(f.a.y)) -
                            static_cast<__int128>(f.b.y - f.a.y) * (mx - 2 * static_cast<int64_t>(f.a.x));
      if (flat) {
        // f lies to the south (greater y) of the middle: the middle is on its northern side.
        const bool rightward = q > p;
        if ((rightward && side < 0) || (!rightward && side > 0)) beyond += rightward ? -weight(f) : weight(f);
      } else {
        const bool downward = q > p;
        if ((downward && side > 0) || (!downward && side < 0)) beyond += downward ? weight(f) : -weight(f);
      }
    }
    // `beyond`: the winding number just past the edge along the ray. A loop with positive area (clockwise on the
    // screen) has +1 inside: a point west of a downward edge is inside.
    const int32_t own = weight(e);
    int32_t near_side;     // before the edge, as seen from where the ray goes to
    bool positive_beyond;  // whether the far side is the side of positive turns of a -> b
    if (flat) {
      // a is west of b. The far side is south: positive turns of an eastward edge.
      near_side = beyond - own;
      positive_beyond = true;
    } else {
      const bool downward = e.b.y > e.a.y;
      near_side = beyond + (downward ? own : -own);
      positive_beyond = !downward;
    }
    if (inside(near_side) == inside(beyond)) continue;
    const bool positive_inside = positive_beyond ? inside(beyond) : inside(near_side);
    if (positive_inside)
      edges_.push_back({e.a, e.b});
    else
      edges_.push_back({e.b, e.a});
  }
}

void ShapeRepair::trace(Shape& out) {
  const auto n = static_cast<uint32_t>(edges_.size());
  if (n == 0) return;
  // Edges by the point they leave and their angle.
  std::sort(edges_.begin(), edges_.end(), [](const Edge& e, const Edge& f) {
    if (e.a != f.a) return before(e.a, f.a);
    const GridPoint d = minus(e.b, e.a), g = minus(f.b, f.a);
    const int p = half_of(d), q = half_of(g);
    return p != q ? p < q : cross(d, g) > 0;
  });
  const auto first_of = [&](GridPoint p) {
    return static_cast<uint32_t>(
        std::lower_bound(edges_.begin(), edges_.end(), p, [](const Edge& e, GridPoint at) { return before(e.a, at); }) -
        edges_.begin());
  };
  // The edge after e around the area on its positive side: the first one against the angle from where e came.
  const auto next_of = [&](uint32_t i) {
    const GridPoint v = edges_[i].b, back = minus(edges_[i].a, v);
    const uint32_t first = first_of(v);
    uint32_t last = first;
    while (last < n && edges_[last].a == v) last++;
    // The last edge whose angle is below that of `back`, else the last of all.
    uint32_t best = last - 1;
    for (uint32_t k = first; k < last; k++) {
      const GridPoint d = minus(edges_[k].b, v);
      const int p = half_of(d), q = half_of(back);
      const bool below = p != q ? p < q : cross(d, back) > 0;
      if (!below) break;
      best = k;
    }
    return best;
  };

  struct Loop {
    std::vector<GridPoint> points;
    int64_t area;
    uint32_t walk;
  };
  std::vector<Loop> loops;
  std::vector<uint8_t> used(n, 0);
  std::vector<GridPoint> path;
  uint32_t walks = 0;
  for (uint32_t start = 0; start < n; start++) {
    if (used[start] != 0) continue;
    path.clear();
    const auto cut_loop = [&](size_t from) {
      Loop loop{{path.begin() + static_cast<ptrdiff_t>(from), path.end()}, 0, walks};
      path.resize(from);
      loop.area = area_of(loop.points.data(), loop.points.size());
      loops.push_back(std::move(loop));
    };
    for (uint32_t i = start; used[i] == 0; i = next_of(i)) {
      used[i] = 1;
      const GridPoint p = edges_[i].a;
      // Where the walk comes by again a ring of its own ends; only where several edges leave can it do so.
      const bool branches = (i > 0 && edges_[i - 1].a == p) || (i + 1 < n && edges_[i + 1].a == p);
      for (size_t k = branches ? path.size() : 0; k-- > 0;) {
        if (path[k] == p) {
          cut_loop(k);
          break;
        }
      }
      path.push_back(p);
    }
    cut_loop(0);
    walks++;
  }

  // Exteriors in the order of the walks, each with the holes of its own walk and those of walks inside it.
  std::vector<uint32_t> exteriors;
  std::vector<std::vector<uint32_t>> holes(loops.size());
  std::vector<uint32_t> exterior_of_walk(walks, UINT32_MAX);
  for (uint32_t i = 0; i < loops.size(); i++) {
    if (loops[i].area <= 0) continue;
    exteriors.push_back(i);
    exterior_of_walk[loops[i].walk] = i;
  }
  for (uint32_t i = 0; i < loops.size(); i++) {
    if (loops[i].area >= 0) continue;
    uint32_t owner = exterior_of_walk[loops[i].walk];
    if (owner == UINT32_MAX) {
      const GridPoint at = loops[i].points[0];
      for (const uint32_t e : exteriors) {
        // Whatever touches the hole from within is smaller than it.
        if (loops[e].area <= -loops[i].area) continue;
        if (owner != UINT32_MAX && loops[e].area >= loops[owner].area) continue;
        if (contains(loops[e].points.data(), loops[e].points.size(), at)) owner = e;
      }
    }
    if (owner != UINT32_MAX) holes[owner].push_back(i);
  }
  const auto add = [&](const Loop& loop) {
    const size_t first = out.points.size();
    out.points.insert(out.points.end(), loop.points.begin(), loop.points.end());
    finish_ring(out, first);
  };
  for (const uint32_t e : exteriors) {
    add(loops[e]);
    for (const uint32_t hole : holes[e]) add(loops[hole]);
    out.close_part();
  }
}

}  // namespace fields
