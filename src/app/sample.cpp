#include <algorithm>
#include <charconv>
#include <cstdio>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/hash.h"
#include "genai/base/text.h"
#include "genai/data/picture_files.h"
#include "genai/data/picture_layout.h"
#include "genai/generation/rollout.h"
#include "genai/generation/told_pictures.h"
#include "items-inl.h"
#include "jobs-inl.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

const FieldTable& sample_fields() {
  static const FieldTable table =
      describe<SampleRequest>()
          .nest("", &SampleRequest::from, run_choice_fields())
          .field("count", &SampleRequest::count,
                 "samples (16, what request.grid holds, 1 text, 1 that goes on with a clip of "
                 "yours, or "
                 "200 paths of a series)",
                 between(1, 1000000))
          .option("n")
          .field("seed", &SampleRequest::seed, "number of the first sample (0)", at_least(0))
          .field("class", &SampleRequest::of_class,
                 "class of all samples, by name or number (one after the other)")
          .hint("CLASS")
          .field(
              "condition", &SampleRequest::condition,
              "of models that are told a grid: a picture (or NAME=FILE), of those told the frames "
              "before an animation or a folder of frames, or test:N for test item N that the run "
              "keeps (one after the other)")
          .hint("FILE|test:N")
          .field("grid", &SampleRequest::grid, "rows x columns of the sheet")
          .hint("RxC")
          .field("scale", &SampleRequest::scale, "whole-pixel enlargement (auto)", between(0, 64))
          .field("frames", &SampleRequest::frames,
                 "of models that are told the frames before: so many next ones, each made from "
                 "those before it (.gif, .apng, or .png: a strip)",
                 between(1, 10000))
          .field("out", &SampleRequest::out,
                 "PNG or text file (texts also .json); - is standard output (RUN/out/..., texts: "
                 "standard output)")
          .hint("FILE")
          .field("separate", &SampleRequest::separate,
                 "one file per sample, in the folder request.out")
          .field("metadata", &SampleRequest::metadata,
                 "what the file tells of its making; of texts and tables FILE.json beside it does",
                 kMetadataNames)
          .field(
              "prompt", &SampleRequest::prompt,
              "what to go on from: a text (\\n, \\t and \\\\ are a line end, a tab, a "
              "backslash), or @FILE for what is in it (of series: CSV); @@ begins a text with @; "
              "of pictures: a caption in the words of the training captions")
          .hint("TEXT|@FILE")
          .field("length", &SampleRequest::length,
                 "tokens at most (500), or values of a forecast (50)", between(1, 10'000'000))
          .field(
              "stop", &SampleRequest::stop,
              "texts: end before this text (\\n as in request.prompt); may be given several times")
          .hint("TEXT")
          .field("weights", &SampleRequest::weights,
                 "texts, series: number format of the weights (float32)", kWeightFormatNames)
          .field("interactive", &SampleRequest::interactive,
                 "texts: each line of the input is a prompt")
          .table();
  return table;
}

// ---- Pictures

SheetLayout parse_grid(const std::string& text, int64_t scale) {
  SheetLayout layout{.rows = 0, .columns = 0, .scale = scale};
  if (text.empty()) return layout;
  char rest = 0;
  long long rows = 0, columns = 0;
  if (std::sscanf(text.c_str(), "%lldx%lld%c", &rows, &columns, &rest) != 2 || rows < 1 ||
      columns < 1 || rows > 10000 || columns > 10000) {
    fail(ErrorKind::usage, "request.grid: expected ROWSxCOLUMNS (8x8), found '", text, "'");
  }
  layout.rows = rows;
  layout.columns = columns;
  return layout;
}

/// What was asked for, before a model is there.
struct ConditionWords {
  int64_t test = -1;
  std::vector<std::pair<std::string, std::string>> files;  // name of the condition or "", and file
  std::vector<std::string> all;                            // short, for names of files
};

