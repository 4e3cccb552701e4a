#include "genai/data/images.h"

#include <ATen/ATen.h>

#include <cctype>
#include <cstring>
#include <set>

#include "genai/base/error.h"
#include "genai/base/hash.h"
#include "genai/base/picture.h"
#include "genai/base/text.h"
#include "genai/data/image_folder.h"
#include "genai/data/known_sets.h"
#include "genai/data/text_file.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

Split to_split(const LabelledImages& images) {
  Split split{.grids = to_tensor(images), .labels = {}};
  if (!images.labels.empty()) split.labels = at::tensor(images.labels, at::kLong);
  if (images.pair_channels > 0) {
    split.pairs = at::tensor(at::ArrayRef<uint8_t>(images.pairs), at::kByte)
                      .view({images.count, images.pair_channels, images.height, images.width});
  }
  return split;
}

/// Of the frames of clips those with `past` before them in their clip and, with themselves, `ahead`
/// to come.
Split frames_between(Split all, const std::vector<int64_t>& clips, int64_t past, int64_t ahead) {
  std::vector<int64_t> items, before;
  for (size_t clip = 0; clip + 1 < clips.size(); ++clip) {
    for (int64_t first = clips[clip]; first + past + ahead <= clips[clip + 1]; ++first) {
      before.push_back(first);
      items.push_back(first + past);
    }
  }
  Split split = all.at(at::tensor(items, at::kLong));
  split.frames = std::move(all.grids);
  split.before = at::tensor(before, at::kLong);
  split.past = past;
  split.ahead = ahead;
  return split;
}

/// Frames that a clip must have for an item; 0: the pictures are no clips.
int64_t fewest_frames(const ImageSettings& settings) {
  return settings.past > 0 ? settings.past + settings.ahead : 0;
}

/// Items become the frames of clips that have enough before and after them.
void take_clips(const ImageSet& set, const ImageSettings& settings, Dataset& data) {
  const int64_t past = settings.past, ahead = settings.ahead;
  if (past == 0 && ahead > 1) {
    fail(ErrorKind::usage, "data.ahead: expected 1 unless frames come before (data.past), found ",
         ahead);
  }
  if (past == 0) return;
  if (set.train.clips.empty()) {
    fail(ErrorKind::usage, "data.past: the images of '", set.name,
         "' are no clips; expected moving-digits, moving-mnist, animations or folders of frames");
  }
  data.train = frames_between(std::move(data.train), set.train.clips, past, ahead);
  data.test = frames_between(std::move(data.test), set.test.clips, past, ahead);
  for (const auto& [split, images, name] :
       {std::tuple(&data.train, &set.train, "training"), {&data.test, &set.test, "test"}}) {
    int64_t longest = 0;
    for (size_t i = 1; i < images->clips.size(); ++i)
      longest = std::max(longest, images->clips[i] - images->clips[i - 1]);
    if (split->size() > 0) continue;
    fail(ErrorKind::data, "data.past: expected ", name, " clips of '", set.name, "' with ",
         past + ahead, " frames or more (data.past and data.ahead); the longest has ", longest);
  }
  data.info.past = past;
  data.info.ahead = ahead;
  data.info.fingerprint =
      sha256(concat(set.fingerprint, " past ", past, ahead > 1 ? concat(" ahead ", ahead) : ""));
}

/// What of the captions is not learned. Throws Error{data} where that is everything.
void note_captions(const ImageSet& set, const Captions& words, std::vector<std::string>& notes) {
  int64_t longer = 0;
  std::set<std::string> all;
  for (const std::string& caption : set.train.captions) {
    const auto found = caption_words(caption);
    longer += static_cast<int64_t>(found.size()) > words.length();
    all.insert(found.begin(), found.end());
  }
  if (all.empty()) fail(ErrorKind::data, set.name, ": its captions hold no words");
  if (longer > 0)
    notes.push_back(
        concat(longer, " captions are longer than ", words.length(), " words, and cut there"));
  if (const auto known = static_cast<size_t>(words.vocabulary() - 2); all.size() > known)
    notes.push_back(concat("of the ", all.size(), " different words of captions the ", known,
                           " most frequent are told"));
}

