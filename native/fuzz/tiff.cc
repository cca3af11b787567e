// LZW streams of any codes, and blocks at any offset, under the sanitizers: fuzz_tiff [rounds] [seed].
// README.md has the command that builds it. It prints counts of what was reached, so an ineffective run shows.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "raster/lzw.h"
#include "raster/tiff_blocks.h"

namespace {

using namespace fields;
using Bytes = std::vector<uint8_t>;

std::mt19937_64 engine;
std::map<std::string, long> outcomes;

uint32_t below(uint64_t n) { return static_cast<uint32_t>(engine() % n); }

class BitWriter {
 public:
  void put(uint32_t code, unsigned width) {
    for (unsigned i = width; i-- > 0;) {
      if (bits_ % 8 == 0) bytes.push_back(0);
      bytes.back() |= static_cast<uint8_t>((code >> i & 1) << (7 - bits_++ % 8));
    }
  }
  Bytes bytes;

 private:
  size_t bits_ = 0;
};

// Codes, and the bytes that they stand for, by a decoder that stores whole strings.
Bytes random_codes(uint32_t count, bool damaged, Bytes& expected) {
  BitWriter out;
  std::vector<Bytes> strings;
  Bytes last;
  unsigned width = 9;
  const auto clear = [&] {
    out.put(256, width);
    strings.clear();
    last.clear();
    width = 9;
  };
  clear();
  const uint32_t novel = 1 + below(40);
  for (uint32_t i = 0; i < count; i++) {
    if (258 + strings.size() >= 4093 || below(3000) == 0) clear();
    uint32_t code = below(256);
    if (!last.empty() && below(novel) != 0) code = 258 + below(strings.size() + 1);
    if (damaged && below(500) == 0) code = below(4096);
    out.put(code & ((1u << width) - 1), width);
    Bytes string(1, static_cast<uint8_t>(code));
    if (code >= 258 && code - 258 <= strings.size()) {
      string = code - 258 < strings.size() ? strings[code - 258] : last;
      if (code - 258 == strings.size()) string.push_back(last.empty() ? 0 : last[0]);
    }
    if (!last.empty()) {
      last.push_back(string[0]);
      strings.push_back(last);
      if (258 + strings.size() == (1u << width) - 1 && width < 12) width++;
    }
    expected.insert(expected.end(), string.begin(), string.end());
    last = string;
  }
  return out.bytes;
}

// Up to `most` codes. The allocation ends with the slack, so reading one byte too many is found.
bool decode_lzw(uint32_t most) {
  Bytes expected;
  const bool damaged = below(3) == 0;
  Bytes stored = random_codes(1 + below(most), damaged, expected);
  const size_t size = below(8) == 0 ? below(expected.size() + 100) : expected.size();
  if (damaged && below(2) == 0) stored.resize(below(stored.size() + 1));
  const size_t stored_size = stored.size();
  stored.resize(stored_size + kLzwSlack);
  Bytes decoded(size + kLzwSlack, 0xa5);
  const bool fits = lzw_decode(stored.data(), stored_size, decoded.data(), size);
  outcomes[fits ? "streams decoded" : "streams refused"]++;
  if (damaged) return true;
  // A stream that continues may be cut inside a string, which is an error.
  if (!fits) return size != expected.size();
  return size <= expected.size() && std::memcmp(decoded.data(), expected.data(), size) == 0;
}

void read_anywhere(int fd, uint64_t file_size) {
  TiffBand band{};
  band.fd = fd;
  const uint32_t compressions[] = {1, 5, 8, 50000};
  band.compression = compressions[below(4)];
  if (!can_decode(band.compression)) return;
  band.width = 1 + below(100);
  band.height = 1 + below(100);
  band.tiled = below(2) == 0;
  band.block_width = band.tiled ? 1 + below(64) : band.width;
  band.block_height = 1 + below(64);
  band.pixel_bytes = 1u << below(4);
  std::vector<double> offsets(band.across() * band.down()), sizes(offsets.size());
  double at = below(file_size);
  for (size_t i = 0; i < offsets.size(); i++) {
    sizes[i] = below(10) == 0  ? 0
               : below(3) == 0 ? below(5000)
                               : band.block_width * band.block_height * band.pixel_bytes;
    offsets[i] = below(4) == 0 ? below(file_size) : at;
    if (below(40) == 0) offsets[i] = std::ldexp(below(1000) - 500.0, below(60));
    at = offsets[i] + sizes[i];
  }
  band.offsets = offsets.data();
  band.sizes = sizes.data();
  const uint8_t fill[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  band.fill = fill;
  TiffWindow window{below(band.width), below(band.height), 0, 0};
  window.width = 1 + below(band.width - window.col);
  window.height = 1 + below(band.height - window.row);
  std::unique_ptr<uint8_t[]> pixels(new uint8_t[size_t{window.width} * window.height * band.pixel_bytes]);
  try {
    read_window(band, window, pixels.get());
    outcomes["windows read"]++;
  } catch (const BlockError& error) {
    const std::string text = error.what();
    outcomes[text.substr(text.find(": ") + 2)]++;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const long rounds = argc > 1 ? std::atol(argv[1]) : 1000;
  engine.seed(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
  std::FILE* const file = std::tmpfile();
  if (file == nullptr) return 2;
  Bytes expected;
  uint64_t file_size = 0;
  for (int i = 0; i < 20; i++) {
    const Bytes codes = random_codes(3000, false, expected);
    file_size += std::fwrite(codes.data(), 1, codes.size(), file);
  }
  std::fflush(file);
  for (long round = 0; round < rounds; round++) {
    bool sound = decode_lzw(6000);
    for (int i = 0; sound && i < 100; i++) sound = decode_lzw(60);
    if (!sound) {
      std::printf("a stream does not give its bytes, round %ld\n", round);
      return 1;
    }
    for (int i = 0; i < 20; i++) read_anywhere(fileno(file), file_size);
  }
  long executions = 0;
  for (const auto& [what, n] : outcomes) {
    std::printf("%8ld  %s\n", n, what.c_str());
    executions += n;
  }
  std::printf("executions %ld\n", executions);
  return 0;
}
