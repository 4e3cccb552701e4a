#include "genai/generation/provenance.h"

#include "genai/base/animation.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/hash.h"
#include "genai/base/png.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

/// A prompt stands in it.
constexpr uint64_t kMaxSidecar = uint64_t{64} << 20;

}  // namespace

Json read_provenance(const std::string& picture, const std::string& name) {
  if (picture.starts_with("GIF8")) {
    const std::string comment = read_gif_comment(picture);
    return comment.starts_with('{') ? parse_json(comment, name, ErrorKind::data) : Json();
  }
  for (const PngText& text : decode_png(picture, name).text) {
    if (text.keyword == kProvenanceKeyword) return parse_json(text.text, name, ErrorKind::data);
  }
  return nullptr;
}

fs::path sidecar_path(const fs::path& file) {
  return file.string() + ".json";
}

Json read_sidecar(const fs::path& file) {
  const fs::path path = sidecar_path(file);
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return nullptr;
  Json made = parse_json(read_file(path, kMaxSidecar), path.string(), ErrorKind::data,
                         {.bytes = kMaxSidecar});
  const bool ours = made.is_object() && made.contains("genai") && made.contains("request") &&
                    made.contains("sha256");
  return ours ? made : Json();
}

void check_sidecar(const fs::path& file) {
  const fs::path path = sidecar_path(file);
  std::error_code error;
  if (!fs::exists(fs::symlink_status(path, error))) return;
  bool ours = false;
  try {
    ours = !read_sidecar(file).is_null();
  } catch (const Error&) {
    // Told below.
  }
  if (!ours)
    fail(ErrorKind::usage, "request.out: how ", file.string(), " was made is written to ",
         path.string(), ", where another file is; choose another name, or request.metadata none");
}

std::string sidecar(const std::string& content, Json made) {
  made["sha256"] = sha256(content);
  return made.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void write_sidecar(const fs::path& file, const std::string& content, Json made) {
  std::error_code error;
  if (fs::is_regular_file(file, error))
    write_output(sidecar_path(file), sidecar(content, std::move(made)));
}

}  // namespace genai
