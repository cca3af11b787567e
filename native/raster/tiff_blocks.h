// A TIFF's blocks (tiles or strips) read and decoded where they are wanted.
#pragma once
#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace fields {

// The file's band: one sample a pixel, no predictor, bytes in this machine's order.
struct TiffBand {
  int fd;
  // As the tag has it; see can_decode.
  uint32_t compression;
  uint32_t width, height;  // of the raster, pixels
  uint32_t block_width, block_height;
  bool tiled;  // tiles are whole beyond the raster's edge, the last strip ends with it
  uint32_t pixel_bytes;
  // By block, rows of blocks from north to south; a size of 0 where the file has none.
  const double *offsets, *sizes;
  // What a pixel of a missing block is: `pixel_bytes` bytes.
  const uint8_t* fill;

  uint64_t across() const { return (uint64_t{width} + block_width - 1) / block_width; }
  uint64_t down() const { return (uint64_t{height} + block_height - 1) / block_height; }
};

struct TiffWindow {
  uint32_t col, row, width, height;  // within the raster, pixels
};

// What is wrong with a block, for its reader.
struct BlockError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// 1 none, 5 LZW, 8 and 32946 deflate, 50000 zstd: the latter where this was built with them.
bool can_decode(uint32_t compression);

// Fills `pixels`, the window's rows one behind the other. Throws BlockError.
void read_window(const TiffBand& band, const TiffWindow& window, uint8_t* pixels);

}  // namespace fields
