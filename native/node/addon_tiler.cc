// The tiler: fields sorted into buckets, and buckets made into tiles.
#include <napi.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "node/addon.h"
#include "node/arguments.h"
#include "node/parquet_slice.h"
#include "tiles/audit/bucket_audit.h"
#include "tiles/precompressed/record.h"
#include "tiles/protobuf.h"
#include "tiles/tiler/bucket.h"
#include "tiles/tiler/slice_spiller.h"
#include "tiles/tiler/tile_id.h"

namespace fields {
namespace {

constexpr int kMaxZoom = 16;

// Precompressed, as a base has them.
class RecordStore : public TileStore {
 public:
  RecordStore(const std::vector<std::string>& layers, std::string key, uint64_t rows)
      : maker_(layers, std::move(key), rows), filler_(std::vector<uint8_t*>(layers.size()), rows) {}
  void store(const uint8_t* tile, size_t size, Buffer& out) override { maker_.append(tile, size, out); }
  // As a year without any crop would have it.
  void read(const uint8_t* stored, size_t size, Buffer& out) override {
    if (is_gzip_tile(stored, size)) return gzip_.inflate(stored, size, out);
    filler_.open(stored, size);
    const size_t capacity = filler_.max_bytes();
    filled_.size = 0;
    const size_t filled = filler_.fill({}, false, filled_.room(capacity), capacity);
    gzip_.inflate(filled_.data(), filled, out);
  }

 private:
  RecordMaker maker_;
  RecordFiller filler_;
  Gzip gzip_{1};
  Buffer filled_;
};

TilerZooms zooms_of(const Napi::Object& from) {
  const auto max_zoom = static_cast<int>(integer_of(from.Get("maxZoom"), "maxZoom", 0, kMaxZoom));
  return {static_cast<int>(integer_of(from.Get("minZoom"), "minZoom", 0, static_cast<uint64_t>(max_zoom))), max_zoom};
}

// Messages `Value` of a slice's ids: integers, or strings.
class IdValues {
 public:
  void add(const Rows& rows, const ColumnPart& part) {
    for (size_t i = 0; i < rows.count; i++) {
      const bool there = rows.present == nullptr || rows.present[i] != 0;
      if (there && part.type == PhysicalType::kByteArray) {
        put(kValueString, rows.bytes[i]);
      } else if (there) {
        const int64_t value = rows.integers[i];
        const auto bits = static_cast<uint64_t>(value);
        const bool negative = value < 0 && !(part.is_unsigned && part.type == PhysicalType::kInt64);
        put(negative ? kValueSint : kValueUint, negative ? ~(bits << 1) : bits);
      }
      ends_.push_back(bytes_.size);
    }
  }
  SpilledId at(size_t row) const {
    if (ends_.empty()) return {nullptr, 0};
    const size_t begin = row == 0 ? 0 : ends_[row - 1];
    return {bytes_.data() + begin, ends_[row] - begin};
  }

 private:
  static constexpr uint64_t kValueString = 1 << 3 | 2, kValueUint = 5 << 3 | 0, kValueSint = 6 << 3 | 0;

  void put(uint64_t tag, uint64_t number) {
    uint8_t* const start = bytes_.room(2 * kMaxVarint);
    bytes_.size += static_cast<size_t>(put_number(put_number(start, tag), number) - start);
  }
  void put(uint64_t tag, const Bytes& text) {
    uint8_t* const start = bytes_.room(2 * kMaxVarint + text.size);
    uint8_t* to = put_number(put_number(start, tag), text.size);
    if (text.size > 0) to = put_bytes(to, text.at, text.size);
    bytes_.size += static_cast<size_t>(to - start);
  }

