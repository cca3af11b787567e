// Glue between JavaScript and the reader of rasters.
#include "node/addon.h"
#include "raster/tiff_blocks.h"

namespace fields {
namespace {

constexpr uint64_t kMaxBytes = uint64_t{1} << 31;

uint32_t size_of(const Napi::Object& from, const char* name) {
  return static_cast<uint32_t>(integer_of(from.Get(name), name, 1, kMaxBytes));
}

TiffBand band_of(const Napi::Object& from) {
  const Napi::Env env = from.Env();
  TiffBand band{};
  band.fd = static_cast<int>(integer_of(from.Get("fd"), "fd", 0, INT32_MAX));
  band.compression = static_cast<uint32_t>(integer_of(from.Get("compression"), "compression", 0, UINT16_MAX));
  if (!can_decode(band.compression)) fail(env, "compression: one that is not decoded");
  band.width = size_of(from, "width");
  band.height = size_of(from, "height");
  band.block_width = size_of(from, "blockWidth");
  band.block_height = size_of(from, "blockHeight");
  band.tiled = from.Get("tiled").ToBoolean();
  if (!band.tiled && band.block_width != band.width) fail(env, "blockWidth: strips are as wide as the raster");
  const auto fill = array_of<Napi::Uint8Array>(from.Get("fill"), "fill");
  if (fill.ElementLength() == 0 || fill.ElementLength() > 8) fail(env, "fill: the bytes of a pixel were expected");
  band.pixel_bytes = static_cast<uint32_t>(fill.ElementLength());
  band.fill = fill.Data();
  if (uint64_t{band.block_width} * band.block_height * band.pixel_bytes > kMaxBytes) fail(env, "blocks: too large");
  const auto offsets = array_of<Napi::Float64Array>(from.Get("offsets"), "offsets");
  const auto sizes = array_of<Napi::Float64Array>(from.Get("sizes"), "sizes");
  const uint64_t blocks = band.across() * band.down();
  if (offsets.ElementLength() != blocks || sizes.ElementLength() != blocks)
    fail(env, "offsets: one a block was expected");
  band.offsets = elements_of<double>(offsets);
  band.sizes = elements_of<double>(sizes);
  return band;
}

// readBlocks(band, {col, row, width, height}, pixels)
void read_blocks(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const TiffBand band = band_of(object_of(info[0], "band"));
  const auto from = object_of(info[1], "window");
  TiffWindow window{};
  window.col = static_cast<uint32_t>(integer_of(from.Get("col"), "col", 0, band.width - 1));
  window.row = static_cast<uint32_t>(integer_of(from.Get("row"), "row", 0, band.height - 1));
  window.width = static_cast<uint32_t>(integer_of(from.Get("width"), "width", 1, band.width - window.col));
  window.height = static_cast<uint32_t>(integer_of(from.Get("height"), "height", 1, band.height - window.row));
  const auto pixels = any_array_of(info[2], "pixels");
  if (pixels.ElementSize() != band.pixel_bytes || pixels.ElementLength() != size_t{window.width} * window.height) {
    fail(env, "pixels: one a pixel of the window was expected");
  }
  try {
    read_window(band, window, elements_of<uint8_t>(pixels));
  } catch (const BlockError& error) {
    auto wrong = Napi::Error::New(env, error.what());
    wrong.Set("code", "BLOCK");
    throw wrong;
  }
}

// canDecode(compression) -> boolean
Napi::Value can_decode_blocks(const Napi::CallbackInfo& info) {
  const auto compression = static_cast<uint32_t>(integer_of(info[0], "compression", 0, UINT16_MAX));
  return Napi::Boolean::New(info.Env(), can_decode(compression));
}

}  // namespace

void export_raster(Napi::Env env, Napi::Object exports) {
  exports.Set("readBlocks", Napi::Function::New(env, read_blocks));
  exports.Set("canDecode", Napi::Function::New(env, can_decode_blocks));
}

}  // namespace fields
