// The tokenizer of a folder of GPT-2's form: one file after the other, each ended by a zero byte.
#include "fuzz.h"
#include "genai/base/json.h"
#include "genai/data/bpe.h"
#include "scratch.h"

using namespace genai;

namespace {

/// The members of a vocabulary for the 256 bytes in the place of "BYTES":0.
std::string with_bytes(std::string text) {
  const std::string mark = "\"BYTES\":0";
  std::string letters;
  for (size_t id = 0; id < byte_tokens().size(); ++id)
    letters += concat(id ? "," : "", Json(to_byte_letters(byte_tokens()[id])).dump(), ":", id);
  if (const size_t at = text.find(mark); at != text.npos) text.replace(at, mark.size(), letters);
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes = view(data, size);
  const std::string sample(take_until(bytes, '\0'));
  for (const char* name : {"tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json",
                           "tokenizer_config.json"}) {
    const std::string content = with_bytes(std::string(take_until(bytes, '\0')));
    std::filesystem::remove(scratch() / name);
    if (!content.empty()) put(scratch() / name, content);
  }
  std::string vocabulary, merges;
  reads([&] {
    const Bpe bpe = Bpe::read_folder(scratch());
    std::string back;
    for (const int32_t id : bpe.encode(sample)) back += bpe.tokens().at(to_index(id));
    promise(back == sample, "tokens and back");
    vocabulary = bpe.vocabulary_file();
    merges = bpe.merges_file();
    promise(bpe.end() < static_cast<int32_t>(bpe.tokens().size()), "the end is a token");
  });
  return 0;
}
