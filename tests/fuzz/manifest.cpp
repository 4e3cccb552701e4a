// The manifest of a checkpoint, as the JSON that is sealed in it (or already is), and behind a zero
// byte the file of its tokenizer.
#include "fuzz.h"
#include "genai/base/files.h"
#include "genai/base/hash.h"
#include "genai/run/checkpoint.h"
#include "scratch.h"

using namespace genai;
namespace fs = std::filesystem;

namespace {

/// Stands for the SHA-256 of the tokenizer's file.
const std::string kHash = "TOKENIZER";

std::string sealed(std::string text) {
  Json content;
  const bool good = reads([&] { content = parse_json(text, "fuzz", ErrorKind::data); });
  const bool already = content.is_object() && content.contains("content");
  return good && !already ? seal_json(content) : text;
}

void read_one(const fs::path& checkpoint) {
  Manifest manifest;
  if (!reads([&] { manifest = read_manifest(checkpoint); })) return;
  manifest.weights_sha256();
  reads([&] { data_config_of(scratch(), manifest); });
  reads([&] { load_checkpoint(checkpoint, true); });
  // What was read can be saved, and is the same when it is read again.
  const fs::path run = scratch() / "run";
  fs::remove_all(run);
  std::string saved;
  reads([&] {
    save_checkpoint(run, manifest, {}, {});
    const fs::path first = find_checkpoint(run, "");
    saved = read_file(first / "manifest.json", 1 << 24);
    Manifest again = read_manifest(first);
    fs::remove_all(run);
    save_checkpoint(run, again, {}, {});
    promise(read_file(find_checkpoint(run, "") / "manifest.json", 1 << 24) == saved,
            "a manifest is the same after writing and reading");
  });
  promise(!saved.empty(), "what was read can be saved");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes = view(data, size);
  std::string text(take_until(bytes, '\0'));
  if (const size_t at = text.find(kHash); at != text.npos)
    text.replace(at, kHash.size(), sha256(bytes));
  put(scratch() / "tokenizer.json", bytes);
  put(scratch() / "manifest.json", sealed(text));
  read_one(scratch());
  return 0;
}
