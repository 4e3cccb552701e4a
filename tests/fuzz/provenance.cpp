// What a picture says of how it was made; an input that is no PNG is the text in one.
#include "genai/generation/provenance.h"

#include "fuzz.h"
#include "png_repair.h"

using namespace genai;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = view(data, size);
  std::string png = repaired_png(bytes);
  if (!bytes.starts_with(kPngSignature)) {
    const std::string keyword = kProvenanceKeyword;
    png = png_file(png_header(1, 1, 8, 0), std::string(2, '\0'),
                   png_chunk("iTXt", keyword + std::string(5, '\0') + std::string(bytes)));
  }
  Json made;
  if (reads([&] { made = read_provenance(png, "fuzz"); })) made.dump();
  return 0;
}
