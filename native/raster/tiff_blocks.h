// Reads a TIFF's blocks (tiles or strips) and decodes them into a window.
#pragma once
#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace fields {

// The file's band: one sample per pixel, no predictor, bytes in this machine's order.
struct TiffBand {
  int fd;
  // The tag's value; see can_decode.
  uint32_t compression;
  uint32_t width, height;  // of the raster, pixels
  uint32_t block_width, block_height;
  bool tiled;  // tiles are whole beyond the raster's edge, the last strip ends with it
  uint32_t pixel_bytes;
  // By block, rows of blocks from north to south; a size of 0 if the file has none.
  const double *offsets, *sizes;
  // Value of a pixel in a missing block: `pixel_bytes` bytes.
  const uint8_t* fill;

  uint64_t across() const { return (uint64_t{width} + block_width - 1) / block_width; }
  uint64_t down() const { return (uint64_t{height} + block_height - 1) / block_height; }
};

struct TiffWindow {
  uint32_t col, row, width, height;  // within the raster, pixels
};

// An error in a block.
struct BlockError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// 1 none, 5 LZW, 8 and 32946 deflate, 50000 zstd; the latter if they were available at build time.
bool can_decode(uint32_t compression);

// Fills `pixels` with the window's rows, without gaps. Throws BlockError.
void read_window(const TiffBand& band, const TiffWindow& window, uint8_t* pixels);

}  // namespace fields
