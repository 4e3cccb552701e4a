// What the jobs do with items of a modality: an entry of a table.
#pragma once
#include "genai/compression/archive.h"
#include "shared-inl.h"

namespace genai {

struct SampleRequest {
  RunChoice from;
  int64_t count = 16, seed = 0, scale = 0, length = 500, frames = 0;
  std::string of_class, grid, out, prompt;
  Metadata metadata = Metadata::full;
  WeightFormat weights = WeightFormat::float32;
  std::vector<std::string> condition, stop;
  bool separate = false, interactive = false;
};

/// A request for samples of a run.
struct SampleWork {
  const RunRequest& run;
  const SampleRequest& request;
  const Settings& given;
  JobContext& context;

  bool counted() const { return given.find("request.count") != nullptr; }
};

/// Files that are to be compressed.
struct CompressWork {
  LoadedModel& loaded;
  const std::vector<std::string>& files;
  bool stats;
  JobContext& context;
};
/// What they became.
struct Compressed {
  std::vector<ArchiveItem> items;
  std::string code;
  std::string content;   ///< of all items, as it comes back
  std::string packed{};  ///< the same as general compressors are given it, for statistics
  Json stats;            ///< "items" and "units" with their names; "bound_bits", "png_bytes" where
                         ///< statistics are asked for
};
/// What came back.
struct Decompressed {
  std::string content;             ///< as of Compressed
  std::vector<std::string> files;  ///< the bytes of each item
};

struct ItemWork {
  const Modality* modality;
  Json sampling;  ///< options that differ from the defaults of families that have them
  Json (*sample)(const SampleWork& work);
  /// Of `data show`: the request's "text" and "out" are texts' alone.
  Json (*describe)(const DataConfig& config, const Json& request, JobContext& context);
  /// Of items that are scored one by one; null: they have none.
  Json (*score)(const RunRequest& run, const Settings& given, JobContext& context);
  /// null: they cannot be compressed. decompress throws Error{data} where the code ends too early.
  Compressed (*compress)(const CompressWork& work);
  Decompressed (*decompress)(LoadedModel& loaded, const Archive& archive, JobContext& context);
  /// What to type to see what a trained run makes: "--length 500".
  std::string (*sample_options)(const Manifest& manifest);
  /// Tells the observer of what a model makes while it learns (app/training_samples.h).
  void (*show)(Model& model, const Dataset& data, at::Device device, int64_t step,
               TrainObserver& observer);
};

/// A modality that is not in the table is worked on as images or texts are, by its kind.
const ItemWork& work_on(const Modality& modality);

// Each is in the file of its modality.
Json sample_pictures(const SampleWork& work);
/// With request.frames; `name` is that of the files without an ending.
Json sample_clips(const SampleWork& work, const LoadedModel& loaded, const ImageRequest& request,
                  const std::string& name);
Json sample_texts(const SampleWork& work);
Json sample_series(const SampleWork& work);
Json describe_pictures(const DataConfig& config, const Json& request, JobContext& context);
Json describe_text(const DataConfig& config, const Json& request, JobContext& context);
Json describe_series(const DataConfig& config, const Json& request, JobContext& context);
Json score_pictures(const RunRequest& run, const Settings& given, JobContext& context);
Json score_text(const RunRequest& run, const Settings& given, JobContext& context);
Compressed compress_pictures(const CompressWork& work);
Compressed compress_texts(const CompressWork& work);
Decompressed decompress_pictures(LoadedModel& loaded, const Archive& archive, JobContext& context);
Decompressed decompress_texts(LoadedModel& loaded, const Archive& archive, JobContext& context);
void show_pictures(Model& model, const Dataset& data, at::Device device, int64_t step,
                   TrainObserver& observer);
void show_texts(Model& model, const Dataset& data, at::Device device, int64_t step,
                TrainObserver& observer);
void show_forecast(Model& model, const Dataset& data, at::Device device, int64_t step,
                   TrainObserver& observer);

}  // namespace genai
