// From a request to pictures, the same pictures whatever else is asked for beside them.
#pragma once
#include <string>
#include <vector>

#include "genai/base/image.h"
#include "genai/run/load_model.h"

namespace genai {

/// Every sample has one number; its noise depends on that number alone.
struct ImageRequest {
  int64_t first = 0;       ///< number of the first sample ("seed")
  int64_t count = 16;
  int64_t label = -1;      ///< class of all samples; -1: number modulo classes, if conditional
  Json options = Json::object();   ///< the family's sampling fields

  bool operator==(const ImageRequest&) const = default;
};

/// Rows computed at once. Sample s always stands in row s % kChunk among the samples of its chunk,
/// so that its bits depend neither on the count asked for nor on the first number.
inline constexpr int64_t kChunk = 16;

/// The classes that samples of a class-conditional model show unless told: number modulo classes.
Tensor sample_labels(int64_t first, int64_t count, int64_t classes);

/// uint8 [count, C, H, W].
/// Throws Error{usage} for a count < 1, or a label where there are no classes or not that many;
/// Error{failure} when the model makes pixels that are not numbers.
Tensor generate_pixels(Model& model, const ImageRequest& request, const DataInfo& info,
                       at::Device device);

/// [C, H, W] or [N, C, H, W] uint8 to pictures.
std::vector<Image> to_images(const Tensor& pixels);

/// How pictures become one file.
struct SheetLayout {
  int64_t rows = 0, columns = 0;   ///< 0: as square as can be
  int64_t scale = 0;               ///< whole-pixel enlargement; 0: so that small pictures are seen
};

/// Rows, columns and scale filled in for `count` pictures of this size.
SheetLayout resolve_layout(SheetLayout layout, int64_t count, int64_t width, int64_t height);

enum class Metadata { full, none };

/// A sheet of generated pictures as a PNG that says how it was made (docs/cli.md, `inspect`).
std::string render_sheet(const LoadedModel& loaded, const ImageRequest& request,
                         const SheetLayout& layout, Metadata metadata);

/// The "genai" text of a PNG of ours; null when it has none.
Json read_provenance(const std::string& png, const std::string& name);

struct Recreation {
  bool same = false;
  double worst = 0;       ///< largest difference of a pixel, of 255
  int64_t differing = 0;  ///< numbers (pixels times channels) that differ
  std::string tolerance;  ///< "equal bytes", or what was allowed and why
};

/// Makes the picture again from its own provenance and compares the pixels: exactly where device
/// kind, CPU code, threads, precision and LibTorch are those of the file; else up to kTolerance.
/// Throws Error{data} when the file tells nothing or the weights are not `loaded`'s.
Recreation recreate(const std::string& png, const std::string& name, const LoadedModel& loaded);

/// Largest difference of a grey value between machines that we measured (docs/results.md).
inline constexpr double kTolerance = 2;

}  // namespace genai
