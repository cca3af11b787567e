#include "tiles/tiler/bucket.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tiles/tiler/mercator.h"
#include "tiles/tiler/simplify.h"
#include "tiles/tiler/tile_id.h"

namespace fields {
namespace {

constexpr uint64_t kMostLoaded = 64 << 20;
// Vertices that are looked at together; 2^20 take 32 MiB.
constexpr size_t kMostAnchors = 1 << 20;

// Tiles one bucket, in parts where it must.
class BucketTiler {
 public:
  BucketTiler(BucketReader& fields, TilerZooms zooms, FieldAttributes attributes, TileStore& store, size_t limit,
              BucketTiles& out)
      : fields_(fields),
        zooms_(zooms),
        limit_(limit),
        out_(out),
        rows_(attributes.rows),
        store_(store),
        simplifier_(zooms.least_tiled(), zooms.max_zoom),
        tiler_(attributes, store) {
    out_.zooms.resize(static_cast<size_t>(zooms.max_zoom - zooms.least_tiled() + 1));
  }

  void run(TileAddress bucket) {
    count_points(bucket);
    find_anchors(bucket);
    tile(bucket, zooms_.least_tiled(), zooms_.max_zoom);
    out_.shapes = tiler_.counts();
  }

 private:
  // And draws the cells, which need every field once, too.
  void count_points(TileAddress bucket) {
    if (zooms_.has_cells()) grid_.begin(bucket);
    fields_.each([&](const WorldField& field, SpilledId) {
      if (field.row >= rows_) throw TileError("record of a field has an unknown row");
      points_ += field.points.size();
      out_.records++;
      if (zooms_.has_cells()) grid_.add(field);
    });
    if (!zooms_.has_cells()) return;
    CellTile cells;
    grid_.finish(cells, out_.summary);
    if (zooms_.min_zoom <= bucket.z) store_cells(tile_id(bucket), cells, store_, out_.cells);
  }

  void find_anchors(TileAddress bucket) {
    anchors_.assign((points_ + 63) / 64, 0);
    const auto partitions = static_cast<uint32_t>(points_ / kMostAnchors + 1);
    AnchorFinder finder(bucket.z, partitions);
    for (uint32_t p = 0; p < partitions; p++) {
      finder.begin(p, points_ / partitions);
      fields_.each([&](const WorldField& field, SpilledId) { finder.add(field); });
      size_t first = 0;
      fields_.each([&](const WorldField& field, SpilledId) {
        finder.mark(field, first, anchors_);
        first += field.points.size();
      });
    }
  }

  // Tiles of zooms [least, most] under `root`, in the order of the curve.
  void tile(TileAddress root, int least, int most) {
    if (least > most) return;
    const bool single = root.z == least && least == most;
    if (try_tile(root, least, most, single ? SIZE_MAX : limit_)) return;
    if (root.z == least) {
      tile(root, least, least);
      least++;
    }
    TileAddress parts[4];
    for (uint32_t i = 0; i < 4; i++) parts[i] = {root.z + 1, 2 * root.x + (i & 1), 2 * root.y + (i >> 1)};
    std::sort(parts, parts + 4, [](TileAddress a, TileAddress b) { return tile_id(a) < tile_id(b); });
    for (const TileAddress part : parts) tile(part, least, most);
  }

  bool try_tile(TileAddress root, int least, int most, size_t limit) {
    tiler_.begin(root, least, most, limit);
    bool fits = true;
    size_t first = 0;
    fields_.each([&](const WorldField& field, SpilledId id) {
      const size_t own = first;
      first += field.points.size();
      if (!fits || !meets(box_of(field), root, least)) return;
      simplifier_.simplify(field, anchors_, own, needed_);
      fits = tiler_.add(field, id, needed_);
    });
    if (!fits) return false;
    tiler_.finish(out_.zooms.data() + (least - zooms_.least_tiled()));
    return true;
  }

  // With the buffer of the tiles of zoom `least`, the widest, and what snapping moves.
  static bool meets(const WorldBox& box, TileAddress root, int least) {
    const int64_t unit = int64_t{1} << (kWorldBits - kExtentBits - least), margin = (kTileBuffer + 2) * unit;
    const int64_t side = int64_t{1} << (kWorldBits - root.z);
    const int64_t west = root.x * side, north = root.y * side;
    return box.max_x >= west - margin && box.min_x <= west + side + margin && box.max_y >= north - margin &&
           box.min_y <= north + side + margin;
  }

