#include <unistd.h>

#include <algorithm>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/hash.h"
#include "genai/data/text_file.h"
#include "items-inl.h"
#include "shared-inl.h"

namespace genai {

namespace fs = std::filesystem;

// ---- Requests

const FieldTable& run_choice_fields() {
  static const FieldTable table =
      describe<RunChoice>()
          .field("run", &RunChoice::run,
                 "a number (8), last, a name or a path; 8@2000 and 8@best are checkpoints")
          .hint("RUN")
          .field("model", &RunChoice::model, "instead of RUN: the newest run of this preset")
          .hint("PRESET")
          .table();
  return table;
}

RunReference find_run(const RunChoice& choice, const JobContext& context) {
  if (!choice.run.empty() && !choice.model.empty()) {
    fail(ErrorKind::usage, "give request.run or request.model, not both (request.run is '",
         choice.run, "')");
  }
  return !choice.model.empty()
             ? newest_run_of(choice.model, context.runs)
             : genai::find_run(choice.run.empty() ? "last" : choice.run, context.runs);
}

RunReference asked_run(const Settings& given, const JobContext& context) {
  const auto text = [&](const std::string& path) {
    const Json* value = given.find("request." + path);
    return value && value->is_string() ? value->get<std::string>() : "";
  };
  const RunReference found = find_run({.run = text("run"), .model = text("model")}, context);
  for (const std::string& damage : found.passed_over) {
    context.events.warned(damage + "; this run is passed over");
  }
  return found;
}

namespace {

/// A class is named by the run's names in help.
FieldTable with_class_names(FieldTable request, const DataInfo& info) {
  const std::string classes = class_list(info);
  for (Field& field : request) {
    if (field.name == "class" && !classes.empty()) field.doc += "; one of " + classes;
  }
  return request;
}

FieldTable giving_way(FieldTable request, const FieldTable& sampling) {
  std::erase_if(request, [&](const Field& field) { return find_field(sampling, field.name); });
  return request;
}

/// What is usual for the items, of the options that the family has.
Settings usual_sampling(const FieldTable& sampling, const DataInfo& info) {
  Settings settings;
  for (const auto& [name, value] : work_on(*info.modality).sampling.items()) {
    if (find_field(sampling, name))
      settings.set("sampling." + name, value, "of " + info.modality->name());
  }
  return settings;
}

RequestForm form_of(const FieldTable& request, const Manifest& manifest) {
  const FieldTable& sampling = family_of(manifest.config).sampling;
  return {.sections = {{"request", with_class_names(giving_way(request, sampling), manifest.data)},
                       {"sampling", sampling}},
          .usual = usual_sampling(sampling, manifest.data)};
}

}  // namespace

RequestForm sampling_form(const FieldTable& request, const Settings& given,
                          const JobContext& context) {
  const RunReference run = asked_run(given, context);
  return form_of(request, read_manifest(find_checkpoint(run.folder, run.checkpoint)));
}

RequestForm sampling_page(const FieldTable& request, const std::vector<Capability>& any_of) {
  const auto offers_one = [&](const Family& family) {
    return any_of.empty() || std::ranges::any_of(any_of, [&](const Capability& capability) {
             return offers(family, capability);
           });
  };
  const auto family = std::ranges::find_if(families(), offers_one);
  const FieldTable& sampling = family->sampling;
  return {.sections = {{"request", giving_way(request, sampling)}, {"sampling", sampling}}};
}

std::function<RequestForm()> plain_page(const FieldTable& request) {
  return [request] { return RequestForm{.sections = {{"request", request}}}; };
}

std::function<RequestForm(const Settings&, const JobContext&)> plain_form(
    const FieldTable& request) {
  return [request](const Settings&, const JobContext&) {
    return RequestForm{.sections = {{"request", request}}};
  };
}

Json resolve(const RequestForm& form, const Settings& given) {
  Settings all = form.usual;
  all.merge(given);
  return all.resolve(form.sections);
}

RunRequest open_request(const FieldTable& table, const Settings& given, const JobContext& context) {
  const RunReference reference = asked_run(given, context);
  Checkpoint checkpoint = open_checkpoint(reference);
  const Family& family = family_of(checkpoint.manifest.config);
  const RequestForm form = form_of(table, checkpoint.manifest);
  const Json resolved = resolve(form, given);
  return {.reference = reference,
          .checkpoint = std::move(checkpoint),
          .family = family,
          .request = resolved.at("request"),
          .options = resolved.at("sampling"),
          .usual = form.usual.resolve(form.sections).at("sampling")};
}

LoadedModel RunRequest::load(const JobContext& context) const {
  context.check_wanted();
  return load_model(reference, checkpoint, context.device(manifest().numerics.threads));
}

LoadedModel RunRequest::load_writer(const JobContext& context) const {
  context.check_wanted();
  context.device(manifest().numerics.threads);
  return load_model(reference, checkpoint, at::kCPU);
}

int64_t asked_class(const std::string& text, const DataInfo& info) {
  if (text.empty()) return -1;
  if (info.classes.empty())
    fail(ErrorKind::usage, "request.class: this model was not trained with classes");
  return find_label(info, text, "request.class");
}

void refuse_given(const Settings& given, const std::vector<std::string>& fields,
                  const std::string& why) {
  for (const std::string& field : fields) {
    if (given.find("request." + field)) fail(ErrorKind::usage, "request.", field, ": ", why);
  }
}

// ---- Files

std::string options_name(const Json& options, const Json& usual) {
  std::string name;
  for (const auto& [key, value] : options.items()) {
    if (usual.at(key) == value) continue;
    name += "-" + key + "-" + (value.is_string() ? value.get<std::string>() : value.dump());
  }
  return name;
}

std::string request_name(const std::string& words) {
  constexpr size_t kLongest = 80, kHash = 8;  // sanitize_name cuts there
  const bool ascii = std::ranges::none_of(words, [](char c) { return (c & 0x80) != 0; });
  if (words.size() <= kLongest && ascii) return sanitize_name(words);
  const std::string start = sanitize_name(words.substr(0, kLongest - kHash - 1));
  return start + "-" + sha256(words).substr(0, kHash);
}

fs::path run_output(const fs::path& run, const std::string& name) {
  refuse_links(run);
  return run / "out" / name;
}

namespace {

/// What the ending of a name promises: "png", "jpg", "txt"; empty for endings that promise
/// nothing.
std::string kind_of_ending(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (ending == ".apng") return "png";  // it is one
  if (ending == ".htm") return "html";
  if (ending == ".md") return "txt";
  for (const char* kind :
       {".txt", ".csv", ".json", ".jsonl", ".html", ".png", ".gif", ".jpg", ".jpeg", ".bmp",
        ".webp", ".tif", ".tiff", ".svg", ".pdf", ".mp4", ".webm", ".zip", ".gz"}) {
    if (ending == kind) return ending.substr(1);
  }
  return "";
}

}  // namespace

void check_writable(const fs::path& path, const std::string& ending) {
  std::error_code error;
  for (const fs::path& name : {path, output_target(path)}) {
    const std::string promised = kind_of_ending(name);
    if (promised.empty() || promised == kind_of_ending("x" + ending)) continue;
    fail(ErrorKind::usage, "request.out: expected a name that ends in ", ending, ", found ",
         path.string(), name == path ? "" : ", a link to " + name.string());
  }
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) {
    fail(ErrorKind::usage, "request.out: ", path.string(), " is a folder; name a file in it");
  }
  // Devices, pipes and what a link names are written to where they are.
  if ((fs::exists(status) && !fs::is_regular_file(status)) || fs::is_symlink(path, error)) return;
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  fs::create_directories(parent, error);
  if (error || !fs::is_directory(parent) || ::access(parent.c_str(), W_OK) != 0) {
    fail(ErrorKind::failure, "request.out: cannot write into ", parent.string(), "/",
         error ? ": " + error.message() : std::string());
  }
}

