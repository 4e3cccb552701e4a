#include "genai/base/packers.h"

#include <bzlib.h>
#include <lzma.h>

#include <algorithm>
#include <bit>
#include <new>

#include "genai/base/error.h"
#include "genai/base/gzip.h"

namespace genai {
namespace {

uint64_t bzip2_size(std::string_view bytes) {
  std::string out(bytes.size() + bytes.size() / 100 + 600, '\0');  // the most, says its manual
  auto size = static_cast<unsigned>(out.size());
  const int state = BZ2_bzBuffToBuffCompress(out.data(), &size, const_cast<char*>(bytes.data()),
                                             static_cast<unsigned>(bytes.size()), 9, 0, 0);
  if (state != BZ_OK) throw std::bad_alloc();
  return size;
}

uint64_t xz_size(std::string_view bytes) {
  lzma_options_lzma options;
  if (lzma_lzma_preset(&options, 9 | LZMA_PRESET_EXTREME)) throw std::bad_alloc();
  const uint64_t needed = std::bit_ceil(std::max<uint64_t>(bytes.size(), LZMA_DICT_SIZE_MIN));
  options.dict_size = static_cast<uint32_t>(std::min<uint64_t>(options.dict_size, needed));
  const lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  std::string out(lzma_stream_buffer_bound(bytes.size()), '\0');
  size_t size = 0;
  const lzma_ret state =
      lzma_stream_buffer_encode(const_cast<lzma_filter*>(filters), LZMA_CHECK_CRC64, nullptr,
                                reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
                                reinterpret_cast<uint8_t*>(out.data()), &size, out.size());
  if (state != LZMA_OK) throw std::bad_alloc();
  return size;
}

}  // namespace

std::vector<PackedSize> packed_sizes(std::string_view bytes) {
  if (bytes.size() >= size_t{1} << 31)
    fail(ErrorKind::usage, "expected fewer than 2^31 bytes to compare with, found ", bytes.size());
  return {{"gzip", gzip(bytes).size()}, {"bzip2", bzip2_size(bytes)}, {"xz", xz_size(bytes)}};
}

}  // namespace genai
