// What the jobs share.
#pragma once
#include "genai/app/job.h"
#include "genai/base/animation.h"
#include "genai/data/own_picture.h"
#include "genai/decode/decoder.h"
#include "genai/generation/generate.h"
#include "genai/models/registry.h"

namespace genai {

// ---- Requests

/// The run that is asked for something.
struct RunChoice {
  std::string run, model;
};
const FieldTable& run_choice_fields();

/// Throws Error{usage} where both or none are given or no run is found.
RunReference find_run(const RunChoice& choice, const JobContext& context);
/// Of a request that was not checked yet. Warns of runs that are passed over.
RunReference asked_run(const Settings& given, const JobContext& context);

/// The fields of a job and the sampling options of the run's family. A field that has the name of
/// such an option gives way to it.
RequestForm sampling_form(const FieldTable& request, const Settings& given,
                          const JobContext& context);
/// The same of the first family that offers one of these; of the first one where none are named.
RequestForm sampling_page(const FieldTable& request, const std::vector<Capability>& any_of = {});
/// The fields alone.
std::function<RequestForm()> plain_page(const FieldTable& request);
std::function<RequestForm(const Settings&, const JobContext&)> plain_form(
    const FieldTable& request);

/// {"request": {...}, ...}, checked.
Json resolve(const RequestForm& form, const Settings& given);

/// Of "request", checked: defaults may lie outside of what may be asked for. Fields that gave way
/// keep theirs.
template <class T>
T read_request(const FieldTable& table, const Json& request) {
  T value;
  for (const Field& field : table) {
    if (const Json* found = find_path(request, field.name)) field.set(&value, *found);
  }
  return value;
}

/// Of a job whose request has no other section; checks it.
template <class T>
T read_request(const FieldTable& table, const Settings& given) {
  return read_request<T>(table, resolve({.sections = {{"request", table}}}, given).at("request"));
}

/// A run with what is asked of it.
struct RunRequest {
  RunReference reference;
  Checkpoint checkpoint;
  const Family& family;
  Json request, options, usual;  ///< the job's own, sampling, and sampling unless asked for

  const Manifest& manifest() const { return checkpoint.manifest; }
  const DataInfo& info() const { return checkpoint.manifest.data; }
  /// On the device that the context says; to write texts, on the CPU.
  LoadedModel load(const JobContext& context) const;
  LoadedModel load_writer(const JobContext& context) const;
};
RunRequest open_request(const FieldTable& table, const Settings& given, const JobContext& context);

/// -1 where none is asked for. Throws what find_label does.
int64_t asked_class(const std::string& text, const DataInfo& info);

/// Throws Error{usage} naming the first of these fields that was given.
void refuse_given(const Settings& given, const std::vector<std::string>& fields,
                  const std::string& why);

inline const EnumNames<Metadata> kMetadataNames = {{Metadata::full, "full"},
                                                   {Metadata::none, "none"}};
inline const EnumNames<WeightFormat> kWeightFormatNames = {{WeightFormat::float32, "float32"},
                                                           {WeightFormat::int8, "int8"}};

// ---- Files

/// "-temperature-0.7": the options that are not the usual ones, for the name of a file.
std::string options_name(const Json& options, const Json& usual);
/// A file name from the words of a request; other words, another name, also where they are too many
/// for it.
std::string request_name(const std::string& words);
/// RUN/out/NAME, where results go that nobody named a place for. Throws Error{failure} when the run
/// holds links.
std::filesystem::path run_output(const std::filesystem::path& run, const std::string& name);
/// Makes the folder of `path`. Throws Error{failure} when nothing can be written into it, and
/// Error{usage} when `path` itself is a folder, or its name ends like that of another kind of file
/// than `ending` (".png").
void check_writable(const std::filesystem::path& path, const std::string& ending);
/// Writes it and tells of it.
void deliver_file(const std::filesystem::path& path, std::string_view bytes, JobContext& context);

// ---- Pictures that move

/// Milliseconds that one of so many frames is shown for: fewer stay longer.
int64_t frame_time(int64_t count);
/// A way from the first picture to the last, which stay longer than those between.
std::vector<Frame> frames_of_way(const std::vector<Image>& pictures);
/// An APNG, or a GIF, which has room for one text: the request.
std::string encode_moving(const std::vector<Frame>& frames, bool gif,
                          const std::vector<PngText>& texts);

// ---- The user's files

/// SHA-256 of each of them, for provenance.
Json file_hashes(const std::vector<std::string>& files);

/// Bytes of a picture whose provenance is read.
inline constexpr uint64_t kMaxPicture = 1 << 30;

/// A file of settings; "-" is standard input. Throws Error{usage} or Error{data}.
Json read_config(const std::string& path, const JobContext& context);

/// The picture in the set's size, as fit_own_picture has it, or with `as_is` scaled and cropped
/// alone. Placing::fixed: in its own size. Notes what was done.
Image own_picture(const std::string& path, const DataInfo& info, bool as_is, JobContext& context,
                  Placing placing = Placing::free);

/// Notes what resize_to_fit to the set's size crops, if anything.
void note_crop(const Image& image, const DataInfo& info, const std::string& name,
               JobContext& context);

/// A prompt itself, or what is in the file of "@FILE" without the line end behind it, as plain_text
/// has it (data/text_file.h).
std::string prompt_text(const std::string& prompt);
/// "\n", "\t" and "\\" as a line end, a tab and a backslash; any other backslash is one.
std::string unescaped(std::string_view text);

}  // namespace genai