/// "test:3", "drawing.png", "sketch=drawing.png".
ConditionWords condition_words(const std::vector<std::string>& asked) {
  ConditionWords words;
  for (const std::string& word : asked) {
    if (word.starts_with("test:")) {
      const char* end = word.data() + word.size();
      const auto [rest, error] = std::from_chars(word.data() + 5, end, words.test);
      if (error != std::errc() || rest != end || words.test < 0) {
        fail(ErrorKind::usage, "request.condition: expected test:N, N a number from 0 on, found '",
             word, "'");
      }
      words.all.push_back(concat("test", words.test));
      continue;
    }
    const size_t equals = word.find('=');
    std::error_code none;
    const bool named = equals != word.npos && !fs::exists(word, none);
    words.files.emplace_back(named ? word.substr(0, equals) : "",
                             named ? word.substr(equals + 1) : word);
    words.all.push_back(fs::path(words.files.back().second).stem().string());
  }
  if (words.test >= 0 && asked.size() > 1) {
    fail(ErrorKind::usage,
         "request.condition: a test item gives all conditions; expected it alone");
  }
  return words;
}

/// The grid of this name; without a name the only one.
const ConditionSpec& grid_named(const std::string& name, const ConditionSpecs& specs) {
  std::vector<std::string> grids;
  const ConditionSpec* only = nullptr;
  for (const ConditionSpec& spec : specs) {
    if (spec.kind != ConditionKind::grid) continue;
    if (spec.name == name) return spec;
    grids.push_back(spec.name);
    only = &spec;
  }
  if (name.empty() && grids.size() == 1) return *only;
  fail(ErrorKind::usage, "request.condition: this model is told ",
       grids.empty() ? "no grids" : listed(grids),
       grids.size() > 1 && name.empty() ? "; expected NAME=FILE for each" : "",
       name.empty() ? "" : ", not " + name);
}

/// The frames of an animation, or of a folder as people count. `hashes` grows by those of the
/// files.
std::vector<Image> read_clip(const std::string& path, std::string& hashes) {
  if (!fs::is_directory(path)) {
    const std::string bytes = read_file(path, kMaxPicture);
    hashes += sha256(bytes);
    const std::string kind = binary_kind(bytes);
    if (kind == "a GIF" || kind == "a PNG") return decode_frames(bytes, path);
    return {decode_picture(bytes, path).image};
  }
  const auto files = open_picture_files(path);
  std::ranges::sort(files->pictures, natural_less);
  std::vector<Image> frames;
  for (const std::string& picture : files->pictures) {
    const std::string bytes = files->read(picture);
    hashes += sha256(bytes);
    frames.push_back(decode_picture(bytes, files->where(picture)).image);
  }
  return frames;
}

/// Reads the pictures. Throws Error{usage} for conditions that the model is not told.
ConditionSource read_conditions(const ConditionWords& words, const Model& model,
                                const DataInfo& info, JobContext& context) {
  ConditionSource source{.test = words.test};
  std::string hashes;
  for (const auto& [name, file] : words.files) {
    const ConditionSpec& spec = grid_named(name, model.conditions());
    if (spec.name == kPast) {
      const std::vector<Image> clip = read_clip(file, hashes);
      note_crop(clip.at(0), info, file, context);
      source.given[kPast] = past_of_clip(spec, clip, file, info);
      continue;
    }
    const std::string bytes = read_file(file, kMaxPicture);
    hashes += sha256(bytes);
    const Image picture = decode_picture(bytes, file).image;
    note_crop(picture, info, file, context);
    source.given[spec.name] = condition_of_picture(spec, picture, info);
  }
  constexpr size_t kOneHash = 64;
  if (!hashes.empty()) source.sha256 = hashes.size() == kOneHash ? hashes : sha256(hashes);
  return source;
}

/// "step-8438-seed-0-n16-class3-temperature-0.7": the same request, the same name.
std::string sheet_name(const RunRequest& run, const ImageRequest& request,
                       const SheetLayout& layout, const ConditionWords& words) {
  std::string name =
      concat("step-", run.manifest().step, "-seed-", request.first, "-n", request.count);
  if (layout.rows > 0) name += concat("-grid-", layout.rows, "x", layout.columns);
  if (layout.scale > 0) name += concat("-scale-", layout.scale);
  if (request.label >= 0) name += concat("-class", request.label);
  for (const std::string& word : words.all) name += "-" + word;
  for (const std::string& word : caption_words(request.condition.prompt)) name += "-" + word;
  return request_name(name + options_name(request.options, run.usual));
}