  Buffer bytes_;
  std::vector<size_t> ends_;
};

uint32_t first_row_of(Napi::Value value, uint64_t rows) {
  return static_cast<uint32_t>(integer_of(value, "firstRow", 0, (uint64_t{1} << 32) - std::max<uint64_t>(rows, 1)));
}

// {status, content, tiles, firstRows, records, ends, crcs, box}
Napi::Value spilled_of(Napi::Env env, SliceSpiller& spiller, Napi::Uint8Array status) {
  const auto& buckets = spiller.finish();
  size_t size = 0;
  for (const auto& bucket : buckets) size += bucket.records.size;
  auto content = Napi::Uint8Array::New(env, size);
  auto tiles = Napi::Float64Array::New(env, buckets.size());
  auto first_rows = Napi::Uint32Array::New(env, buckets.size()), records = Napi::Uint32Array::New(env, buckets.size()),
       ends = Napi::Uint32Array::New(env, buckets.size()), crcs = Napi::Uint32Array::New(env, buckets.size());
  size_t end = 0;
  for (size_t i = 0; i < buckets.size(); i++) {
    const auto& bucket = buckets[i];
    std::memcpy(content.Data() + end, bucket.records.data(), bucket.records.size);
    end += bucket.records.size;
    if (end > UINT32_MAX) throw Napi::Error::New(env, "a slice's fields take more than 4 GiB");
    tiles[i] = static_cast<double>(bucket.tile);
    first_rows[i] = bucket.first_row;
    records[i] = bucket.count;
    ends[i] = static_cast<uint32_t>(end);
    crcs[i] = crc32_of(0, bucket.records.data(), bucket.records.size);
  }
  const WorldBox& box = spiller.box();
  auto sides = Napi::Float64Array::New(env, 4);
  sides[0] = box.min_x;
  sides[1] = box.min_y;
  sides[2] = box.max_x;
  sides[3] = box.max_y;
  auto result = Napi::Object::New(env);
  result.Set("status", status);
  result.Set("content", content);
  result.Set("tiles", tiles);
  result.Set("firstRows", first_rows);
  result.Set("records", records);
  result.Set("ends", ends);
  result.Set("crcs", crcs);
  result.Set("box", sides);
  return result;
}

// spillPages(slice, firstRow, zooms, withIds) -> as spilled_of
Napi::Value spill_pages(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const SliceArguments slice(object_of(info[0], "slice"));
  const uint32_t first_row = first_row_of(info[1], slice.geometry.rows);
  SliceSpiller spiller(zooms_of(object_of(info[2], "zooms")));
  auto status = Napi::Uint8Array::New(env, slice.geometry.rows);
  const File file(slice.path);
  IdValues ids;
  if (info[3].ToBoolean()) {
    naming(env, slice.id_column, [&] {
      ColumnReader reader(file, slice.ids);
      for (Rows rows; reader.next(rows);) ids.add(rows, slice.ids);
    });
  }
  return naming(env, slice.geometry_column, [&] {
    ColumnReader reader(file, slice.geometry);
    uint8_t* const status_out = status.Data();
    uint32_t row = 0;
    for (Rows rows; reader.next(rows);) {
      for (size_t i = 0; i < rows.count; i++, row++) {
        const bool null = rows.present != nullptr && rows.present[i] == 0;
        status_out[row] =
            null ? kNull : spiller.add(rows.bytes[i].at, rows.bytes[i].size, first_row + row, ids.at(row));
      }
    }
    return spilled_of(env, spiller, status);
  });
}

// spillColumn(column, ids: {values, offsets} | null, firstRow, zooms) -> as spilled_of
Napi::Value spill_column(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const WkbColumn column(object_of(info[0], "column"));
  const uint32_t first_row = first_row_of(info[2], column.count);
  SliceSpiller spiller(zooms_of(object_of(info[3], "zooms")));
  const uint8_t* values = nullptr;
  const int32_t* offsets = nullptr;
  if (!info[1].IsNull()) {
    const auto ids = object_of(info[1], "ids");
    const auto value_array = array_of<Napi::Uint8Array>(ids.Get("values"), "ids.values");
    const auto offset_array = array_of<Napi::Int32Array>(ids.Get("offsets"), "ids.offsets");
    if (offset_array.ElementLength() != size_t{column.count} + 1) fail(env, "ids.offsets: one a row was expected");
    check_offsets(offset_array, value_array.ElementLength(), "ids.offsets");
    values = value_array.Data();
    offsets = offset_array.Data();
  }
  auto status = Napi::Uint8Array::New(env, column.count);
  for (uint32_t i = 0; i < column.count; i++) {
    const SpilledId id = values == nullptr
                             ? SpilledId{nullptr, 0}
                             : SpilledId{values + offsets[i], static_cast<size_t>(offsets[i + 1] - offsets[i])};
    status[i] = column.is_null(i) ? kNull : spiller.add(column.bytes(i), column.size(i), first_row + i, id);
  }
  return spilled_of(env, spiller, status);
}

Napi::Uint8Array bytes_of(Napi::Env env, const Buffer& from) {
  auto bytes = Napi::Uint8Array::New(env, from.size);
  if (from.size > 0) std::memcpy(bytes.Data(), from.data(), from.size);
  return bytes;
}

Napi::Object object_of_tiles(Napi::Env env, int zoom, const StoredTiles& tiles) {
  auto ids = Napi::Float64Array::New(env, tiles.ids.size());
  for (size_t i = 0; i < tiles.ids.size(); i++) ids[i] = static_cast<double>(tiles.ids[i]);
  auto result = Napi::Object::New(env);
  result.Set("zoom", zoom);
  result.Set("content", bytes_of(env, tiles.bytes));
  result.Set("tileIds", ids);
  result.Set("sizes", copy_of<Napi::Uint32Array>(env, tiles.sizes));
  auto crcs = Napi::Uint32Array::New(env, tiles.sizes.size());
  size_t begin = 0;
  for (size_t i = 0; i < tiles.sizes.size(); begin += tiles.sizes[i++]) {
    crcs[i] = crc32_of(0, tiles.bytes.data() + begin, tiles.sizes[i]);
  }
  result.Set("crcs", crcs);
  result.Set("polygons", static_cast<double>(tiles.features[0]));
  result.Set("points", static_cast<double>(tiles.features[1]));
  result.Set("largest", static_cast<double>(tiles.largest));
  return result;
}

// What tiles are stored as: records where `records: {rows, layers, key}` is there, else gzip.
std::unique_ptr<TileStore> store_of(const Napi::Object& from) {
  if (!from.Get("records").IsObject()) return std::make_unique<GzipStore>();
  const auto plan = object_of(from.Get("records"), "records");
  const auto list = list_of(plan.Get("layers"), "layers");
  std::vector<std::string> layers;
  for (uint32_t i = 0; i < list.Length(); i++) layers.push_back(text_of(list.Get(i), "layers"));
  const uint64_t rows = integer_of(plan.Get("rows"), "rows", 0, uint64_t{1} << 32);
  return std::make_unique<RecordStore>(layers, text_of(plan.Get("key"), "key"), rows);
}

// Errors of finished tiles are RangeErrors.
[[noreturn]] void throw_audit_error(Napi::Env env, const AuditError& error) {
  throw Napi::RangeError::New(env, error.what());
}

// Columns that features carry: {keys, index: Uint32Array[], values: {values, offsets}}; none where undefined.
IncludedColumns included_of(Napi::Value from, uint64_t rows) {
  IncludedColumns included;
  if (from.IsUndefined()) return included;
  const Napi::Env env = from.Env();
  const auto plan = object_of(from, "included");
  const auto keys = list_of(plan.Get("keys"), "included.keys"), index = list_of(plan.Get("index"), "included.index");
  const auto column = object_of(plan.Get("values"), "included.values");
  const auto values = array_of<Napi::Uint8Array>(column.Get("values"), "included.values");
  const auto offsets = array_of<Napi::Int32Array>(column.Get("offsets"), "included.offsets");
  if (offsets.ElementLength() == 0) fail(env, "included.offsets: one more than values was expected");
  included.values = elements_of<uint8_t>(values);
  included.offsets = elements_of<int32_t>(offsets);
  included.count = static_cast<uint32_t>(offsets.ElementLength() - 1);
  if (included.offsets[included.count] > static_cast<int64_t>(values.ElementLength())) {
    fail(env, "included.offsets: offsets into values were expected");
  }
  if (index.Length() != keys.Length()) fail(env, "included.index: one a key was expected");
  for (uint32_t i = 0; i < keys.Length(); i++) {
    const auto rows_of = array_of<Napi::Uint32Array>(index.Get(i), "included.index");
    if (rows_of.ElementLength() < rows) fail(env, "included.index: one a row was expected");
    included.columns.push_back({text_of(keys.Get(i), "included.keys"), elements_of<uint32_t>(rows_of)});
  }
  return included;
}

// tileBucket(path, chunks: {offsets, bytes, crcs}, tile,
//            {minZoom, maxZoom, area, hasIds, included, limit, records, seen})
//   -> {zooms: [{zoom, content, tileIds, sizes, crcs, polygons, points, largest}], summary, shapes}
Napi::Value tile_bucket_of(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = text_of(info[0], "path");
  const auto chunk_arrays = object_of(info[1], "chunks");
  const auto offsets = array_of<Napi::Float64Array>(chunk_arrays.Get("offsets"), "chunks.offsets");
  const auto bytes = array_of<Napi::Uint32Array>(chunk_arrays.Get("bytes"), "chunks.bytes");
  const auto crcs = array_of<Napi::Uint32Array>(chunk_arrays.Get("crcs"), "chunks.crcs");
  if (bytes.ElementLength() != offsets.ElementLength() || crcs.ElementLength() != offsets.ElementLength()) {
    fail(env, "chunks: arrays of one length were expected");
  }
  const auto plan = object_of(info[3], "plan");
  const TilerZooms zooms = zooms_of(plan);
  const TileAddress bucket = tile_of(integer_of(info[2], "tile", 0, first_tile_id(kMaxZoom)));
  if (bucket.z != zooms.bucket_zoom())
    fail(env, "tile: one of zoom " + std::to_string(zooms.bucket_zoom()) + " was expected");
  const Napi::Value area = plan.Get("area");
  if (!area.IsTypedArray() || area.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array) {
    fail(env, "area: Float32Array was expected");
  }
  const uint64_t field_rows = area.As<Napi::TypedArray>().ElementLength();
  const IncludedColumns included = included_of(plan.Get("included"), field_rows);
  const FieldAttributes attributes{elements_of<float>(area.As<Napi::TypedArray>()), field_rows,
                                   plan.Get("hasIds").ToBoolean(), &included};
  const uint64_t limit = integer_of(plan.Get("limit"), "limit", 1, UINT32_MAX);
  std::vector<BucketChunk> chunks;
  for (size_t i = 0; i < offsets.ElementLength(); i++) {
    chunks.push_back({static_cast<uint64_t>(offsets[i]), bytes[i], crcs[i]});
  }
  std::vector<uint8_t*> seen;
  const auto seen_arrays = list_of(plan.Get("seen"), "seen");
  for (uint32_t i = 0; i < seen_arrays.Length(); i++) {
    const auto rows = array_of<Napi::Uint8Array>(seen_arrays.Get(i), "seen");
    if (rows.ElementLength() < attributes.rows) fail(env, "seen: one a row was expected");
    seen.push_back(elements_of<uint8_t>(rows));
  }
  if (seen.size() != tiler_layers().size()) fail(env, "seen: one a layer was expected");
  BucketTiles tiles;
  try {
    BucketReader reader(path, std::move(chunks));
    const auto store = store_of(plan);
    tile_bucket(reader, bucket, zooms, attributes, *store, limit, tiles);
    BucketAudit(attributes.rows, std::move(seen)).check(reader, bucket, zooms, *store, tiles);
  } catch (const TileError& error) {
    throw Napi::Error::New(env, error.what());
  } catch (const AuditError& error) {
    throw_audit_error(env, error);
  }
  auto result = Napi::Object::New(env);
  auto list = Napi::Array::New(env);
  uint32_t count = 0;
  if (!tiles.cells.ids.empty()) list.Set(count++, object_of_tiles(env, bucket.z, tiles.cells));
  for (size_t i = 0; i < tiles.zooms.size(); i++) {
    list.Set(count++, object_of_tiles(env, zooms.least_tiled() + static_cast<int>(i), tiles.zooms[i]));
  }
  result.Set("zooms", list);
  result.Set("summary", bytes_of(env, tiles.summary));
  const ShapeCounts& counts = tiles.shapes;
  auto shapes = Napi::Object::New(env);
  shapes.Set("drawn", static_cast<double>(counts.shapes));
  shapes.Set("whole", static_cast<double>(counts.whole));
  shapes.Set("repaired", static_cast<double>(counts.repaired));
  shapes.Set("squares", static_cast<double>(counts.squares));
  shapes.Set("pieces", static_cast<double>(counts.pieces));
  shapes.Set("rejoined", static_cast<double>(counts.rejoined));
  shapes.Set("unsolved", static_cast<double>(counts.unsolved));
  result.Set("shapes", shapes);
  return result;
}

// mergeCells(tile, children: four Uint8Array, {rows, records}) -> {tiles: as a zoom of tileBucket, summary}
Napi::Value merge_cells(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const uint64_t id = integer_of(info[0], "tile", 0, first_tile_id(kMaxZoom));
  const auto list = list_of(info[1], "children");
  if (list.Length() != 4) fail(env, "children: four were expected");
  const auto plan = object_of(info[2], "plan");
  CellSummary children[4];
  for (uint32_t i = 0; i < 4; i++) {
    const auto bytes = array_of<Napi::Uint8Array>(list.Get(i), "children");
    children[i] = {elements_of<uint8_t>(bytes), bytes.ElementLength()};
  }
  const uint64_t rows = integer_of(plan.Get("rows"), "rows", 0, uint64_t{1} << 32);
  StoredTiles tiles;
  Buffer summary;
  try {
    CellTile cells;
    CellMerger().merge(tile_of(id), children, cells, summary);
    const auto store = store_of(plan);
    store_cells(id, cells, *store, tiles);
    BucketAudit(rows, {nullptr, nullptr}).check(tiles, *store);
  } catch (const TileError& error) {
    throw Napi::Error::New(env, error.what());
  } catch (const AuditError& error) {
    throw_audit_error(env, error);
  }
  auto result = Napi::Object::New(env);
  result.Set("tiles", object_of_tiles(env, tile_of(id).z, tiles));
  result.Set("summary", bytes_of(env, summary));
  return result;
}

}  // namespace

void export_tiler(Napi::Env env, Napi::Object exports) {
  exports.Set("spillPages", Napi::Function::New(env, spill_pages));
  exports.Set("spillColumn", Napi::Function::New(env, spill_column));
  exports.Set("tileBucket", Napi::Function::New(env, tile_bucket_of));
  exports.Set("mergeCells", Napi::Function::New(env, merge_cells));
}

}  // namespace fields
