#include "tiles/gzip.h"

#include <new>
#include <string>

#ifdef FIELDS_LIBDEFLATE
#include <libdeflate.h>
#else
#include <zlib.h>
#endif

namespace fields {
namespace {

constexpr size_t kHeaderAndTrailer = 18;
// deflate gives at most 1032 bytes for one; a damaged length must not allocate gigabytes.
constexpr uint64_t kMaxPlainPerByte = 1032;

[[noreturn]] void corrupt() { throw TileError("content cannot be decompressed"); }

// The plain size, which gzip keeps in its last four bytes.
size_t plain_size(const uint8_t* from, size_t size) {
  if (size < kHeaderAndTrailer) corrupt();
  const uint8_t* at = from + size - 4;
  const uint32_t plain = at[0] | at[1] << 8 | at[2] << 16 | static_cast<uint32_t>(at[3]) << 24;
  if (plain > size * kMaxPlainPerByte) corrupt();
  return plain;
}

}  // namespace

#ifdef FIELDS_LIBDEFLATE

struct Gzip::State {
  libdeflate_compressor* compressor;
  libdeflate_decompressor* decompressor;
  explicit State(int level)
      : compressor(libdeflate_alloc_compressor(level)), decompressor(libdeflate_alloc_decompressor()) {}
  ~State() {
    libdeflate_free_compressor(compressor);
    libdeflate_free_decompressor(decompressor);
  }
};

Gzip::Gzip(int level) : state_(new State(level)) {
  if (state_->compressor == nullptr || state_->decompressor == nullptr) throw std::bad_alloc();
}

uint32_t crc32_of(uint32_t crc, const uint8_t* from, size_t size) { return libdeflate_crc32(crc, from, size); }

const char* Gzip::library() { return "libdeflate " LIBDEFLATE_VERSION_STRING; }

void Gzip::inflate(const uint8_t* from, size_t size, Buffer& out) {
  const size_t plain = plain_size(from, size);
  out.size = 0;
  // Never a null pointer, also for nothing.
  uint8_t* const to = out.room(plain + 1);
  size_t taken = 0, given = 0;
  const auto result = libdeflate_gzip_decompress_ex(state_->decompressor, from, size, to, plain, &taken, &given);
  if (result != LIBDEFLATE_SUCCESS || taken != size || given != plain) corrupt();
  out.size = plain;
}

void Gzip::deflate(const uint8_t* from, size_t size, Buffer& out) {
  const size_t bound = libdeflate_gzip_compress_bound(state_->compressor, size);
  out.size += libdeflate_gzip_compress(state_->compressor, from, size, out.room(bound), bound);
}

#else

struct Gzip::State {
  z_stream deflater{}, inflater{};
  bool deflates, inflates;
  explicit State(int level)
      : deflates(deflateInit2(&deflater, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK),
        inflates(inflateInit2(&inflater, 15 + 16) == Z_OK) {}
  ~State() {
    if (deflates) deflateEnd(&deflater);
    if (inflates) inflateEnd(&inflater);
  }
};

Gzip::Gzip(int level) : state_(new State(level)) {
  if (!state_->deflates || !state_->inflates) throw std::bad_alloc();
}

uint32_t crc32_of(uint32_t crc, const uint8_t* from, size_t size) {
  return static_cast<uint32_t>(crc32_z(crc, from, size));
}

const char* Gzip::library() {
  static const std::string name = std::string("zlib ") + zlibVersion();
  return name.c_str();
}

void Gzip::inflate(const uint8_t* from, size_t size, Buffer& out) {
  const size_t plain = plain_size(from, size);
  out.size = 0;
  z_stream& stream = state_->inflater;
  inflateReset(&stream);
  stream.next_in = const_cast<uint8_t*>(from);
  stream.avail_in = static_cast<uInt>(size);
  // One byte more, so that a content that is longer than it says does not fit.
  stream.next_out = out.room(plain + 1);
  stream.avail_out = static_cast<uInt>(plain + 1);
  const int result = ::inflate(&stream, Z_FINISH);
  if (result != Z_STREAM_END || stream.avail_in != 0 || stream.avail_out != 1) corrupt();
  out.size = plain;
}

void Gzip::deflate(const uint8_t* from, size_t size, Buffer& out) {
  z_stream& stream = state_->deflater;
  deflateReset(&stream);
  const size_t bound = deflateBound(&stream, static_cast<uLong>(size));
  stream.next_in = const_cast<uint8_t*>(from);
  stream.avail_in = static_cast<uInt>(size);
  stream.next_out = out.room(bound);
  stream.avail_out = static_cast<uInt>(bound);
  if (::deflate(&stream, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("zlib failed");
  out.size += bound - stream.avail_out;
}

#endif

Gzip::~Gzip() = default;

}  // namespace fields