/// Captions as ids of the words that training captions have.
void add_captions(const ImageSet& set, Dataset& data) {
  if (set.train.captions.empty()) return;
  const auto words = std::make_shared<const Captions>(Captions::learn(set.train.captions));
  note_captions(set, *words, data.notes);
  const auto encode = [&](const std::vector<std::string>& captions) {
    std::vector<int64_t> ids;
    for (const std::string& caption : captions) {
      const auto encoded = words->encode(caption);
      ids.insert(ids.end(), encoded.begin(), encoded.end());
    }
    return at::tensor(ids, at::kLong).view({-1, words->length()});
  };
  data.info.captions = words;
  data.train.captions = encode(set.train.captions);
  data.test.captions = encode(set.test.captions);
}

/// "mnist" -> "mnist-without-9"
void leave_out(const std::vector<ClassChoice>& choices, Dataset& data) {
  std::vector<int64_t> labels;
  std::string name = data.info.source + "-without";
  for (const ClassChoice& choice : choices) {
    const std::string text = choice.name.empty() ? concat(choice.label) : choice.name;
    // A number in a stored configuration is a label, whatever the classes are called.
    labels.push_back(choice.name.empty() && choice.label < data.info.class_count()
                         ? choice.label
                         : find_label(data.info, text, "data.leave_out"));
    name += "-";
    for (const char c : text) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '-';
  }
  data.train = data.train.with_labels(labels, false);
  data.test = data.test.with_labels(labels, false);
  if (data.train.size() == 0) fail(ErrorKind::usage, "data.leave_out: leaves no training images");
  data.info.source = name;
}

/// A set of its own size and channels in those that config names.
void fit_set(const ImageSettings& settings, ImageSet& set) {
  const Extent own(set.train.width, set.train.height);
  const Extent size = settings.size.given() ? settings.size : own;
  const int64_t channels = settings.channels > 0 ? settings.channels : set.train.channels;
  if (size == own && channels == set.train.channels) return;
  for (LabelledImages* split : {&set.train, &set.test}) {
    const std::vector<Image> images = to_images(to_tensor(*split));
    split->pixels.clear();
    split->pixels.reserve(static_cast<size_t>(split->count * channels * size.width * size.height));
    for (const Image& image : images) {
      const Image fitted =
          resize_to_fit(channels == 1 ? to_grey(image) : to_rgb(image), size.width, size.height);
      for (int64_t c = 0; c < channels; ++c) {
        for (size_t i = static_cast<size_t>(c); i < fitted.pixels.size();
             i += static_cast<size_t>(channels))
          split->pixels.push_back(fitted.pixels[i]);
      }
    }
    split->channels = channels;
    split->height = size.height;
    split->width = size.width;
  }
  set.fingerprint =
      sha256(concat(set.fingerprint, " ", size.width, "x", size.height, "x", channels));
}

bool is_ready_set(const std::string& source) {
  return find_known_set(source) || has_idx_files(source);
}

/// Images that come with their test images and classes.
ImageSet read_ready_set(const DataConfig& config, const ImageSettings& settings, bool download) {
  const fs::path folder = data_folder(config.dir);
  const KnownSet* known = find_known_set(config.source);
  ImageSet set = known ? known->images(folder, {.download = download, .progress = {}})
                       : load_idx_folder(config.source);
  fit_set(settings, set);
  return set;
}

/// A folder or ZIP of pictures.
ImageSet read_pictures(const DataConfig& config, const ImageSettings& settings,
                       const DataInfo* known) {
  FolderOptions options{.size = settings.size,
                        .channels = settings.channels,
                        .test_share = config.test_share,
                        .ground = settings.ground,
                        .pairs = settings.pair,
                        .frames = fewest_frames(settings)};
  if (known) {
    options.classes = known->classes;
    if (!options.size.given()) options.size = Extent(known->width, known->height);
    if (options.channels == 0) options.channels = known->channels;
  }
  ImageSet set = read_image_folder(config.source, options);
  if (known && set.fingerprint != known->fingerprint && settings.ground == Ground::white) {
    options.ground = Ground::black;  // as version 0.1 had it
    ImageSet older = read_image_folder(config.source, options);
    if (older.fingerprint == known->fingerprint) return older;
  }
  return set;
}

const EnumNames<Ground> kGroundNames = {{Ground::white, "white"}, {Ground::black, "black"}};

