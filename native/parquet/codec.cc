// binding.gyp defines FIELDS_... for each library whose header it finds.
#include "parquet/codec.h"

#include <cstring>
#include <new>

#ifdef FIELDS_ZSTD
#include <zstd.h>
#endif
#ifdef FIELDS_SNAPPY
#include <snappy-c.h>
#endif
#ifdef FIELDS_LIBDEFLATE
#include <libdeflate.h>
#endif
#ifdef FIELDS_LZ4
#include <lz4.h>
#endif

namespace fields {

bool can_decompress(int64_t codec) {
  switch (codec) {
    case static_cast<int64_t>(Codec::kNone):
#ifdef FIELDS_SNAPPY
    case static_cast<int64_t>(Codec::kSnappy):
#endif
#ifdef FIELDS_LIBDEFLATE
    case static_cast<int64_t>(Codec::kGzip):
    case static_cast<int64_t>(Codec::kZlib):
#endif
#ifdef FIELDS_ZSTD
    case static_cast<int64_t>(Codec::kZstd):
#endif
#ifdef FIELDS_LZ4
    case static_cast<int64_t>(Codec::kLz4Raw):
#endif
      return true;
    default: return false;
  }
}

Decompressor::Decompressor(Codec codec) : codec_(codec) {
#ifdef FIELDS_ZSTD
  if (codec == Codec::kZstd && (state_ = ZSTD_createDCtx()) == nullptr) throw std::bad_alloc();
#endif
#ifdef FIELDS_LIBDEFLATE
  if ((codec == Codec::kGzip || codec == Codec::kZlib) && (state_ = libdeflate_alloc_decompressor()) == nullptr)
    throw std::bad_alloc();
#endif
}

Decompressor::~Decompressor() {
#ifdef FIELDS_ZSTD
  if (codec_ == Codec::kZstd) ZSTD_freeDCtx(static_cast<ZSTD_DCtx*>(state_));
#endif
#ifdef FIELDS_LIBDEFLATE
  if (codec_ == Codec::kGzip || codec_ == Codec::kZlib)
    libdeflate_free_decompressor(static_cast<libdeflate_decompressor*>(state_));
#endif
}

bool Decompressor::run(const uint8_t* from, size_t from_size, uint8_t* to, size_t size) {
  switch (codec_) {
    case Codec::kNone:
      if (from_size != size) return false;
      std::memcpy(to, from, size);
      return true;
#ifdef FIELDS_SNAPPY
    case Codec::kSnappy: {
      const auto* bytes = reinterpret_cast<const char*>(from);
      size_t length = 0;
      if (snappy_uncompressed_length(bytes, from_size, &length) != SNAPPY_OK || length != size) return false;
      return snappy_uncompress(bytes, from_size, reinterpret_cast<char*>(to), &length) == SNAPPY_OK && length == size;
    }
#endif
#ifdef FIELDS_LIBDEFLATE
    case Codec::kGzip: {
      // Several members may follow one another.
      auto* state = static_cast<libdeflate_decompressor*>(state_);
      size_t done = 0;
      while (done < size || from_size > 0) {
        size_t used = 0, made = 0;
        if (libdeflate_gzip_decompress_ex(state, from, from_size, to + done, size - done, &used, &made) !=
            LIBDEFLATE_SUCCESS) {
          return false;
        }
        from += used;
        from_size -= used;
        done += made;
      }
      return true;
    }
    case Codec::kZlib:
      return libdeflate_zlib_decompress(static_cast<libdeflate_decompressor*>(state_), from, from_size, to, size,
                                        nullptr) == LIBDEFLATE_SUCCESS;
#endif
#ifdef FIELDS_ZSTD
    case Codec::kZstd: return ZSTD_decompressDCtx(static_cast<ZSTD_DCtx*>(state_), to, size, from, from_size) == size;
#endif
#ifdef FIELDS_LZ4
    case Codec::kLz4Raw:
      if (from_size > LZ4_MAX_INPUT_SIZE || size > LZ4_MAX_INPUT_SIZE) return false;
      return LZ4_decompress_safe(reinterpret_cast<const char*>(from), reinterpret_cast<char*>(to),
                                 static_cast<int>(from_size), static_cast<int>(size)) == static_cast<int>(size);
#endif
    default: return false;
  }
}

}  // namespace fields
