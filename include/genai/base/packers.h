// What general compressors make of some bytes, to compare with.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace genai {

struct PackedSize {
  std::string packer;
  uint64_t bytes;
};

/// gzip, bzip2 and xz at their highest levels (-9; xz -9e, with a dictionary no larger than the
/// bytes need). Throws Error{usage} for 2^31 bytes or more.
std::vector<PackedSize> packed_sizes(std::string_view bytes);

}  // namespace genai
