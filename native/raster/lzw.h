// TIFF's LZW (TIFF 6.0, section 13): codes of 9 to 12 bits, most significant bit first.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fields {

// Bytes after `from` that may be read, and after `to` that may be written, with any content.
constexpr size_t kLzwSlack = 16;

// Fills exactly `size` bytes of `to`; the rest of `from` is ignored. False if `from` is too short, has
// a string that exceeds the end, or is another kind of LZW, such as that of old writers, least significant bit first.
bool lzw_decode(const uint8_t* from, size_t from_size, uint8_t* to, size_t size);

}  // namespace fields
