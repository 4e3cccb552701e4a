// Text files of any encoding, and the pieces and tokens of their text.
#include "fuzz.h"
#include "genai/data/text_file.h"
#include "genai/data/tokenizer.h"
#include "genai/data/unicode.h"

using namespace genai;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text;
  if (!reads([&] { text = plain_text(std::string(view(data, size)), "fuzz"); })) return 0;
  if (text.size() > 4096) text.resize(4096);  // a packed one may be large
  std::string again;
  split_pieces(text, [&](std::string_view piece) {
    promise(!piece.empty(), "a piece has letters");
    again += piece;
  });
  promise(again == text, "the pieces together are the text");
  promise(from_byte_letters(to_byte_letters(text), "fuzz") == text, "byte letters and back");
  promise(valid_utf8(valid_utf8(text)) == valid_utf8(text), "valid UTF-8 stays");
  visible_text(text);
  for (const TokenizerKind kind : {TokenizerKind::characters, TokenizerKind::bytes,
                                   TokenizerKind::words, TokenizerKind::bpe}) {
    reads([&] {
      const auto tokenizer = make_tokenizer(kind, text, kind == TokenizerKind::bpe ? 280 : 0);
      promise(tokenizer->decode(tokenizer->encode(text)) == text, "tokens and back");
      const Json json = tokenizer->to_json();
      promise(tokenizer_from_json(json, "fuzz")->to_json() == json, "a tokenizer from its JSON");
    });
  }
  return 0;
}
