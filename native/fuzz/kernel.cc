// Broken geometries and zone indexes through every kernel, under the sanitizers: fuzz [rounds] [seed].
// README.md has the command that builds it. It prints counts of what was reached, so an ineffective run shows.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "geometry/geojson.h"
#include "parquet/encode.h"
#include "zonal/burn.h"
#include "zonal/count_weighted.h"
#include "zonal/table.h"
#include "zonal/tally.h"

namespace {

using namespace fields;
using Bytes = std::vector<uint8_t>;

std::mt19937_64 engine;

uint32_t below(uint32_t n) { return static_cast<uint32_t>(engine() % n); }

template <typename T>
void put(Bytes& out, T value) {
  const auto* at = reinterpret_cast<const uint8_t*>(&value);
  out.insert(out.end(), at, at + sizeof value);
}

double coordinate(double middle) {
  switch (below(40)) {
    case 0: return std::numeric_limits<double>::quiet_NaN();
    case 1: return std::numeric_limits<double>::infinity();
    case 2: return 1e308;
    case 3: return -1e300;
    case 4: return 5e-324;
    case 5: return 1e10;
    default: return middle + below(64) / 2.0 - 16;
  }
}

void put_polygon(Bytes& out) {
  put<uint8_t>(out, 1);
  put<uint32_t>(out, below(8) == 0 ? 1003 : 3);
  const uint32_t rings = below(4);
  put(out, rings);
  for (uint32_t r = 0; r < rings; r++) {
    const uint32_t n = 3 + below(9);
    put(out, n);
    const bool wild = below(4) == 0;
    for (uint32_t i = 0; i < n; i++) {
      put(out, wild ? coordinate(-96) : -96 + below(64) / 2.0);
      put(out, wild ? coordinate(40) : 40 + below(64) / 2.0);
    }
  }
}

Bytes geometry() {
  Bytes wkb;
  if (below(3) == 0) {
    put<uint8_t>(wkb, 1);
    put<uint32_t>(wkb, 6);
    const uint32_t parts = below(4);
    put(wkb, parts);
    for (uint32_t p = 0; p < parts; p++) put_polygon(wkb);
  } else {
    put_polygon(wkb);
  }
  for (uint32_t flips = below(4); flips > 0; flips--) {
    const size_t range = below(2) == 0 ? std::min<size_t>(wkb.size(), 24) : wkb.size();
    wkb[below(static_cast<uint32_t>(range))] ^= static_cast<uint8_t>(1 << below(8));
  }
  if (below(4) == 0) wkb.resize(below(static_cast<uint32_t>(wkb.size()) + 1));
  return wkb;
}

// A chunk's corner in the window: usually the right one, sometimes near or far away.
int32_t corner() {
  switch (below(8)) {
    case 0: return static_cast<int32_t>(engine());
    case 1: return static_cast<int32_t>(below(80)) - 40;
    default: return 0;
  }
}

template <typename T>
bool count_words(const Grid& grid, const std::vector<uint32_t>& field, const std::vector<uint32_t>& shape,
                 const std::vector<uint32_t>& run, int32_t row, int32_t col) {
  // Allocated exactly, so reading one pixel too many is found.
  std::vector<T> pixels(size_t{grid.width} * grid.height);
  for (T& pixel : pixels) pixel = static_cast<T>(below(below(8) == 0 ? 100 : 3));
  const Segment segment{
      field.data(), shape.data(), run.data(), static_cast<uint32_t>(field.size()), static_cast<uint32_t>(run.size()),
      row,          col};
  const double skip[] = {0, 1e300, -1e300, 2.5, std::numeric_limits<double>::quiet_NaN()};
  const bool clip = below(2) == 0, masked = below(2) == 0;
  std::vector<uint8_t> mask(masked ? pixels.size() : 0);
  for (uint8_t& byte : mask) byte = static_cast<uint8_t>(below(3));
  if (below(2) == 0) {
    const std::vector<double> row_weights(grid.height, kShareUnits);
    WeightedPartial weighted;
    return count_weighted<T>(pixels.data(), masked ? mask.data() : nullptr, grid.width, grid.height, segment, skip, 5,
                             clip, row_weights.data(), weighted);
  }
  // Sometimes rows for half of the fields: the others are beyond the answers.
  const uint32_t rows = below(8) == 0 ? 4 : 8;
  std::vector<T> code(rows), second(rows);
  std::vector<uint32_t> counted(rows), valid(rows), second_pixels(rows), covered(rows);
  const Answers<T> answers{code.data(),    second.data(), counted.data(), valid.data(), second_pixels.data(),
                           covered.data(), rows};
  Partial partial, open, none;
  const bool fits = count_segment<T>(pixels.data(), masked ? mask.data() : nullptr, grid.width, grid.height, segment,
                                     skip, 5, clip, below(2) == 0 ? &answers : nullptr, partial);
  const auto view = [](const Partial& of) {
    return PartialView{of.field.data(),
                       of.parts.data(),
                       of.covered.data(),
                       of.end.data(),
                       of.code.data(),
                       of.pixels.data(),
                       static_cast<uint32_t>(of.field.size())};
  };
  if (merge_partial<T>({view(partial), view(partial)}, answers, false, open)) {
    merge_partial<T>({view(open)}, answers, true, none);
  }
  std::vector<uint8_t> status(rows);
  for (uint8_t& one : status) one = static_cast<uint8_t>(below(kNoTouch + 1));
  const std::vector<ByteList> texts(kNoTouch + 1, ByteList{'x', 'y'});
  TableWords words{texts, texts, std::vector<uint8_t>(kNoTouch + 1, 0), 7};
  words.reasons.push_back({'z'});
  std::vector<TableColumn> columns;
  for (uint32_t i = below(12); i > 0; i--) {
    const auto source = static_cast<Source>(below(8));
    const bool text = source == Source::kRule || source == Source::kReason;
    columns.push_back({source, text ? ColumnType::kText : static_cast<ColumnType>(below(10))});
  }
  encode_rows<T, uint32_t>({code.data(), second.data(), counted.data(), valid.data(), covered.data(),
                            second_pixels.data(), status.data(), rows},
                           columns, words);
  return fits;
}

// All ways to count bytes agree and stay within their buffers.
bool tallies_agree() {
  const uint32_t n = 1 + below(below(4) == 0 ? kMaxTally : 200);
  Bytes bytes(n + kTallySlack);
  const uint32_t classes = 1 + below(below(4) == 0 ? 256 : 8);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(below(3) == 0 ? below(classes) : 7);
  std::vector<uint32_t> expected(256);
  for (uint32_t i = 0; i < n; i++) expected[bytes[i]]++;
  for (const Tally tally : all_tallies()) {
    std::vector<uint8_t> found(256);
    std::vector<uint32_t> counts(256), counted(256);
    const uint32_t length = tally(bytes.data(), n, found.data(), counts.data());
    for (uint32_t i = 0; i < length; i++) counted[found[i]] += counts[i];
    if (counted != expected) return false;
  }
  return true;
}

// Ids of every kind.
void encode_some() {
  const uint32_t rows = below(300);
  Bytes valid(rows + 1), text;
  std::vector<uint32_t> lengths;
  std::vector<int64_t> ids;
  for (uint32_t row = 0; row < rows; row++) {
    valid[row] = below(8) != 0;
    if (valid[row] == 0) continue;
    ids.push_back(below(2) == 0 ? static_cast<int64_t>(engine()) : row);
    lengths.push_back(below(40));
    text.resize(text.size() + lengths.back(), static_cast<uint8_t>(below(3)));
  }
  encode_rising<int64_t>(ids, valid.data(), rows, below(2) == 0);
  Workspace space;
  encode_numbers<int64_t>(ids, valid.data(), rows, below(2) == 0, space);
  encode_strings(text.data(), lengths, valid.data(), rows);
}

constexpr uint32_t kWkbOnly = 200;

}  // namespace

