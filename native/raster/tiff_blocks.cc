#include "raster/tiff_blocks.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "parquet/codec.h"
#include "raster/lzw.h"

namespace fields {
namespace {

constexpr uint32_t kNone = 1, kLzw = 5, kDeflate = 8, kOldDeflate = 32946, kZstd = 50000;
// Limit of a block's size, so a damaged file cannot request more memory.
constexpr double kMaxBytes = 1 << 30;
// Contiguous blocks are read together, up to this many bytes.
constexpr size_t kReadBytes = 1 << 20;

Codec codec_of(uint32_t compression) {
  switch (compression) {
    case kDeflate:
    case kOldDeflate: return Codec::kZlib;
    case kZstd: return Codec::kZstd;
    default: return Codec::kNone;
  }
}

[[noreturn]] void broken(uint64_t block, const char* what) {
  throw BlockError("block " + std::to_string(block) + ": " + what);
}

// Memory that is not initialized.
struct Bytes {
  std::unique_ptr<uint8_t[]> data;
  size_t size = 0;
  uint8_t* room(size_t wanted) {
    if (wanted > size) {
      data.reset(new uint8_t[wanted]);
      size = wanted;
    }
    return data.get();
  }
};

class Reader {
 public:
  Reader(const TiffBand& band, const TiffWindow& window, uint8_t* pixels)
      : band_(band), window_(window), pixels_(pixels), decompressor_(codec_of(band.compression)) {}

  void run() {
    const uint64_t first_col = window_.col / band_.block_width,
                   end_col = past(window_.col, window_.width, band_.block_width);
    const uint64_t first_row = window_.row / band_.block_height,
                   end_row = past(window_.row, window_.height, band_.block_height);
    for (uint64_t row = first_row; row < end_row; row++) {
      for (uint64_t col = first_col; col < end_col; col++) read_block(row, col, end_col);
    }
  }

 private:
  static uint64_t past(uint64_t from, uint64_t size, uint64_t block) { return (from + size + block - 1) / block; }

  void read_block(uint64_t row, uint64_t col, uint64_t end_col) {
    const uint64_t block = row * band_.across() + col;
    // The requested part of the block.
    const uint64_t left = std::max<uint64_t>(col * band_.block_width, window_.col),
                   right = std::min<uint64_t>((col + 1) * band_.block_width, uint64_t{window_.col} + window_.width),
                   top = std::max<uint64_t>(row * band_.block_height, window_.row),
                   bottom = std::min<uint64_t>((row + 1) * band_.block_height, uint64_t{window_.row} + window_.height);
    const size_t pixel = band_.pixel_bytes, stride = window_.width * pixel;
    uint8_t* const to = pixels_ + (top - window_.row) * stride + (left - window_.col) * pixel;
    const size_t length = (right - left) * pixel;
    if (!(band_.sizes[block] > 0)) {
      for (uint64_t y = 0; y < bottom - top; y++) fill(to + y * stride, length);
      return;
    }
    const size_t block_stride = band_.block_width * pixel;
    const uint64_t rows = band_.tiled ? band_.block_height
                                      : std::min<uint64_t>(band_.block_height, band_.height - row * band_.block_height);
    const size_t size = rows * block_stride;
    const uint8_t* const stored = stored_block(block, end_col - col);
    // Decode directly into the window if the rows match and decoding may write slightly beyond.
    const bool whole = length == stride && block_stride == stride && bottom - top == rows;
    const uint64_t left_over = (uint64_t{window_.row} + window_.height - bottom) * stride;
    const bool in_place = whole && left_over >= kLzwSlack;
    uint8_t* const decoded = in_place ? to : decoded_.room(size + kLzwSlack);
    if (!decode(stored, static_cast<size_t>(band_.sizes[block]), decoded, size)) broken(block, "does not decode");
    if (in_place) return;
    const uint8_t* from =
        decoded + (top - row * band_.block_height) * block_stride + (left - col * band_.block_width) * pixel;
    for (uint64_t y = 0; y < bottom - top; y++) std::memcpy(to + y * stride, from + y * block_stride, length);
  }

  void fill(uint8_t* to, size_t length) const {
    const size_t pixel = band_.pixel_bytes;
    if (pixel == 1) {
      std::memset(to, *band_.fill, length);
      return;
    }
    std::memcpy(to, band_.fill, pixel);
    // Twice as much each time.
    for (size_t done = pixel; done < length; done *= 2) std::memcpy(to + done, to, std::min(done, length - done));
  }

  // Valid until the next call. The next `ahead` - 1 blocks may be requested too.
  const uint8_t* stored_block(uint64_t block, uint64_t ahead) {
    const double offset = band_.offsets[block], size = band_.sizes[block];
    if (!(size <= kMaxBytes && offset >= 0 && offset <= 9e15)) broken(block, "lies nowhere in the file");
    if (!(offset >= read_from_ && offset + size <= read_to_)) {
      double end = offset + size;
      for (uint64_t next = block + 1; next < block + ahead; next++) {
        if (band_.offsets[next] != end || end + band_.sizes[next] - offset > kReadBytes) break;
        end += band_.sizes[next];
      }
      read_from_ = read_to_ = 0;
      fill_stored(block, static_cast<uint64_t>(offset), static_cast<size_t>(end - offset));
      read_from_ = offset;
      read_to_ = end;
    }
    return stored_.data.get() + static_cast<size_t>(offset - read_from_);
  }

  void fill_stored(uint64_t block, uint64_t offset, size_t size) {
    uint8_t* const to = stored_.room(size + kLzwSlack);
    std::memset(to + size, 0, kLzwSlack);
    for (size_t done = 0; done < size;) {
      const ssize_t count = pread(band_.fd, to + done, size - done, static_cast<off_t>(offset + done));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) broken(block, std::strerror(errno));
      if (count == 0) broken(block, "the file ends before it");
      done += static_cast<size_t>(count);
    }
  }

  bool decode(const uint8_t* from, size_t from_size, uint8_t* to, size_t size) {
    if (band_.compression == kLzw) return lzw_decode(from, from_size, to, size);
    // Some writers leave bytes after the last row.
    if (band_.compression == kNone) from_size = std::min(from_size, size);
    return decompressor_.run(from, from_size, to, size);
  }

  const TiffBand& band_;
  const TiffWindow& window_;
  uint8_t* pixels_;
  Decompressor decompressor_;
  Bytes stored_, decoded_;
  // The range of the file that is in `stored_`.
  double read_from_ = 0, read_to_ = 0;
};

}  // namespace

bool can_decode(uint32_t compression) {
  switch (compression) {
    case kNone:
    case kLzw: return true;
    case kDeflate:
    case kOldDeflate:
    case kZstd: return can_decompress(static_cast<int64_t>(codec_of(compression)));
    default: return false;
  }
}

void read_window(const TiffBand& band, const TiffWindow& window, uint8_t* pixels) {
  Reader(band, window, pixels).run();
}

}  // namespace fields