void deliver_file(const fs::path& path, std::string_view bytes, JobContext& context) {
  context.check_wanted();
  write_output(path, bytes);
  context.events.artifact(path);
}

// ---- Pictures that move

int64_t frame_time(int64_t count) {
  return count > 25 ? 100 : 200;
}

std::vector<Frame> frames_of_way(const std::vector<Image>& pictures) {
  constexpr int64_t kBegin = 500, kEnd = 2000;  // milliseconds
  std::vector<Frame> frames;
  for (const Image& picture : pictures) {
    frames.push_back(
        {.image = picture, .milliseconds = frame_time(static_cast<int64_t>(pictures.size()))});
  }
  frames.front().milliseconds = kBegin;
  frames.back().milliseconds = kEnd;
  return frames;
}

std::string encode_moving(const std::vector<Frame>& frames, bool gif,
                          const std::vector<PngText>& texts) {
  if (!gif) return encode_apng(frames, texts);
  const auto told = std::ranges::find(texts, kProvenanceKeyword, &PngText::keyword);
  return encode_gif(frames, told == texts.end() ? "" : told->text);
}

// ---- The user's files

Json read_config(const std::string& path, const JobContext& context) {
  constexpr uint64_t kMaxConfig = 1 << 20;
  auto& texts = *context.inputs;
  if (!texts.count(path)) texts[path] = read_input(path, kMaxConfig);
  return parse_json(texts[path], path == "-" ? "standard input" : path, ErrorKind::usage);
}

Image own_picture(const std::string& path, const DataInfo& info, bool as_is, JobContext& context,
                  Placing placing) {
  const Picture picture = load_picture(path);
  if (!as_is) {
    const OwnPicture own = fit_own_picture(picture, info, placing, path);
    if (!own.said.empty()) context.events.noted(path + ": " + own.said + " (request.as_is: not)");
    return own.image;
  }
  if (placing == Placing::fixed) return picture.image;
  note_crop(picture.image, info, path, context);
  return resize_to_fit(picture.image, info.width, info.height);
}

void note_crop(const Image& image, const DataInfo& info, const std::string& name,
               JobContext& context) {
  const std::string kept = kept_by_fit(image, info.width, info.height);
  if (!kept.empty()) context.events.noted(concat(name, ": ", kept));
}

std::string unescaped(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    plain += next == 'n' ? '\n' : next == 't' ? '\t' : text[i];
    if (next == 'n' || next == 't' || next == '\\') ++i;
  }
  return plain;
}

std::string prompt_text(const std::string& prompt) {
  constexpr uint64_t kMaxPrompt = 1 << 24;
  if (!prompt.starts_with('@')) return plain_text(unescaped(prompt), "request.prompt");
  if (prompt.starts_with("@@")) return plain_text(unescaped(prompt.substr(1)), "request.prompt");
  const std::string file = prompt.substr(1);
  std::error_code error;
  if (!fs::exists(file, error)) {
    fail(ErrorKind::data, "request.prompt: no such file '", file,
         "'; a text that begins with @ is given ", "as @", prompt);
  }
  std::string text = plain_text(read_input(file, kMaxPrompt), file);
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

Json file_hashes(const std::vector<std::string>& files) {
  Json hashes = Json::array();
  for (const std::string& file : files) hashes.push_back(sha256(read_file(file, kMaxPicture)));
  return hashes;
}

}  // namespace genai
