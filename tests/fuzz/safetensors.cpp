// Tensors of a checkpoint, or of others' models.
#include "genai/core/safetensors.h"

#include "fuzz.h"

using namespace genai;

namespace {

/// The input without the eight bytes of its header's length: up to the first line end it is header.
std::string with_length(std::string_view text) {
  const size_t length = std::min(text.find('\n'), text.size());
  std::string bytes;
  for (size_t i = 0; i < 8; ++i) bytes += static_cast<char>(length >> (8 * i) & 0xFF);
  return bytes.append(text.substr(0, length))
      .append(text.substr(std::min(length + 1, text.size())));
}

void read_one(std::string_view bytes) {
  Tensors tensors;
  if (!reads([&] { tensors = read_safetensors(bytes, "fuzz"); })) return;
  const std::string written = write_safetensors(tensors);
  promise(write_safetensors(read_safetensors(written, "fuzz")) == written,
          "tensors are the same after writing and reading");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = view(data, size);
  read_one(bytes);
  read_one(with_length(bytes));
  return 0;
}
