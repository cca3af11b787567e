// Tiles: precompressed, and given years' attributes.
#include <time.h>

#include <algorithm>
#include <string>
#include <utility>

#include "node/addon.h"
#include "tiles/precompressed/base_tile.h"
#include "tiles/precompressed/record.h"
#include "tiles/rewrite.h"

namespace fields {
namespace {

// A byte or a 16-bit word a row.
template <typename Column>
void read_index(const Napi::Object& from, uint64_t rows, Column& column) {
  const Napi::Value index = from.Get("index");
  if (index.IsTypedArray() && index.As<Napi::TypedArray>().TypedArrayType() == napi_uint16_array) {
    column.wide = elements_of<uint16_t>(index.As<Napi::TypedArray>());
  } else {
    column.narrow = elements_of<uint8_t>(array_of<Napi::Uint8Array>(index, "index"));
  }
  if (index.As<Napi::TypedArray>().ElementLength() < rows) fail(from.Env(), "index: one a row was expected");
}

// A byte or a 16-bit word a row, each 0 or 1 + an entry of the palette.
AttributeColumn column_of(const Napi::Object& from, uint64_t rows, uint32_t value_count) {
  const Napi::Env env = from.Env();
  AttributeColumn column;
  column.keys = texts_of(from.Get("keys"), "keys");
  const auto palette = array_of<Napi::Uint32Array>(from.Get("palette"), "palette");
  if (column.keys.empty() || palette.ElementLength() % column.keys.size() != 0) {
    fail(env, "palette: a value for every key was expected");
  }
  column.palette = palette.Data();
  column.entries = static_cast<uint32_t>(palette.ElementLength() / column.keys.size());
  for (size_t i = 0; i < palette.ElementLength(); i++) {
    if (palette[i] >= value_count) fail(env, "palette: no such value");
  }
  read_index(from, rows, column);
  return column;
}

void check_ends(const Napi::Uint32Array& ends, size_t length, const char* of) {
  uint32_t begin = 0;
  for (size_t i = 0; i < ends.ElementLength(); i++) {
    if (ends[i] < begin || ends[i] > length) fail(ends.Env(), std::string("ends: not ascending within ") + of);
    begin = ends[i];
  }
}

[[noreturn]] void throw_of_tile(Napi::Env env, const char* message, size_t tile) {
  auto thrown = Napi::RangeError::New(env, message);
  thrown.Value().Set("tile", static_cast<double>(tile));
  throw thrown;
}

// CPU of this thread; its own, so that a busy machine does not count.
double thread_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

uint64_t rows_of(const Napi::Object& plan) { return integer_of(plan.Get("rows"), "rows", 0, uint64_t{1} << 32); }

// Contents one after the other.
struct Contents {
  Buffer bytes;
  std::vector<uint32_t> ends;