  BucketReader& fields_;
  TilerZooms zooms_;
  size_t limit_;
  BucketTiles& out_;
  uint64_t rows_;
  TileStore& store_;
  size_t points_ = 0;
  CellGrid grid_;
  Simplifier simplifier_;
  FieldTiler tiler_;
  std::vector<uint64_t> anchors_;
  std::vector<uint8_t> needed_;
};

}  // namespace

BucketRange buckets_of(const WorldBox& box, TilerZooms zooms) {
  const int bucket = zooms.bucket_zoom(), shift = kWorldBits - bucket;
  const int64_t margin = int64_t{kTileBuffer} << (kWorldBits - kExtentBits - zooms.field_zoom());
  const int64_t last = (int64_t{1} << bucket) - 1;
  const auto at = [&](int64_t place) { return static_cast<uint32_t>(std::clamp<int64_t>(place >> shift, 0, last)); };
  return {at(box.min_x - margin), at(box.min_y - margin), at(box.max_x + margin), at(box.max_y + margin)};
}

BucketReader::BucketReader(const std::string& path, std::vector<BucketChunk> chunks)
    : file_(open(path.c_str(), O_RDONLY | O_CLOEXEC)), path_(path), chunks_(std::move(chunks)) {
  if (file_ < 0) throw TileError("cannot open " + path + ": " + std::strerror(errno));
  for (const BucketChunk& chunk : chunks_) bytes_ += chunk.bytes;
  if (bytes_ <= kMostLoaded) loaded_.resize(chunks_.size());
}

BucketReader::~BucketReader() { close(file_); }

const uint8_t* BucketReader::load(size_t i) {
  Buffer& buffer = loaded_.empty() ? current_ : loaded_[i];
  const BucketChunk& chunk = chunks_[i];
  if (!loaded_.empty() && buffer.size == chunk.bytes) return buffer.data();
  buffer.size = 0;
  uint8_t* const to = buffer.room(chunk.bytes);
  for (size_t done = 0; done < chunk.bytes;) {
    const ssize_t n = pread(file_, to + done, chunk.bytes - done, static_cast<off_t>(chunk.offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw TileError("cannot read " + path_ + ": " + std::strerror(errno));
    if (n == 0) throw TileError(path_ + " ends at byte " + std::to_string(chunk.offset + done));
    done += static_cast<size_t>(n);
  }
  if (crc32_of(0, to, chunk.bytes) != chunk.crc) {
    throw TileError(path_ + " is damaged between bytes " + std::to_string(chunk.offset) + " and " +
                    std::to_string(chunk.offset + chunk.bytes));
  }
  buffer.size = chunk.bytes;
  return to;
}

void BucketReader::each(const std::function<void(const WorldField&, SpilledId)>& visit) {
  SpilledId id{};
  for (size_t i = 0; i < chunks_.size(); i++) {
    SpillReader reader(load(i), chunks_[i].bytes);
    while (reader.next(field_, id)) visit(field_, id);
  }
}

void store_cells(uint64_t tile, const CellTile& cells, TileStore& store, StoredTiles& out) {
  if (cells.features.empty()) return;
  std::vector<Feature> features;
  size_t begin = 0;
  for (const CellFeature& cell : cells.features) {
    features.push_back(
        {cell.row, nullptr, 0, cells.geometry.data() + begin, static_cast<uint32_t>(cell.geometry_end - begin)});
    begin = cell.geometry_end;
  }
  TileLayers layers({nullptr, 0, false});
  layers.begin();
  layers.add("fields", 3, features, false);
  store.store(layers.tile().data(), layers.tile().size, out.bytes);
  out.ids.push_back(tile);
  out.sizes.push_back(static_cast<uint32_t>(out.bytes.size));
  out.features[0] = features.size();
  out.largest = layers.tile().size;
}

void tile_bucket(BucketReader& fields, TileAddress bucket, TilerZooms zooms, FieldAttributes attributes,
                 TileStore& store, size_t limit, BucketTiles& out) {
  BucketTiler(fields, zooms, attributes, store, limit, out).run(bucket);
}

}  // namespace fields
