// Compressions of parquet pages and TIFF blocks, by the libraries that were there when this was built.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace fields {

// Numbered as in parquet.thrift, except zlib, which parquet does not have.
enum class Codec : uint8_t { kNone = 0, kSnappy = 1, kGzip = 2, kZstd = 6, kLz4Raw = 7, kZlib = 255 };

bool can_decompress(int64_t codec);

// A codec's working memory, reused from page to page.
class Decompressor {
 public:
  explicit Decompressor(Codec codec);
  ~Decompressor();
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  // Fills exactly `size` bytes of `to`; false if `from` is damaged or has another size.
  bool run(const uint8_t* from, size_t from_size, uint8_t* to, size_t size);

 private:
  Codec codec_;
  void* state_ = nullptr;
};

}  // namespace fields