  void end_tile() {
    if (bytes.size > UINT32_MAX) throw TileError("a batch grew beyond 4 GiB");
    ends.push_back(static_cast<uint32_t>(bytes.size));
  }
  Napi::Object to_object(Napi::Env env) const {
    auto content = Napi::Uint8Array::New(env, bytes.size);
    if (bytes.size > 0) std::memcpy(content.Data(), bytes.data(), bytes.size);
    auto result = Napi::Object::New(env);
    result.Set("content", content);
    result.Set("ends", copy_of<Napi::Uint32Array>(env, ends));
    return result;
  }
};

// Calls `use(bytes, size)` with each content; what is wrong with one names it.
template <typename Use>
void for_each_content(const Napi::Uint8Array& contents, const Napi::Uint32Array& ends, Use&& use) {
  const uint8_t* const bytes = elements_of<uint8_t>(contents);
  uint32_t begin = 0;
  for (size_t i = 0; i < ends.ElementLength(); i++) {
    try {
      use(bytes + begin, ends[i] - begin);
    } catch (const TileError& error) {
      throw_of_tile(ends.Env(), error.what(), i);
    } catch (const RecordError& error) {
      throw_of_tile(ends.Env(), error.what(), i);
    }
    begin = ends[i];
  }
}

// precompress(stored, ends, {rows, layers, key}) -> {content, ends, gzipTiles}
Napi::Value precompress(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto stored = array_of<Napi::Uint8Array>(info[0], "stored");
  const auto ends = array_of<Napi::Uint32Array>(info[1], "ends");
  const auto plan = object_of(info[2], "plan");
  check_ends(ends, stored.ElementLength(), "stored");
  Gzip gzip(1);
  RecordMaker maker(texts_of(plan.Get("layers"), "layers"), text_of(plan.Get("key"), "key"), rows_of(plan));
  Buffer plain;
  Contents records;
  uint32_t gzip_tiles = 0;
  for_each_content(stored, ends, [&](const uint8_t* tile, size_t size) {
    gzip.inflate(tile, size, plain);
    if (!maker.append(plain.data(), plain.size, records.bytes)) gzip_tiles++;
    records.end_tile();
  });
  auto result = records.to_object(env);
  result.Set("gzipTiles", gzip_tiles);
  return result;
}

// baseTiles(records, ends, {rows, layers, level}) -> {content, ends}
Napi::Value base_tiles(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto records = array_of<Napi::Uint8Array>(info[0], "records");
  const auto ends = array_of<Napi::Uint32Array>(info[1], "ends");
  const auto plan = object_of(info[2], "plan");
  check_ends(ends, records.ElementLength(), "records");
  const auto level = static_cast<int>(integer_of(plan.Get("level"), "level", 0, 9));
  Gzip gzip(std::max(level, 1));
  BaseTileReader reader(texts_of(plan.Get("layers"), "layers"), rows_of(plan));
  Buffer plain;
  Contents tiles;
  for_each_content(records, ends, [&](const uint8_t* record, size_t size) {
    reader.read(record, size, gzip, plain);
    if (level == 0)
      tiles.bytes.append(plain.data(), plain.size);
    else
      gzip.deflate(plain.data(), plain.size, tiles.bytes);
    tiles.end_tile();
  });
  return tiles.to_object(env);
}

// An archive that a batch's tiles go into.
struct YearOutput {
  std::vector<AttributeColumn> columns;
  // For the only column's entries, where records can be filled.
  bool fills = false;
  YearCrops crops;
  uint8_t* buffer;
  size_t capacity, size = 0;
  std::vector<uint32_t> ends;
};

YearOutput output_of(const Napi::Object& from, Napi::Value buffer, uint64_t rows, uint32_t value_count) {
  YearOutput output;
  const auto columns = list_of(from.Get("columns"), "columns");
  for (uint32_t c = 0; c < columns.Length(); c++) {
    output.columns.push_back(column_of(object_of(columns.Get(c), "column"), rows, value_count));
  }
  const Napi::Value codes = from.Get("codes");
  if (!codes.IsUndefined()) {
    const auto list = array_of<Napi::Uint32Array>(codes, "codes");
    if (output.columns.size() != 1 || output.columns[0].entries != list.ElementLength()) {
      fail(from.Env(), "codes: one for each entry of the only column was expected");
    }
    const AttributeColumn& column = output.columns[0];
    output.fills = true;
    output.crops = {column.narrow, column.wide, list.Data(), column.entries};
  }
  const auto bytes = array_of<Napi::Uint8Array>(buffer, "buffers");
  output.buffer = elements_of<uint8_t>(bytes);
  output.capacity = bytes.ElementLength();
  return output;
}

// Writes tiles of one batch: by filling records, or by rewriting what cannot be filled.
class YearTileWriter {
 public:
  YearTileWriter(const std::vector<std::string>& names, std::vector<MarkedLayer> layers, EncodedValues values,
                 uint64_t rows, int level)
      : gzip_(level), base_(names, rows), filler_(marks_of(layers), rows), rewriter_(std::move(layers), values, rows) {}

  // False where a buffer is too small.
  bool write(const uint8_t* record, size_t size, bool mark, std::vector<YearOutput>& outputs) {
    const bool is_record = !is_gzip_tile(record, size);
    if (is_record) filler_.open(record, size);
    bool read = false;
    for (YearOutput& output : outputs) {
      size_t written = 0;
      if (is_record && output.fills) {
        if (filler_.max_bytes() > output.capacity - output.size) return false;
        written = filler_.fill(output.crops, mark, output.buffer + output.size, output.capacity - output.size);
      }
      if (written == 0) {
        const double began = thread_seconds();
        if (!read) base_.read(record, size, gzip_, plain_);
        read = true;
        const double inflated = thread_seconds();
        rewriter_.rewrite(plain_.data(), plain_.size, output.columns, mark, rewritten_);
        const double changed = thread_seconds();
        packed_.size = 0;
        gzip_.deflate(rewritten_.data(), rewritten_.size, packed_);
        const double now = thread_seconds();
        for (const auto& [phase, seconds] :
             {std::pair{0, inflated - began}, {1, changed - inflated}, {2, now - changed}})
          cpu[phase] += seconds;
        rewritten++;
        written = packed_.size;
        if (written > output.capacity - output.size) return false;
        std::memcpy(output.buffer + output.size, packed_.data(), written);
      }
      output.size += written;
      if (output.size > UINT32_MAX) throw TileError("a batch grew beyond 4 GiB");
      output.ends.push_back(static_cast<uint32_t>(output.size));
    }
    return true;
  }

