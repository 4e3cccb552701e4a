// A tokenizer of a run, as JSON behind a text for it, which a zero byte ends.
#include "genai/data/tokenizer.h"

#include "fuzz.h"
#include "genai/data/series.h"

using namespace genai;

namespace {

/// Stands for the letters of the 256 bytes, which few changes to a text leave whole.
const std::string kBytes = "\"BYTES\"";

std::string with_bytes(std::string text) {
  std::string letters;
  for (const std::string& byte : byte_tokens())
    letters += (letters.empty() ? "" : ",") + Json(to_byte_letters(byte)).dump();
  if (const size_t at = text.find(kBytes); at != text.npos)
    text.replace(at, kBytes.size(), letters);
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = view(data, size);
  const std::string_view sample = take_until(text, '\0');
  std::shared_ptr<const Tokenizer> tokenizer;
  const bool good = reads([&] {
    tokenizer = tokenizer_from_json(
        parse_json(with_bytes(std::string(text)), "fuzz", ErrorKind::data), "fuzz");
  });
  if (!good) return 0;
  const Json json = tokenizer->to_json();
  promise(tokenizer_from_json(json, "fuzz")->to_json() == json, "a tokenizer from its own JSON");
  promise(tokenizer->end_token() < tokenizer->size(), "the end is a token");
  for (int32_t id = 0; id < tokenizer->size(); ++id) tokenizer->token(id);
  if (tokenizer->bpe()) tokenizer->bpe()->vocabulary_file();
  reads([&] {
    const std::vector<int32_t> ids = tokenizer->encode(sample);
    for (const int32_t id : ids) promise(id >= 0 && id < tokenizer->size(), "ids are of tokens");
    const std::string back = tokenizer->decode(ids);
    promise(tokenizer->changes() || back == sample, "tokens and back");
  });
  return 0;
}
