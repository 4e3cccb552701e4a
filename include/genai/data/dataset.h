// A data set in memory, and what a model must know of it.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "genai/base/fields.h"
#include "genai/core/tensors.h"
#include "genai/data/captions.h"
#include "genai/data/modality.h"
#include "genai/data/tokenizer.h"

namespace genai {

/// How grey values become 0 or 1. Likelihoods under different rules are not comparable, so the
/// rule is part of every metric's name.
enum class Binarize {
  none,     ///< grey values stay: x / 255
  dynamic,  ///< Bernoulli(x / 255), drawn anew each time an image is seen; one fixed draw for test
  fixed,    ///< Bernoulli(x / 255), drawn once for each image
  threshold,  ///< x >= 128
};
extern const EnumNames<Binarize> kBinarizeNames;

/// In what order running text is read.
enum class Windows {
  shuffled,     ///< windows that cover the text once an epoch, in a new order and at new cuts
  consecutive,  ///< row b of a batch goes on where row b of the batch before ended: for models that
                ///< carry their state along (truncated backpropagation through time)
};
extern const EnumNames<Windows> kWindowsNames;

/// Settings that every data set has, and those of its modality.
struct DataConfig {
  std::string source = "mnist";
  std::string dir;
  double test_share = 0.1;
  int64_t limit = 0;
  /// Of the modality, by name: what Modality::settings describes. What is absent has its default.
  Json own = Json::object();
  /// No setting: runs of version 0.1 read the bytes of texts as they are (data/text_file.h).
  bool raw = false;
};

/// All of them: those of every data set, and of the modalities whose items are of a kind (or of any
/// kind). What belongs to some of these alone says so.
FieldTable data_fields(ItemKind kind);
FieldTable data_fields();
/// The "data" object of a configuration. Throws Error{usage} for names that no modality knows.
DataConfig data_config_from_json(const Json& json);
/// config.own for a modality. Throws Error{usage} for settings of another one that are not as by
/// default.
Json own_settings(const DataConfig& config, const Modality& modality);
template <class T>
T own_settings(const DataConfig& config, const Modality& modality) {
  return from_json<T>(modality.settings(), own_settings(config, modality), "data");
}
/// Without what makes a part of the set of it; is there nothing of that?
DataConfig whole_set(DataConfig config);
bool is_whole_set(const DataConfig& config);

/// Stored with the weights, so that sampling needs no data set.
struct DataInfo {
  const Modality* modality = &image_modality();
  std::string source;  ///< "mnist", "mnist-without-9", or the name of a folder

  // Of grids; of sequences 0.
  int64_t channels = 1, height = 28, width = 28;
  int64_t levels = 256;  ///< values are 0 to 1 in so many steps; 0: real numbers, about -1 to 1
  std::vector<std::string> classes;  ///< names by label; empty: no labels
  Binarize binarize = Binarize::none;
  int64_t pair_channels = 0;                 ///< of the picture that comes with each; 0: none does
  std::shared_ptr<const Captions> captions;  ///< of each; null: they have none
  int64_t past = 0;                          ///< frames that come before each; 0: single pictures
  int64_t ahead = 1;                         ///< of clips: each and the frames after it

  int64_t train_count = 0, test_count = 0;
  std::string fingerprint;  ///< SHA-256 of what defines the images or the text

  // Of sequences.
  std::shared_ptr<const Tokenizer> tokenizer;
  bool lines = false;   ///< each line is an item of its own
  int64_t context = 0;  ///< T: tokens of a window; lines are as long at most
  Windows windows = Windows::shuffled;
  // Of those that a codec makes of grids; else 0.
  int64_t codes = 0;   ///< what a token may be
  int64_t starts = 0;  ///< tokens beside these, one of which begins each sequence

  ItemKind kind() const { return codes > 0 ? ItemKind::sequence : modality->kind(); }
  int64_t vocabulary() const { return tokenizer ? tokenizer->size() : codes + starts; }
  int64_t pixels() const { return channels * height * width; }
  int64_t class_count() const { return static_cast<int64_t>(classes.size()); }
};
/// The label of a class: the one of that name (in another case, or as another way to write the same
/// number), else the number of a label, unless all classes are numbers themselves.
/// Throws Error{usage} naming `option` and the classes.
int64_t find_label(const DataInfo& info, const std::string& text, const std::string& option);
/// "cat, dog": the names, or the first dozen and how many there are.
std::string class_list(const DataInfo& info);
/// "mnist: 28x28 grey, 10 classes: 0, 1, ...; 60,000 images for training, 10,000 for testing".
std::string describe(const DataInfo& info);
/// Throws Error{data} unless items of `found` are what a model of `expected` takes.
void check_same_items(const DataInfo& expected, const DataInfo& found);
Json to_json(const DataInfo& info);
/// @param tokenizer  the one that `json` only names; null: it is in `json`, where there is one
/// What version 0.1 wrote does not name the modality: its tokenizer tells.
DataInfo data_info_from_json(const Json& json,
                             std::shared_ptr<const Tokenizer> tokenizer = nullptr);

struct Split {
  Tensor grids{};     ///< [N, C, H, W]: uint8 pixels, or float32 where DataInfo::levels is 0
  Tensor labels{};    ///< int64 [N], or undefined
  Tensor pairs{};     ///< uint8 [N, DataInfo::pair_channels, H, W], or undefined
  Tensor captions{};  ///< int64 [N, Captions::length()], or undefined
  Tensor frames{};    ///< of clips: uint8 [F, C, H, W], those around each item; else undefined
  Tensor before{};    ///< int64 [N]: item i follows frames before[i] to before[i] + past - 1
  int64_t past = 0, ahead = 1;
  Tensor tokens{};  ///< int32 [N], one text or lines each with its end
  Tensor
      starts{};  ///< int64 [lines + 1]: line i is tokens starts[i] to starts[i + 1]; else undefined
  Tensor values{};  ///< float64 [lead + N]: of a series (data/series.h), those before the first
                    ///< change and after each
  int64_t context = 0;
  /// Grids, lines or windows: window i has the tokens i T to (i + 1) T and their next ones.
  int64_t size() const;
  Split first(int64_t count) const;
  /// Of grids: the items `index` int64 [n], in that order.
  Split at(const Tensor& index) const;
  /// uint8 [N, past * C, H, W]: the frames before each item, oldest first; undefined without clips.
  Tensor past_frames() const;
  /// uint8 [N, ahead * C, H, W]: each item and the frames after it; undefined where ahead is 1.
  Tensor ahead_frames() const;
  /// The items whose label is in `labels` (or, with `inside` false, is not).
  Split with_labels(const std::vector<int64_t>& labels, bool inside = true) const;

 private:
  Tensor frames_from(const Tensor& first, int64_t count) const;
};

struct Dataset {
  DataInfo info;
  Split train, test;
  std::vector<std::string> notes;  ///< what the user should know
};

/// Finds, reads, checks and splits the set that config names (Modality::load). Throws Error{data}
/// when it is missing or damaged.
Dataset load_dataset(const DataConfig& config, const LoadOptions& options = {});

/// The folder that data sets are looked for in: `dir` if given, $GENAI_DATA, or "data".
std::filesystem::path data_folder(const std::string& dir);

}  // namespace genai
