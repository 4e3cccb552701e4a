#include "genai/generation/provenance.h"

#include "genai/base/png.h"

namespace genai {

Json read_provenance(const std::string& png, const std::string& name) {
  for (const PngText& text : decode_png(png, name).text) {
    if (text.keyword == kProvenanceKeyword) return parse_json(text.text, name, ErrorKind::data);
  }
  return nullptr;
}

}  // namespace genai
