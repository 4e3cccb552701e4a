// What images are turned into before sets of them are compared. Inception features mean nothing on
// digits, so each data set has a classifier of its own, trained here by a fixed recipe; its hash is
// part of every metric's name, so that values of different classifiers are never compared. Beside
// it stands a view that knows no classes: principal components of the pixels.
#pragma once
#include <filesystem>

#include "genai/data/dataset.h"
#include "genai/run/load_model.h"
#include "genai/training/observer.h"

namespace genai {

/// Called with what is being done and the share of it that is done, 0 to 1.
using StageProgress = std::function<void(const std::string& stage, double done)>;

class Extractor {
 public:
  /// @param data   what it was trained on: fixes the unit of the features
  Extractor(LoadedModel loaded, const Dataset& data);

  const std::string& name() const { return name_; }  ///< "cnn-1a2b3c4d", from the weights' hash
  double test_accuracy() const;                      ///< on its own test images
  int64_t class_count() const { return loaded_.manifest.data.class_count(); }

  struct Judged {
    Tensor features;  ///< float32 [N, F], on the CPU; their mean square over training images is 1
    Tensor classes;   ///< int64 [N]: the most likely class
  };
  /// @param pixels   uint8 [N, C, H, W]
  Judged judge(const Tensor& pixels) const;

 private:
  LoadedModel loaded_;
  std::string name_;
  double scale_ = 1;
};

/// $GENAI_CACHE, $XDG_CACHE_HOME/genai or $HOME/.cache/genai. Throws Error{usage} when none is set.
std::filesystem::path cache_folder();

/// {"model": ..., "training": ...}: the preset `classifier` on two threads of a CPU in float32, so
/// that machines with equal code paths make equal weights.
Json extractor_recipe();

/// The configuration of a classifier of `data` by a recipe.
Json extractor_config(const Json& recipe, const Dataset& data);

/// "recipe-1a2b3c4d": its hash.
std::string recipe_name(const Json& recipe);

/// Trains one in a folder, or goes on with the training found there. Throws Cancelled where the
/// observer ends the training; the next call goes on from there.
Extractor train_classifier(const std::filesystem::path& folder, const Json& config,
                           const Dataset& data, TrainObserver& observer);

/// The classifier of a data set. It is a run in CACHE/extractors, trained at the first call (in
/// about a minute) and found there afterwards; a training that was interrupted is continued. When
/// another process trains it this one waits. A damaged one is trained again, saying so.
/// @param whole   the whole data set: no limit, nothing left out
/// Throws Error{usage} when the set has fewer than two classes.
Extractor load_extractor(const Dataset& whole, TrainObserver& observer,
                         const Json& recipe = extractor_recipe(),
                         const std::filesystem::path& cache = cache_folder());

/// The first principal components of training images, pixels in 0..1.
struct PcaView {
  std::string name;   ///< "pca64-9f8e7d6c", from the data set's fingerprint
  Tensor mean;        ///< float64 [D]
  Tensor directions;  ///< float64 [D, F], orthonormal

  /// @param pixels   uint8 [N, C, H, W]; returns float32 [N, F]
  Tensor features(const Tensor& pixels) const;
};

/// Of the first kPcaImages training images (or, for images of more than 2,048 numbers, the first
/// 2,000: their Gram matrix is the smaller one). F = 64, or fewer for few or tiny images.
PcaView make_pca_view(const Dataset& whole);
inline constexpr int64_t kPcaImages = 10000;

}  // namespace genai