class Images : public Modality {
 public:
  std::string name() const override { return "images"; }
  ItemKind kind() const override { return ItemKind::grid; }

  FieldTable settings() const override {
    return genai::describe<ImageSettings>()
        .field("size", &ImageSettings::size,
               "width and height, 64 or 64x48; 0: the most frequent, at most 64", between(0, 1024))
        .field("channels", &ImageSettings::channels, "1 grey, 3 colour; 0: grey if all are",
               between(0, 3))
        .field("ground", &ImageSettings::ground,
               "image folders: what shows through where pictures are transparent", kGroundNames)
        // As the fingerprint tells, too.
        .resumable()
        .field("leave_out", &ImageSettings::leave_out,
               "classes left out of training and test, by name or number: 9 or cat,dog")
        .field("pair", &ImageSettings::pair,
               "image folders: another folder, whose pictures of the same names are what a model "
               "can be told (--condition pair)")
        .resumable()
        .field("past", &ImageSettings::past,
               "clips: frames before each that a model can be told (--condition past); of image "
               "folders each folder of pictures is a clip, in the order of their names",
               between(0, 1000))
        .field("ahead", &ImageSettings::ahead,
               "clips: frames that a model learns to make one after the other, each from its own",
               between(1, 1000))
        .field("binarize", &ImageSettings::binarize, "how grey values become 0 or 1",
               kBinarizeNames)
        .table();
  }

  bool claims(const DataConfig& config, const Tokenizer*) const override {
    if (const KnownSet* known = find_known_set(config.source)) return known->images != nullptr;
    std::error_code error;
    if (fs::is_directory(config.source, error))
      return has_idx_files(config.source) || !is_text_folder(config.source);
    return fs::is_regular_file(config.source, error) &&
           binary_kind(read_start(config.source, 16)) == "a ZIP";
  }

  Dataset load(const DataConfig& config, const LoadOptions& options) const override {
    const auto settings = own_settings<ImageSettings>(config, *this);
    if (settings.channels == 2) {
      fail(ErrorKind::usage, "data.channels: expected 0, 1 or 3, found 2");
    }
    const ImageSet set = is_ready_set(config.source)
                             ? read_ready_set(config, settings, options.download)
                             : read_pictures(config, settings, options.known);
    Dataset data{.info = {.source = set.name,
                          .channels = set.train.channels,
                          .height = set.train.height,
                          .width = set.train.width,
                          .classes = set.classes,
                          .binarize = settings.binarize,
                          .pair_channels = set.train.pair_channels,
                          .fingerprint = set.fingerprint},
                 .train = to_split(set.train),
                 .test = to_split(set.test),
                 .notes = set.notes};
    add_captions(set, data);
    take_clips(set, settings, data);
    if (!settings.leave_out.empty()) leave_out(settings.leave_out, data);
    return data;
  }

  void refuse_idle_settings(const DataConfig& config) const override {
    if (!is_ready_set(config.source)) return;
    if (config.test_share != DataConfig().test_share) {
      fail(ErrorKind::usage, "data.test_share: '", config.source, "' has its own test images");
    }
    if (!own_settings<ImageSettings>(config, *this).pair.empty()) {
      fail(ErrorKind::usage, "data.pair: '", config.source, "' is no folder of pictures");
    }
    if (own_settings<ImageSettings>(config, *this).ground != ImageSettings().ground) {
      fail(ErrorKind::usage, "data.ground: '", config.source, "' has no transparent images");
    }
  }

  void write(const DataInfo& info, Json& json) const override {
    json.update({{"channels", info.channels},
                 {"height", info.height},
                 {"width", info.width},
                 {"classes", info.classes},
                 {"binarize", enum_name(kBinarizeNames, info.binarize)}});
    if (info.pair_channels > 0) json["pair_channels"] = info.pair_channels;
    if (info.past > 0) json["past"] = info.past;
    if (info.ahead > 1) json["ahead"] = info.ahead;
    if (info.captions) json["captions"] = info.captions->to_json();
  }