int main(int argc, char** argv) {
  const long rounds = argc > 1 ? std::atol(argv[1]) : 10000;
  engine.seed(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
  const Albers conus{-1.6755160819145565, 6378137, 0.006694380022900787, 0.6029035, 1.34915, 9928937.0, -0.0, 0};
  const Grid grids[] = {{1, -112, -1, 72, 48, 40}, {0.5, -96, -0.25, 56, 2100, 600}, {30, -2e6, -30, 3e6, 3000, 2000}};
  long statuses[kNoTouch + 1] = {}, counted = 0, refused = 0, written = 0;
  Polygons polygons;
  for (long round = 0; round < rounds; round++) {
    const Grid& grid = grids[below(3)];
    if (!tallies_agree()) {
      std::printf("tallies differ, round %ld\n", round);
      return 1;
    }
    encode_some();
    // Reading is fast and exposed to any file.
    for (uint32_t i = 0; i < kWkbOnly; i++) {
      const Bytes wkb = geometry();
      read_wkb(wkb.data(), wkb.size(), polygons);
    }
    Burner burner(grid, &grid == &grids[2] ? &conus : nullptr, static_cast<PixelRule>(below(4)));
    for (uint32_t i = 0; i < 8; i++) {
      // A separate allocation, so reading one byte too many is found.
      const Bytes wkb = geometry();
      statuses[burner.burn(i, wkb.data(), wkb.size())]++;
      if (read_wkb(wkb.data(), wkb.size(), polygons) == kOk && on_globe(polygons)) {
        std::string out;
        // Across the antimeridian: beyond it, or with jumps.
        const bool east = below(2) == 0, jumps = below(2) == 0;
        for (double& x : polygons.x) {
          if (east) x += 260;
          if (jumps && x > 180) x -= 360;
        }
        append_features(polygons, below(1000), {"\"a\":1", 5}, static_cast<int>(below(10)), out);
        written++;
      }
    }
    burner.sort_entries();
    std::vector<uint32_t> field, shape, run;
    for (const Entry& entry : burner.entries) {
      if (entry.chunk != burner.entries[0].chunk) break;
      field.push_back(entry.field);
      shape.push_back(static_cast<uint32_t>(entry.runs) << 16 | entry.parts);
      run.insert(run.end(), burner.runs.begin() + entry.run_begin, burner.runs.begin() + entry.run_begin + entry.runs);
    }
    if (grid.width > 100 && below(16) != 0) continue;
    for (uint32_t flips = below(3); flips > 0 && !run.empty(); flips--) {
      run[below(static_cast<uint32_t>(run.size()))] ^= 1u << below(32);
      shape[below(static_cast<uint32_t>(shape.size()))] ^= 1u << below(32);
    }
    const int32_t row = corner();
    const int32_t col = corner();
    bool fits = false;
    switch (below(8)) {
      case 0: fits = count_words<uint8_t>(grid, field, shape, run, row, col); break;
      case 1: fits = count_words<int8_t>(grid, field, shape, run, row, col); break;
      case 2: fits = count_words<uint16_t>(grid, field, shape, run, row, col); break;
      case 3: fits = count_words<int16_t>(grid, field, shape, run, row, col); break;
      case 4: fits = count_words<uint32_t>(grid, field, shape, run, row, col); break;
      case 5: fits = count_words<int32_t>(grid, field, shape, run, row, col); break;
      case 6: fits = count_words<float>(grid, field, shape, run, row, col); break;
      default: fits = count_words<double>(grid, field, shape, run, row, col); break;
    }
    (fits ? counted : refused)++;
  }
  std::printf("geometries by status:");
  for (const long n : statuses) std::printf(" %ld", n);
  std::printf("\nsegments counted %ld, refused %ld; features written %ld\n", counted, refused, written);
  long executions = (3 + kWkbOnly) * rounds + counted + refused + written;
  for (const long n : statuses) executions += 2 * n;
  std::printf("executions %ld\n", executions);
  return 0;
}
