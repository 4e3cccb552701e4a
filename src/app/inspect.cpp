#include <torch/version.h>
#include <unistd.h>

#include <thread>

#include "genai/base/animation.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/hash.h"
#include "genai/base/picture.h"
#include "genai/base/png.h"
#include "genai/compression/archive.h"
#include "genai/core/device.h"
#include "genai/core/numerics.h"
#include "genai/data/known_sets.h"
#include "genai/generation/provenance.h"
#include "genai/run/parts.h"
#include "jobs-inl.h"
#include "shared-inl.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

struct InspectRequest {
  std::string what;
};

const FieldTable& inspect_fields() {
  static const FieldTable table =
      describe<InspectRequest>()
          .field("what", &InspectRequest::what,
                 "a PNG or GIF, a text, table or archive of ours, or a run")
          .hint("WHAT")
          .table();
  return table;
}

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
    told.text.push_back({kProvenanceKeyword, std::move(text), true});
  }
  return told;
}

Json inspect_picture(const fs::path& path) {
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
  return {{"file", path.string()},
          {"width", png.image.width},
          {"height", png.image.height},
          {"channels", png.image.channels},
          {"text", list}};
}

/// What `compress` wrote: the model that it needs, and what is inside.
Json inspect_archive(const fs::path& path) {
  const Archive archive = read_archive(read_file(path, kMostArchive), path.string());
  Json items = Json::array();
  for (const ArchiveItem& item : archive.items)
    items.push_back({{"name", item.name}, {"size", item.size}});
  return {{"file", path.string()},
          {"text",
           {{kProvenanceKeyword,
             {{"weights_sha256", archive.weights_sha256},
              {"arithmetic", archive.arithmetic},
              {"content_sha256", archive.content_sha256},
              {"items", items}}}}}};
}

/// A file by what it holds; a text or a table, by what stands beside it.
Json inspect_file(const fs::path& path) {
  if (is_archive(read_start(path, 16))) return inspect_archive(path);
  const std::string kind = binary_kind(read_start(path, 16));
  if (!kind.empty()) return inspect_picture(path);
  const Json made = read_sidecar(path);
  if (!made.is_null()) {
    return {{"file", path.string()},
            {"unchanged", made["sha256"] == sha256_file(path)},
            {"text", {{kProvenanceKeyword, made}}}};
  }
  fail(ErrorKind::data, path.string(),
       ": says nothing about how it was made: it is no PNG or GIF, ", "and no ",
       sidecar_path(path).string(), " of ours is beside it");
}

Json inspect_run(const RunReference& reference) {
  const fs::path folder = find_checkpoint(reference.folder, reference.checkpoint);
  const Checkpoint checkpoint = load_checkpoint(folder, true);  // verifies every hash
  const Manifest& m = checkpoint.manifest;
  if (!m.kept_sha256.empty()) load_kept(reference.folder, m);
  Json parts = Json::object();
  for (const auto& [name, part] : load_parts(reference.folder, m)) {
    parts[name] = m.parts.at(name);
    parts[name]["family"] = part.manifest.config.at("model").at("family");
    parts[name]["step"] = part.manifest.step;
    parts[name]["describes"] = describe(part.manifest.data);
  }
  int64_t parameters = 0;
  Json tensors = Json::object(), steps = Json::array();
  for (const auto& [name, tensor] : checkpoint.weights) {
    parameters += tensor.numel();
    tensors[name] = tensor.sizes().vec();
  }
  for (const fs::path& other : list_checkpoints(reference.folder)) {
    steps.push_back(read_manifest(other).step);
  }
  return {{"run", reference.folder.string()},
          {"checkpoint", folder.string()},
          {"step", m.step},
          {"steps", m.steps},
          {"checkpoints", steps},
          {"preset", m.preset},
          {"parameters", parameters},
          {"weights_sha256", m.weights_sha256()},
          {"data", to_json(m.data)},
          {"describes", describe(m.data)},
          {"numerics", to_json(m.numerics)},
          {"validation", m.validation},
          {"objective", m.objective},
          {"best_step", m.best_step},
          {"best_value", m.best_value},
          {"config", m.config},
          {"parts", parts},
          {"tensors", tensors}};
}

/// What the newest checkpoint of a run says.
Json listed_run(const fs::path& run) {
  const std::string name = run.filename().string();
  try {
    const Manifest m = read_manifest(find_checkpoint(run, ""));
    return {{"run", name},
            {"preset", m.preset},
            {"data", m.data.source},
            {"step", m.step},
            {"steps", m.steps},
            {"objective", m.objective},
            {"best_value", m.best_step < 0 ? Json() : Json(m.best_value)},
            {"best_step", m.best_step}};
  } catch (const Error& error) {
    return {{"run", name}, {"error", error.what()}};
  }
}

std::string writable_folder(const fs::path& folder) {
  std::error_code error;
  fs::path existing = fs::absolute(folder, error);
  while (!fs::exists(existing, error) && existing.has_relative_path()) {
    existing = existing.parent_path();
  }
  return folder.string() +
         (::access(existing.c_str(), W_OK) == 0 ? "/ can be written" : "/ CANNOT be written");
}

/// In its first line whether it is there; behind it what to do where it is not.
std::string known_set_state(const KnownSet& set) {
  try {
    load_known_set(set, data_folder(""), {.download = false});
    return "here: " + set.about;
  } catch (const Error& error) {
    return std::string("no: ") + error.what();
  }
}

Json run_doctor(const Settings&, JobContext& context) {
  std::string devices;
  for (const std::string& device : list_devices())
    devices += (devices.empty() ? "" : ", ") + device;
  const Numerics numerics = resolve_numerics({});
  Json rows = {{"genai", GENAI_VERSION},
               {"LibTorch", TORCH_VERSION},
               {"devices", devices},
               {"CUDA", why_no_gpu().empty() ? "can be used" : why_no_gpu()},
               {"CPU code", numerics.cpu},
               {"cores", std::thread::hardware_concurrency()},
               {"--precision auto", has_fast_bfloat16(numerics.torch_device())
                                        ? "bfloat16 (this hardware has it)"
                                        : "float32 (no AMX or GPU here)"},
               {"runs", writable_folder(context.runs)},
               {"data", writable_folder(data_folder(""))}};
  for (const KnownSet& set : known_sets()) {
    if (!set.built_in) rows[set.name] = known_set_state(set);
  }
  return rows;
}

}  // namespace

Job inspect_job() {
  return {.name = "inspect",
          .about = "says what a file of ours or a run is, and verifies it",
          .page = plain_page(inspect_fields()),
          .form = plain_form(inspect_fields()),
          .run = [](const Settings& given, JobContext& context) {
            const auto request = read_request<InspectRequest>(inspect_fields(), given);
            std::error_code error;
            if (fs::is_regular_file(request.what, error)) return inspect_file(request.what);
            return inspect_run(find_run(request.what, context.runs));
          }};
}

Job runs_job() {
  return {.name = "runs",
          .about = "lists the runs there are",
          .page = plain_page({}),
          .form = plain_form({}),
          .run = [](const Settings& given, JobContext& context) {
            resolve({.sections = {{"request", {}}}}, given);
            Json list = Json::array();
            for (const auto& run : list_runs(context.runs)) list.push_back(listed_run(run));
            return list;
          }};
}

Job doctor_job() {
  return {.name = "doctor",
          .about = "says what this machine has: devices, data sets, folders",
          .page = plain_page({}),
          .form = plain_form({}),
          .run = run_doctor};
}

}  // namespace genai