  // Tiles of all outputs that were rewritten; seconds of reading base tiles, rewriting and compressing them.
  uint32_t rewritten = 0;
  double cpu[3] = {};

 private:
  static std::vector<uint8_t*> marks_of(const std::vector<MarkedLayer>& layers) {
    std::vector<uint8_t*> marks;
    for (const MarkedLayer& layer : layers) marks.push_back(layer.seen);
    return marks;
  }

  Gzip gzip_;
  BaseTileReader base_;
  RecordFiller filler_;
  TileRewriter rewriter_;
  Buffer plain_, rewritten_, packed_;
};

// writeYears(records, ends, markFrom, plan: {rows, layers, values, outputs, level}, buffers)
// -> {complete, ends, rewritten, cpu}
Napi::Value write_years(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const double began = thread_seconds();
  const auto records = array_of<Napi::Uint8Array>(info[0], "records");
  const auto ends = array_of<Napi::Uint32Array>(info[1], "ends");
  const auto mark_from = integer_of(info[2], "markFrom", 0, ends.ElementLength());
  const auto plan = object_of(info[3], "plan");
  const auto buffers = list_of(info[4], "buffers");
  check_ends(ends, records.ElementLength(), "records");
  const uint64_t rows = rows_of(plan);
  std::vector<std::string> names;
  std::vector<MarkedLayer> layers;
  const auto layer_list = list_of(plan.Get("layers"), "layers");
  for (uint32_t i = 0; i < layer_list.Length(); i++) {
    const auto layer = object_of(layer_list.Get(i), "layer");
    const auto seen = array_of<Napi::Uint8Array>(layer.Get("seen"), "seen");
    if (seen.ElementLength() < rows) fail(env, "seen: one a row was expected");
    names.push_back(text_of(layer.Get("name"), "name"));
    layers.push_back({names.back(), elements_of<uint8_t>(seen)});
  }
  const auto value_texts = object_of(plan.Get("values"), "values");
  const auto value_bytes = array_of<Napi::Uint8Array>(value_texts.Get("values"), "values.values");
  const auto value_offsets = array_of<Napi::Int32Array>(value_texts.Get("offsets"), "values.offsets");
  if (value_offsets.ElementLength() == 0) fail(env, "values.offsets: at least one element was expected");
  check_offsets(value_offsets, value_bytes.ElementLength(), "values.offsets");
  const EncodedValues values{value_bytes.Data(), value_offsets.Data(),
                             static_cast<uint32_t>(value_offsets.ElementLength() - 1)};
  const auto output_list = list_of(plan.Get("outputs"), "outputs");
  if (buffers.Length() != output_list.Length()) fail(env, "buffers: one for each output was expected");
  std::vector<YearOutput> outputs;
  for (uint32_t o = 0; o < output_list.Length(); o++) {
    outputs.push_back(output_of(object_of(output_list.Get(o), "output"), buffers.Get(o), rows, values.count));
  }
  YearTileWriter writer(names, std::move(layers), values, rows,
                        static_cast<int>(integer_of(plan.Get("level"), "level", 1, 9)));
  bool complete = true;
  size_t tile = 0;
  for_each_content(records, ends, [&](const uint8_t* record, size_t size) {
    complete = complete && writer.write(record, size, tile++ >= mark_from, outputs);
  });

  auto output_ends = Napi::Array::New(env, outputs.size());
  for (uint32_t o = 0; o < outputs.size(); o++) output_ends.Set(o, copy_of<Napi::Uint32Array>(env, outputs[o].ends));
  auto cpu = Napi::Float64Array::New(env, 4);
  double rest = thread_seconds() - began;
  for (size_t i = 0; i < 3; i++) {
    cpu[i] = writer.cpu[i];
    rest -= writer.cpu[i];
  }
  cpu[3] = rest;
  auto result = Napi::Object::New(env);
  result.Set("complete", complete);
  result.Set("ends", output_ends);
  result.Set("rewritten", writer.rewritten);
  result.Set("cpu", cpu);
  return result;
}

}  // namespace

void export_tiles(Napi::Env env, Napi::Object exports) {
  exports.Set("gzipLibrary", Napi::String::New(env, Gzip::library()));
  exports.Set("precompress", Napi::Function::New(env, precompress));
  exports.Set("baseTiles", Napi::Function::New(env, base_tiles));
  exports.Set("writeYears", Napi::Function::New(env, write_years));
}

}  // namespace fields
