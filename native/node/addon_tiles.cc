// Tiles: attributes exchanged by walking through them, and by templates.
#include <time.h>

#include <algorithm>
#include <string>
#include <utility>

#include "node/addon.h"
#include "tiles/swap.h"
#include "tiles/template/template.h"

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
SwapColumn swap_column_of(const Napi::Object& from, uint64_t rows, uint32_t value_count) {
  const Napi::Env env = from.Env();
  SwapColumn column;
  const auto keys = list_of(from.Get("keys"), "keys");
  for (uint32_t k = 0; k < keys.Length(); k++) column.keys.push_back(text_of(keys.Get(k), "keys"));
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

// swap(stored, ends, compressed, markFrom, plan: {rows, layers, values, outputs, level}) -> {outputs, cpu}
Napi::Value swap(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto stored = array_of<Napi::Uint8Array>(info[0], "stored");
  const auto ends = array_of<Napi::Uint32Array>(info[1], "ends");
  const bool compressed = info[2].ToBoolean();
  const size_t count = ends.ElementLength();
  const auto mark_from = integer_of(info[3], "markFrom", 0, count);
  const auto plan = object_of(info[4], "plan");
  const uint64_t rows = integer_of(plan.Get("rows"), "rows", 0, uint64_t{1} << 32);
  const auto level = static_cast<int>(integer_of(plan.Get("level"), "level", 1, 9));

  std::vector<SwapLayer> layers;
  const auto layer_list = list_of(plan.Get("layers"), "layers");
  for (uint32_t i = 0; i < layer_list.Length(); i++) {
    const auto layer = object_of(layer_list.Get(i), "layer");
    const auto seen = array_of<Napi::Uint8Array>(layer.Get("seen"), "seen");
    if (seen.ElementLength() < rows) fail(env, "seen: one a row was expected");
    layers.push_back({text_of(layer.Get("name"), "name"), elements_of<uint8_t>(seen)});
  }
  const auto value_texts = object_of(plan.Get("values"), "values");
  const auto value_bytes = array_of<Napi::Uint8Array>(value_texts.Get("values"), "values.values");
  const auto value_offsets = array_of<Napi::Int32Array>(value_texts.Get("offsets"), "values.offsets");
  if (value_offsets.ElementLength() == 0) fail(env, "values.offsets: at least one element was expected");
  check_offsets(value_offsets, value_bytes.ElementLength(), "values.offsets");
  const SwapValues values{value_bytes.Data(), value_offsets.Data(),
                          static_cast<uint32_t>(value_offsets.ElementLength() - 1)};
  const auto output_list = list_of(plan.Get("outputs"), "outputs");
  std::vector<std::vector<SwapColumn>> outputs(output_list.Length());
  for (uint32_t o = 0; o < output_list.Length(); o++) {
    const auto columns = list_of(output_list.Get(o), "outputs");
    for (uint32_t c = 0; c < columns.Length(); c++) {
      outputs[o].push_back(swap_column_of(object_of(columns.Get(c), "column"), rows, values.count));
    }
  }
  check_ends(ends, stored.ElementLength(), "stored");

  Gzip gzip(level);
  TileSwapper swapper(std::move(layers), values, rows);
  std::vector<Buffer> contents(outputs.size());
  std::vector<std::vector<uint32_t>> content_ends(outputs.size());
  Buffer inflated, rewritten;
  auto cpu = Napi::Float64Array::New(env, 3);
  double last = thread_seconds();
  const auto charge = [&](size_t to) {
    const double now = thread_seconds();
    cpu[to] = cpu[to] + now - last;
    last = now;
  };
  uint32_t begin = 0;
  for (size_t i = 0; i < count; i++) {
    const uint8_t* tile = stored.Data() + begin;
    size_t size = ends[i] - begin;
    begin = ends[i];
    try {
      if (compressed) {
        gzip.inflate(tile, size, inflated);
        tile = inflated.data();
        size = inflated.size;
      }
      charge(0);
      for (size_t o = 0; o < outputs.size(); o++) {
        swapper.rewrite(tile, size, outputs[o], i >= mark_from, rewritten);
        charge(1);
        Buffer& out = contents[o];
        if (compressed)
          gzip.deflate(rewritten.data(), rewritten.size, out);
        else
          out.append(rewritten.data(), rewritten.size);
        if (out.size > UINT32_MAX) throw TileError("a batch grew beyond 4 GiB");
        content_ends[o].push_back(static_cast<uint32_t>(out.size));
        charge(2);
      }
    } catch (const TileError& error) {
      throw_of_tile(env, error.what(), i);
    }
  }

  auto results = Napi::Array::New(env, outputs.size());
  for (uint32_t o = 0; o < outputs.size(); o++) {
    auto content = Napi::Uint8Array::New(env, contents[o].size);
    if (contents[o].size > 0) std::memcpy(content.Data(), contents[o].data(), contents[o].size);
    auto result = Napi::Object::New(env);
    result.Set("content", content);
    result.Set("ends", copy_of<Napi::Uint32Array>(env, content_ends[o]));
    results.Set(o, result);
  }
  auto result = Napi::Object::New(env);
  result.Set("outputs", results);
  result.Set("cpu", cpu);
  return result;
}

// A list of crops' codes, and which of them each row has.
TemplateYear template_year_of(const Napi::Object& from, uint64_t rows) {
  TemplateYear year;
  const auto codes = array_of<Napi::Uint32Array>(from.Get("codes"), "codes");
  year.codes = codes.Data();
  year.entries = static_cast<uint32_t>(codes.ElementLength());
  read_index(from, rows, year);
  return year;
}

// makeTemplate(stored, ends, {rows, layers, key, trial}) -> {records, ends}
Napi::Value make_template(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto stored = array_of<Napi::Uint8Array>(info[0], "stored");
  const auto ends = array_of<Napi::Uint32Array>(info[1], "ends");
  const auto plan = object_of(info[2], "plan");
  const uint64_t rows = integer_of(plan.Get("rows"), "rows", 0, uint64_t{1} << 32);
  const auto layer_list = list_of(plan.Get("layers"), "layers");
  std::vector<std::string> layers;
  for (uint32_t i = 0; i < layer_list.Length(); i++) layers.push_back(text_of(layer_list.Get(i), "layers"));
  check_ends(ends, stored.ElementLength(), "stored");

  Gzip gzip(1);
  TemplateMaker maker(layers, text_of(plan.Get("key"), "key"), rows);
  TemplateFiller filler(std::vector<uint8_t*>(layers.size()), rows);
  const TemplateYear trial = template_year_of(object_of(plan.Get("trial"), "trial"), rows);
  Buffer plain, records, filled, again;
  std::vector<uint32_t> record_ends;
  uint32_t begin = 0;
  for (size_t i = 0; i < ends.ElementLength(); i++) {
    try {
      gzip.inflate(stored.Data() + begin, ends[i] - begin, plain);
      begin = ends[i];
      const size_t from = records.size;
      if (maker.make(plain.data(), plain.size, records)) {
        filler.open(records.data() + from, records.size - from);
        filled.size = 0;
        const size_t room = filler.most_bytes();
        const size_t size = filler.fill(trial, false, filled.room(room), room);
        // Length and checksum are those that the tile has.
        if (size > 0) gzip.inflate(filled.data(), size, again);
      }
      if (records.size > UINT32_MAX) throw TileError("a batch grew beyond 4 GiB");
    } catch (const TileError& error) {
      throw_of_tile(env, error.what(), i);
    }
    record_ends.push_back(static_cast<uint32_t>(records.size));
  }
  auto result = Napi::Object::New(env);
  auto bytes = Napi::Uint8Array::New(env, records.size);
  if (records.size > 0) std::memcpy(bytes.Data(), records.data(), records.size);
  result.Set("records", bytes);
  result.Set("ends", copy_of<Napi::Uint32Array>(env, record_ends));
  return result;
}

// fillTemplate(records, ends, markFrom, {rows, layers, outputs}, rooms) -> {ends, cpu}
Napi::Value fill_template(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const double began = thread_seconds();
  const auto records = array_of<Napi::Uint8Array>(info[0], "records");
  const auto ends = array_of<Napi::Uint32Array>(info[1], "ends");
  const size_t count = ends.ElementLength();
  const auto mark_from = integer_of(info[2], "markFrom", 0, count);
  const auto plan = object_of(info[3], "plan");
  const auto room_list = list_of(info[4], "rooms");
  const uint64_t rows = integer_of(plan.Get("rows"), "rows", 0, uint64_t{1} << 32);
  std::vector<uint8_t*> seen;
  const auto layer_list = list_of(plan.Get("layers"), "layers");
  for (uint32_t i = 0; i < layer_list.Length(); i++) {
    const auto bytes = array_of<Napi::Uint8Array>(object_of(layer_list.Get(i), "layer").Get("seen"), "seen");
    if (bytes.ElementLength() < rows) fail(env, "seen: one a row was expected");
    seen.push_back(elements_of<uint8_t>(bytes));
  }
  struct Output {
    TemplateYear year;
    uint8_t* room;
    size_t size, filled = 0;
    std::vector<uint32_t> ends;
  };
  std::vector<Output> outputs;
  const auto output_list = list_of(plan.Get("outputs"), "outputs");
  if (room_list.Length() != output_list.Length()) fail(env, "rooms: one for each output was expected");
  for (uint32_t o = 0; o < output_list.Length(); o++) {
    const auto from = object_of(output_list.Get(o), "output");
    const auto room = array_of<Napi::Uint8Array>(room_list.Get(o), "rooms");
    Output output{template_year_of(from, rows), elements_of<uint8_t>(room), room.ElementLength(), 0, {}};
    output.ends.reserve(count);
    outputs.push_back(std::move(output));
  }
  check_ends(ends, records.ElementLength(), "records");

  TemplateFiller filler(std::move(seen), rows);
  const uint8_t* const bytes = elements_of<uint8_t>(records);
  uint32_t begin = 0;
  for (size_t i = 0; i < count; i++) {
    try {
      const size_t size = ends[i] - begin;
      if (size > 0) filler.open(bytes + begin, size);
      begin = ends[i];
      for (Output& output : outputs) {
        if (size > 0) {
          output.filled +=
              filler.fill(output.year, i >= mark_from, output.room + output.filled, output.size - output.filled);
        }
        if (output.filled > UINT32_MAX) throw TileError("a batch grew beyond 4 GiB");
        output.ends.push_back(static_cast<uint32_t>(output.filled));
      }
    } catch (const TileError& error) {
      throw_of_tile(env, error.what(), i);
    } catch (const TemplateError& error) {
      throw_of_tile(env, error.what(), i);
    }
  }
  auto output_ends = Napi::Array::New(env, outputs.size());
  for (uint32_t o = 0; o < outputs.size(); o++) output_ends.Set(o, copy_of<Napi::Uint32Array>(env, outputs[o].ends));
  auto result = Napi::Object::New(env);
  result.Set("ends", output_ends);
  result.Set("cpu", thread_seconds() - began);
  return result;
}

}  // namespace

void export_tiles(Napi::Env env, Napi::Object exports) {
  exports.Set("gzipLibrary", Napi::String::New(env, Gzip::library()));
  exports.Set("swap", Napi::Function::New(env, swap));
  exports.Set("makeTemplate", Napi::Function::New(env, make_template));
  exports.Set("fillTemplate", Napi::Function::New(env, fill_template));
}

}  // namespace fields