/// Writes the sheet, or a picture of each sample. Returns the files.
Json make_pictures(const SampleWork& work, const LoadedModel& loaded, const ImageRequest& request,
                   const SheetLayout& layout, const fs::path& out) {
  const Metadata metadata = work.request.metadata;
  Json files = Json::array();
  if (work.request.separate) {
    render_separate(loaded, request, std::max<int64_t>(1, layout.scale), metadata,
                    [&](int64_t number, const std::string& png) {
                      const fs::path file = out / concat(number, ".png");
                      deliver_file(file, png, work.context);
                      files.push_back(file.string());
                    });
    return files;
  }
  std::vector<Image> images;
  const std::string png = render_sheet(loaded, request, layout, metadata,
                                       [&](const std::vector<Image>& made) { images = made; });
  if (out == "-") {
    work.context.events.output(png);
    return files;
  }
  deliver_file(out, png, work.context);
  files.push_back(out.string());
  work.context.events.pictured(images);
  return files;
}

}  // namespace

Json sample_pictures(const SampleWork& work) {
  const RunRequest& run = work.run;
  const SampleRequest& asked = work.request;
  refuse_given(work.given, {"length", "stop", "weights", "interactive"},
               "is for models of text and series; this run makes pictures");
  if (asked.frames > 0) {
    refuse_given(work.given, {"grid", "separate"}, "is for single pictures, not for clips");
  }
  const std::string prompt = prompt_text(asked.prompt);
  ImageRequest request{.first = asked.seed,
                       .count = asked.count,
                       .label = asked_class(asked.of_class, run.info()),
                       .options = run.options,
                       .condition = {.prompt = prompt},
                       .check_wanted = [&] { work.context.check_wanted(); }};
  const ConditionWords words = condition_words(asked.condition);
  if (words.test >= 0 && !prompt.empty()) {
    fail(ErrorKind::usage,
         "request.condition: a test item has a caption of its own; expected it or request.prompt");
  }
  if (asked.separate && asked.out == "-") {
    fail(ErrorKind::usage,
         "request.separate: expected a folder as request.out, found standard output");
  }
  const SheetLayout layout = parse_grid(asked.grid, asked.scale);
  if (!work.counted() && layout.rows > 0) request.count = layout.rows * layout.columns;
  if (!work.counted() && asked.frames > 0 && !words.files.empty()) request.count = 1;
  const LoadedModel loaded = run.load(work.context);
  loaded.as<Generator>("sample");
  request.condition = read_conditions(words, *loaded.model, run.info(), work.context);
  request.condition.prompt = prompt;
  if (work.given.find("request.prompt") && prompt.empty()) {
    fail(ErrorKind::usage, "request.prompt: expected words of the training captions, found none");
  }
  const std::string name = sheet_name(run, request, layout, words);
  if (asked.frames > 0) return sample_clips(work, loaded, request, name);
  if (!asked.separate)  // before all is computed
    check_sheet(layout, request.count, loaded.model->conditions(), run.info());
  const fs::path out =
      !asked.out.empty() ? fs::path(asked.out)
                         : run_output(run.reference.folder, name + (asked.separate ? "" : ".png"));
  if (out != "-") check_writable(asked.separate ? out / "0.png" : out, ".png");
  const Json files = make_pictures(work, loaded, request, layout, out);
  Json result = {{"files", files},
                 {"run", run.reference.folder.string()},
                 {"step", run.manifest().step},
                 {"weights_sha256", run.manifest().weights_sha256()},
                 {"first", request.first},
                 {"count", request.count},
                 {"class", request.label},
                 {"options", request.options}};
  if (const auto captions = told_captions(loaded, request); !captions.empty() && prompt.empty()) {
    constexpr size_t kNoted = 16;
    for (size_t i = 0; i < std::min(kNoted, captions.size()); ++i)
      work.context.events.noted(concat(request.first + static_cast<int64_t>(i), ": ", captions[i]));
    result["captions"] = captions;
  }
  return result;
}

Job sample_job() {
  return {.name = "sample",
          .about =
              "makes pictures or texts; a sample has one number, its seed, and is the same in any "
              "number",
          .page = [] { return sampling_page(sample_fields()); },
          .form =
              [](const Settings& given, const JobContext& context) {
                return sampling_form(sample_fields(), given, context);
              },
          .run =
              [](const Settings& given, JobContext& context) {
                const RunRequest run = open_request(sample_fields(), given, context);
                const auto request = read_request<SampleRequest>(sample_fields(), run.request);
                return work_on(*run.info().modality).sample({run, request, given, context});
              }};
}

}  // namespace genai
