// Counts each class in a row of bytes.
#pragma once
#include <cstdint>
#include <vector>

namespace fields {

// Bytes that may be read beyond the counted ones.
constexpr uint32_t kTallySlack = 32;
constexpr uint32_t kMaxTally = 4096;

// The classes of the first `n` bytes (1 to kMaxTally) and how often each comes, in any order, 256 at most.
// Returns how many classes there are.
using Tally = uint32_t (*)(const uint8_t* bytes, uint32_t n, uint8_t* classes, uint32_t* counts);

// The fastest for this processor.
Tally choose_tally();
// All that run on it, for comparison in tests.
std::vector<Tally> all_tallies();

}  // namespace fields
