// From a request to pictures, the same pictures whatever else is asked for beside them.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "genai/base/error.h"
#include "genai/base/image.h"
#include "genai/base/png.h"
#include "genai/data/images.h"
#include "genai/generation/provenance.h"
#include "genai/run/load_model.h"

namespace genai {

/// The most screen pixels that a side of a pixel is shown as.
inline constexpr int64_t kMaxScale = 8;

/// Where models that are told grids get them from.
struct ConditionSource {
  int64_t test =
      -1;           ///< of this test item of the run's for all samples; -1: of one after the other
  Split items{};    ///< the test items, where they are not those that the run keeps
  Tensors given{};  ///< the grids themselves, [1, ...] for all samples, by name
  std::string sha256;       ///< of the files that they come from
  std::string prompt = {};  ///< words, in the place of a caption; empty: none
};

/// Every sample has one number; its noise depends on that number alone.
struct ImageRequest {
  int64_t first = 0;  ///< number of the first sample ("seed")
  int64_t count = 16;
  int64_t label = -1;  ///< class of all samples; -1: number modulo classes, or that of the test
                       ///< item that the sample is told of
  Json options = Json::object();  ///< the family's sampling fields
  ConditionSource condition{};
  CheckWanted check_wanted{};  ///< asked before each chunk
};

/// The seed of all generation noise; samples differ by their number.
inline constexpr uint64_t kGenerationSeed = 0;

/// Rows computed at once. Sample s always stands in row s % kChunk among the samples of its chunk,
/// so that its bits depend neither on the count asked for nor on the first number.
inline constexpr int64_t kChunk = 16;
/// The same of a device: a GPU computes more rows in the time of a few.
inline int64_t chunk_of(at::Device device) {
  return device.is_cpu() ? kChunk : 8 * kChunk;
}

/// The classes that samples of a class-conditional model show unless told: number modulo classes.
Tensor sample_labels(int64_t first, int64_t count, int64_t classes);

/// Throws Error{usage} for a count < 1, a label where there are no classes or not that many, grids
/// that the model is not told or that are missing.
void check_request(const ImageRequest& request, const Model& model, const DataInfo& info);

/// What samples `numbers` are told. The request is checked.
Tensors sample_conditions(const Model& model, const ImageRequest& request, const DataInfo& info,
                          const std::vector<int64_t>& numbers, at::Device device);

/// Makes the images of one chunk, of which rows first .. first + count - 1 were asked for.
using MakeChunk = std::function<Tensor(const Draw& draw, const Tensors& conditions, int64_t first,
                                       int64_t count)>;

/// As a data set holds them (Split::grids): uint8 pixels, or real numbers: [count, C, H, W].
/// @param make  for those who look at how images come about; else Generator::generate
/// Throws what check_request does; Error{failure} when the model makes pixels that are not numbers.
Tensor generate_items(Model& model, const ImageRequest& request, const DataInfo& info,
                      at::Device device, const MakeChunk& make = {});
/// Of a run: grids come from the test items that it keeps unless the request brings others.
Tensor generate_items(const LoadedModel& loaded, const ImageRequest& request,
                      const MakeChunk& make = {});
ImageRequest with_conditions(const LoadedModel& loaded, ImageRequest request);

/// What provenance says of the source: null where the model is told no grids; and the reverse.
Json condition_json(const Model& model, const ConditionSource& source);
ConditionSource condition_from_json(const Json& request);
/// Adds it to what was asked for, where there is something to say.
void add_condition(Json& json, const LoadedModel& loaded, const ImageRequest& request);

/// Images in [0, 1] to uint8 on the CPU.
Tensor quantized(const Tensor& images);

/// Pictures of one size to uint8 [N, C, H, W]; grey or in three colours as `channels` says.
Tensor from_images(const std::vector<Image>& images, int64_t channels);

/// How pictures become one file.
struct SheetLayout {
  int64_t rows = 0, columns = 0;  ///< 0: as square as can be
  int64_t scale = 0;              ///< whole-pixel enlargement; 0: so that small pictures are seen
};

/// Rows, columns and scale filled in for `count` pictures of this size.
SheetLayout resolve_layout(SheetLayout layout, int64_t count, int64_t width, int64_t height);

/// That of `count` samples, each beside the grids that it was told (generation/told_pictures.h).
SheetLayout sheet_layout(const SheetLayout& layout, int64_t count, const ConditionSpecs& specs,
                         const DataInfo& info);

/// Throws Error{usage} for a sheet of more bytes than pictures of ours have (1 GiB).
void check_sheet(const SheetLayout& layout, int64_t count, const ConditionSpecs& specs,
                 const DataInfo& info);

enum class Metadata { full, none };

/// The sheet itself, each sample beside the grids that it was told, and as a PNG that says how it
/// was made (docs/cli.md, `inspect`).
/// @param layout   of draw_sheet: resolved
/// @param look     is shown the pictures of the samples
using LookAtSamples = std::function<void(const std::vector<Image>&)>;
Image draw_sheet(const LoadedModel& loaded, const ImageRequest& request, const SheetLayout& layout,
                 const LookAtSamples& look = {});
std::string render_sheet(const LoadedModel& loaded, const ImageRequest& request,
                         const SheetLayout& layout, Metadata metadata,
                         const LookAtSamples& look = {});

/// One PNG a sample, each as render_sheet makes it alone; computed together.
void render_separate(const LoadedModel& loaded, const ImageRequest& request, int64_t scale,
                     Metadata metadata,
                     const std::function<void(int64_t number, const std::string& png)>& use);

/// Where the pixels of a picture come from.
enum class Origin {
  model,  ///< all of them from a trained model
  mixed,  ///< from the user's picture and a model
};

/// Who made a file, and from what request.
Json made_by(const LoadedModel& loaded, const Json& request);

/// The texts of a PNG of ours.
/// @param request  with which the same pixels are made again; holds "first", "count", "options"
std::vector<PngText> provenance(const LoadedModel& loaded, const Json& request,
                                const Image& picture, Origin origin = Origin::model);

/// The same of what is still being trained.
/// @param maker  {"genai", "family", "preset", "run", "step", "numerics"}, of trained weights
///               "weights_sha256" too
std::vector<PngText> provenance(const Json& maker, const Json& request, const Image& picture,
                                Origin origin);

/// Makes pictures of a measurement say so, those that do not yet say how they were made.
/// @param sampling  of Evaluation
void add_provenance(std::map<std::string, std::string>& pictures, const LoadedModel& loaded,
                    const Json& sampling);

/// Numerics without what tells of the machine: the kind of device, not its number.
Json numerics_provenance(const LoadedModel& loaded);

}  // namespace genai
