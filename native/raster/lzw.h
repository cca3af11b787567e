// TIFF's LZW (TIFF 6.0, section 13): codes of 9 to 12 bits, most significant bit first.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fields {

// Bytes after `from` that may be read, and after `to` that may be written, whatever they hold.
constexpr size_t kLzwSlack = 16;

// Fills exactly `size` bytes of `to`; what follows in `from` is not looked at. False where `from` ends before, holds
// a string that runs over the end or is not of this kind: the LZW of old writers, least significant bit first, too.
bool lzw_decode(const uint8_t* from, size_t from_size, uint8_t* to, size_t size);

}  // namespace fields
