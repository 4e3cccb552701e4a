#include <iostream>

#include "command.h"
#include "genai/base/animation.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/hash.h"
#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/generation/provenance.h"
#include "genai/run/parts.h"

namespace genai::tool {
namespace {

namespace fs = std::filesystem;

/// A PNG, or of a GIF the size and the text that ours hold.
Png read_told(const fs::path& path) {
  const std::string bytes = read_file(path, kMaxPicture);
  if (!bytes.starts_with("GIF8") || bytes.size() < 10) return decode_png(bytes, path.string());
  const auto side = [&](size_t at) {
    return static_cast<uint8_t>(bytes[at]) | static_cast<uint8_t>(bytes[at + 1]) << 8;
  };
  Png told;
  told.image = {.width = side(6), .height = side(8), .channels = 3, .pixels = {}};
  if (std::string text = read_gif_comment(bytes); !text.empty()) {
    told.text.push_back({"genai", std::move(text), true});
  }
  return told;
}

int inspect_picture(const fs::path& path, bool json) {
  const Png png = read_told(path);
  Json list = Json::object();
  for (const PngText& text : png.text) {
    list[text.keyword] = text.text;
    try {
      list[text.keyword] =
          parse_json(text.text, text.keyword, ErrorKind::data, {.bytes = kMaxPicture});
    } catch (const Error&) {
      // A text that is not JSON is shown as it is.
    }
  }
  if (json) {
    print_json({{"file", path.string()},
                {"width", png.image.width},
                {"height", png.image.height},
                {"channels", png.image.channels},
                {"text", list}});
    return 0;
  }
  std::cout << path.string() << ": " << png.image.width << "x" << png.image.height
            << (png.image.channels == 1 ? " grey" : " colour") << "\n";
  if (list.empty()) std::cout << "it says nothing about how it was made\n";
  for (const auto& [keyword, value] : list.items()) {
    std::cout << "\n[" << keyword << "]\n"
              << (value.is_string() ? value.get<std::string>() : value.dump(2)) << "\n";
  }
  return 0;
}

/// A text or a table, by what stands beside it.
int inspect_text(const fs::path& path, bool json) {
  const Json made = read_sidecar(path);
  const bool same = made["sha256"] == sha256_file(path);
  if (json) {
    print_json({{"file", path.string()}, {"unchanged", same}, {"text", {{"genai", made}}}});
    return 0;
  }
  std::cout << path.string() << ": "
            << (same ? "as it was written" : "changed since it was written") << "\n\n["
            << kProvenanceKeyword << "] of " << sidecar_path(path).string() << "\n"
            << made.dump(2) << "\n";
  return 0;
}

int inspect_file(const fs::path& path, bool json) {
  const std::string kind = binary_kind(read_start(path, 16));
  if (!kind.empty()) return inspect_picture(path, json);
  if (!read_sidecar(path).is_null()) return inspect_text(path, json);
  fail(ErrorKind::data, path.string(),
       ": says nothing about how it was made: it is no PNG or GIF, ", "and no ",
       sidecar_path(path).string(), " of ours is beside it");
}

int inspect_run(const RunReference& reference, bool json) {
  const fs::path folder = find_checkpoint(reference.folder, reference.checkpoint);
  const Checkpoint checkpoint = load_checkpoint(folder, true);  // verifies every hash
  const Manifest& m = checkpoint.manifest;
  if (!m.kept_sha256.empty()) load_kept(reference.folder, m);
  const Parts parts = load_parts(reference.folder, m);
  int64_t parameters = 0;
  Json tensors = Json::object();
  for (const auto& [name, tensor] : checkpoint.weights) {
    parameters += tensor.numel();
    tensors[name] = tensor.sizes().vec();
  }
  std::string steps;
  for (const fs::path& other : list_checkpoints(reference.folder)) {
    steps += (steps.empty() ? "" : ", ") + std::to_string(read_manifest(other).step);
  }
  if (json) {
    print_json({{"run", reference.folder.string()},
                {"checkpoint", folder.string()},
                {"step", m.step},
                {"steps", m.steps},
                {"preset", m.preset},
                {"parameters", parameters},
                {"weights_sha256", m.weights_sha256()},
                {"data", to_json(m.data)},
                {"numerics", to_json(m.numerics)},
                {"validation", m.validation},
                {"best_step", m.best_step},
                {"best_value", m.best_value},
                {"config", m.config},
                {"parts", m.parts},
                {"tensors", tensors}});
    return 0;
  }
  std::cout << folder.string() << ": whole, all hashes verified\n\n";
  std::vector<std::vector<std::string>> rows{
      {"step", concat(m.step, " of ", m.steps, "; checkpoints: ", steps)},
      {"data", describe(m.data)},
      {"weights", concat(parameters, " numbers, SHA-256 ", m.weights_sha256())},
      {"computed on",
       concat(m.numerics.device, ", ", enum_name(kPrecisionNames, m.numerics.precision), ", ",
              m.numerics.threads, " threads, ", m.numerics.cpu, ", LibTorch ",
              m.numerics.libtorch)},
      {"test", m.validation.is_null() ? "-" : m.validation.dump()}};
  for (const auto& [name, part] : parts) {
    rows.push_back(
        {"part " + name, concat(part.manifest.config.at("model").at("family").get<std::string>(),
                                " of step ", part.manifest.step, ", ", describe(part.manifest.data),
                                ", SHA-256 ", part.manifest.weights_sha256())});
  }
  if (m.best_step >= 0) {
    rows.push_back({"best", concat(m.objective, " ", m.best_value, " at step ", m.best_step)});
  }
  std::cout << table(rows) << "\n";
  for (const auto& [name, shape] : tensors.items())
    std::cout << "  " << name << "  " << shape << "\n";
  std::cout << "\nsettings: genai config show " << reference.folder.string() << "\n";
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_inspect(const Arguments&) {
  auto command = std::make_unique<Command>(
      "inspect", "says what a file of ours or a run is, and verifies it",
      std::vector<std::string>{"genai inspect out.png", "genai inspect last",
                               "genai inspect 8@best --json"});
  auto what = std::make_shared<std::string>();
  auto runs = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  command->app.add_option("WHAT", *what, "a PNG or GIF, a text or table of ours, or a run")
      ->required();
  command->app.add_option("--runs", *runs, "folder of the runs ($GENAI_RUNS, or runs)")
      ->type_name("DIR");
  command->app.add_flag("--json", *json, "one JSON object as the result");
  command->run = [what, runs, json] {
    std::error_code error;
    if (fs::is_regular_file(*what, error)) return inspect_file(*what, *json);
    return inspect_run(find_run(*what, runs_folder(*runs)), *json);
  };
  return command;
}

}  // namespace genai::tool
