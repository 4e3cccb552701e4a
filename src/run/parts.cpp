#include "genai/run/parts.h"

#include "genai/base/error.h"
#include "genai/run/load_model.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

fs::path part_folder(const fs::path& run, const std::string& name) {
  return run / "parts" / name;
}

}  // namespace

Parts find_parts(const FieldTable& fields, Json& model, const fs::path& runs) {
  Parts parts;
  for (const Field& field : fields) {
    if (field.type != FieldType::run) continue;
    const std::string named = model.at(field.name);
    if (named.empty()) continue;
    try {
      const RunReference reference = find_run(named, runs);
      Checkpoint found = open_checkpoint(reference);
      if (!found.manifest.parts.empty()) {
        fail(ErrorKind::usage, "a run that has a part itself cannot be one");
      }
      model[field.name] = concat(reference.folder.string(), "@", found.manifest.step);
      parts.emplace(field.name, std::move(found));
    } catch (const Error& error) {
      fail(error.kind(), "model.", field.name, ": ", error.what());
    }
  }
  return parts;
}

void save_parts(const fs::path& run, const Parts& parts) {
  for (const auto& [name, part] : parts) {
    Manifest manifest = part.manifest;
    write_checkpoint(part_folder(run, name), manifest, part.weights, nullptr);
  }
}

Parts load_parts(const fs::path& run, const Manifest& manifest) {
  Parts parts;
  for (const auto& [name, entry] : manifest.parts.items()) {
    const fs::path folder = part_folder(run, name);
    std::error_code error;
    if (!fs::is_directory(folder, error)) {
      fail(ErrorKind::data, run.string(), ": its part ", folder.string(),
           " is missing; without it ", "the run cannot be used");
    }
    Checkpoint part = load_checkpoint(folder, false);
    if (part.manifest.weights_sha256() != entry.at("sha256")) {
      fail(ErrorKind::data, folder.string(),
           ": its weights are others than those that the run was ", "trained with");
    }
    parts.emplace(name, std::move(part));
  }
  return parts;
}

Json to_json(const Parts& parts) {
  Json json = Json::object();
  for (const auto& [name, part] : parts) {
    json[name] = {{"sha256", part.manifest.weights_sha256()}};
  }
  return json;
}

}  // namespace genai