  void read(const Json& json, DataInfo& info) const override {
    info.channels = json.at("channels").get<int64_t>();
    info.height = json.at("height").get<int64_t>();
    info.width = json.at("width").get<int64_t>();
    info.classes = json.at("classes").get<std::vector<std::string>>();
    for (const auto& [value, name] : kBinarizeNames) {
      if (name == json.at("binarize").get<std::string>()) info.binarize = value;
    }
    info.pair_channels = json.value("pair_channels", int64_t{0});
    if (info.pair_channels != 0 && info.pair_channels != 1 && info.pair_channels != 3)
      fail(ErrorKind::data, "pairs of ", info.pair_channels, " channels are none of ours");
    info.past = json.value("past", int64_t{0});
    info.ahead = json.value("ahead", int64_t{1});
    constexpr int64_t kMostFrames = 1000;
    if (info.past < 0 || info.past > kMostFrames)
      fail(ErrorKind::data, info.past, " frames before an image are none of ours");
    if (info.ahead < 1 || info.ahead > kMostFrames)
      fail(ErrorKind::data, info.ahead, " frames ahead are none of ours");
    if (json.contains("captions"))
      info.captions = std::make_shared<const Captions>(Captions::from_json(json.at("captions")));
    constexpr int64_t kMostChannels = 16, kMostSide = 65536, kMostPixels = 1 << 26;
    const auto within = [](int64_t value, int64_t most) { return value >= 1 && value <= most; };
    if (!within(info.channels, kMostChannels) || !within(info.height, kMostSide) ||
        !within(info.width, kMostSide) || !within(info.pixels(), kMostPixels)) {
      fail(ErrorKind::data, "images of ", info.channels, " x ", info.height, " x ", info.width,
           " numbers are none of ours");
    }
  }

  std::string items(const DataInfo&) const override { return "images"; }

  std::string describe(const DataInfo& info) const override {
    const std::string classes = info.classes.empty() ? "no classes"
                                : info.classes.size() == 1
                                    ? "1 class: "
                                    : concat(info.classes.size(), " classes: ");
    return concat(shape(info),
                  info.binarize == Binarize::none
                      ? ""
                      : ", binarized (" + enum_name(kBinarizeNames, info.binarize) + ")",
                  ", ", classes, class_list(info),
                  info.captions ? concat(", captions of ", info.captions->vocabulary() - 2,
                                         " different words")
                                : "",
                  info.pair_channels > 0 ? ", pairs" : "",
                  info.past > 0 ? concat(", each after ", info.past, " frames") : "",
                  info.ahead > 1 ? concat(" and before ", info.ahead - 1) : "");
  }

  void check_same_items(const DataInfo& expected, const DataInfo& found) const override {
    if (found.channels == expected.channels && found.height == expected.height &&
        found.width == expected.width) {
      return;
    }
    fail(ErrorKind::data, "expected images of ", shape(expected), " as in '", expected.source,
         "'; those of '", found.source, "' are ", shape(found));
  }

  std::vector<std::string> metrics() const override {
    return {"likelihood",     "distances", "classes",  "memorization", "classification-score",
            "classification", "editing",   "captions", "told"};
  }

  std::vector<Image> pictures(const Tensor& items) const override { return to_images(items); }

 private:
  static std::string shape(const DataInfo& info) {
    return concat(info.width, "x", info.height, info.channels == 1 ? " grey" : " colour");
  }
};

}  // namespace

Tensor to_tensor(const LabelledImages& images) {
  Tensor tensor =
      at::empty({images.count, images.channels, images.height, images.width}, at::kByte);
  if (!images.pixels.empty()) {
    std::memcpy(tensor.mutable_data_ptr(), images.pixels.data(), images.pixels.size());
  }
  return tensor;
}

std::vector<Image> to_images(const Tensor& pixels) {
  const Tensor batch = pixels.dim() == 3 ? pixels.unsqueeze(0) : pixels;
  const Tensor interleaved = batch.permute({0, 2, 3, 1}).contiguous();  // [N, H, W, C]
  std::vector<Image> images;
  for (int64_t i = 0; i < interleaved.size(0); ++i) {
    Image image{
        .width = batch.size(3), .height = batch.size(2), .channels = batch.size(1), .pixels = {}};
    image.pixels.resize(static_cast<size_t>(image.width * image.height * image.channels));
    std::memcpy(image.pixels.data(), interleaved[i].const_data_ptr(), image.pixels.size());
    images.push_back(std::move(image));
  }
  return images;
}

const Modality& image_modality() {
  static const Images images;
  return images;
}

}  // namespace genai
