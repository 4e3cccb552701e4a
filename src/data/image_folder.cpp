#include "genai/data/image_folder.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "genai/base/error.h"
#include "genai/base/hash.h"
#include "genai/base/picture.h"
#include "genai/data/picture_layout.h"
#include "genai/data/split_names.h"
#include "genai/data/unicode.h"
#include "picture_notes-inl.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxPicturePixels = int64_t{1} << 26;
constexpr uint64_t kMaxSetBytes = uint64_t{8} << 30;
constexpr int64_t kDefaultSize = 64, kMaxSize = 4096;
constexpr size_t kSmallSet = 100;
constexpr const char* kEndings = ".png, .jpg, .jpeg, .webp, .bmp";

struct ReadPicture {
  Image image;  // of the set's size
  bool test;
  int64_t label;  // -1 without labels
  Image pair{};   // of the set's size too
  std::string caption{};
  std::string clip{};  // its folder, where pictures are frames
};

/// 64-bit FNV-1a, then a finishing mix: near-equal names give unrelated values.
uint64_t path_hash(const std::string& path) {
  uint64_t h = 0xCBF29CE484222325;
  for (const char c : path) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001B3;
  h = (h ^ (h >> 33)) * 0xFF51AFD7ED558CCD;
  return h ^ (h >> 33);
}

/// A colour picture with equal channels, as one channel.
Image without_false_colour(Image image) {
  if (image.channels != 3) return image;
  const std::vector<uint8_t>& p = image.pixels;
  for (size_t i = 0; i < p.size(); i += 3)
    if (p[i] != p[i + 1] || p[i] != p[i + 2]) return image;
  Image grey{image.width, image.height, 1, {}};
  grey.pixels.reserve(p.size() / 3);
  for (size_t i = 0; i < p.size(); i += 3) grey.pixels.push_back(p[i]);
  return grey;
}

/// Colour in planes; grey is repeated.
void append_planes(const Image& image, int64_t channels, std::vector<uint8_t>& out) {
  const size_t plane = static_cast<size_t>(image.width * image.height);
  const auto step = static_cast<size_t>(image.channels);
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c)
    for (size_t p = 0; p < plane; ++p) out.push_back(image.pixels[p * step + (step == 1 ? 0 : c)]);
}

LabelledImages pack(std::vector<ReadPicture>& pictures, bool test, const Extent& size,
                    int64_t channels, int64_t pair_channels) {
  LabelledImages split;
  split.pair_channels = pair_channels;
  split.channels = channels;
  split.height = size.height;
  split.width = size.width;
  split.count = std::ranges::count(pictures, test, &ReadPicture::test);
  split.pixels.reserve(static_cast<size_t>(split.count * channels * size.width * size.height));
  std::string clip;
  int64_t packed = 0;
  for (ReadPicture& picture : pictures) {
    if (picture.test != test) continue;
    if (picture.clip != clip) split.clips.push_back(packed);
    clip = picture.clip;
    ++packed;
    if (picture.label >= 0) split.labels.push_back(picture.label);
    if (!picture.caption.empty()) split.captions.push_back(picture.caption);
    if (pair_channels > 0)
      append_planes(std::exchange(picture.pair, {}), pair_channels, split.pairs);
    append_planes(std::exchange(picture.image, {}), channels, split.pixels);
  }
  if (!split.clips.empty()) split.clips.push_back(packed);
  return split;
}

std::string bytes_hash(const LabelledImages& split) {
  const auto* pixels = reinterpret_cast<const char*>(split.pixels.data());
  const auto* labels = reinterpret_cast<const char*>(split.labels.data());
  const std::string height = concat(split.height);
  return concat(split.count, " ", split.channels, " ",
                split.width == split.height ? height : concat(split.width, "x", height), " ",
                sha256({pixels, split.pixels.size()}), " ",
                sha256({labels, split.labels.size() * sizeof(int64_t)}), "\n");
}

/// Of what comes with the pictures; empty where nothing does.
std::string given_hash(const LabelledImages& split) {
  if (split.pair_channels == 0 && split.captions.empty() && split.clips.empty()) return "";
  std::string captions;
  for (const int64_t clip : split.clips) captions += concat(clip, " ");
  for (const std::string& caption : split.captions) captions += caption + '\0';
  const auto* pairs = reinterpret_cast<const char*>(split.pairs.data());
  return concat(split.pair_channels, " ", sha256({pairs, split.pairs.size()}), " ",
                sha256(captions), "\n");
}

void check(const FolderOptions& options) {
  const auto side = [&](int64_t n) {
    return options.size.given() ? n >= 1 && n <= kMaxSize : n == 0;
  };
  if (!side(options.size.width) || !side(options.size.height))
    fail(ErrorKind::usage, "image folder: expected a size from 1 to ", kMaxSize,
         ", or 0 for automatic, found ", extent_text(options.size));
  if (options.channels != 0 && options.channels != 1 && options.channels != 3)
    fail(ErrorKind::usage, "image folder: expected 1 or 3 channels, or 0 for automatic, found ",
         options.channels);
  if (!(options.test_share > 0 && options.test_share < 1))
    fail(ErrorKind::usage, "image folder: expected a test share between 0 and 1, found ",
         options.test_share);
}

/// The size that most pictures have; of equally frequent ones that of the first picture.
std::pair<int64_t, int64_t> most_frequent_size(const PictureFiles& files,
                                               const std::vector<PictureEntry>& entries) {
  constexpr uint64_t kHeader = 256 << 10;  // cameras put a preview before the size
  std::map<std::pair<int64_t, int64_t>, size_t> counts;
  std::vector<std::pair<int64_t, int64_t>> sizes;
  for (const PictureEntry& entry : entries) {
    try {
      const auto size = picture_size(files.read(entry.path, kHeader));
      if (!size || size->first < 1 || size->second < 1) continue;
      ++counts[*size];
      sizes.push_back(*size);
    } catch (const Error&) {  // told of when it is read whole
    }
  }
  std::pair<int64_t, int64_t> found{kDefaultSize, kDefaultSize};
  size_t most = 0;
  for (const auto& size : sizes) {
    if (counts[size] <= most) continue;
    most = counts[size];
    found = size;
  }
  return found;
}

/// Classes in the order of `known` where it has the same, as runs of version 0.1 stored it; else
/// as people sort.
std::vector<std::string> order_classes(const std::vector<PictureEntry>& entries,
                                       const std::vector<std::string>& known) {
  std::set<std::string> names;
  for (const PictureEntry& entry : entries)
    if (!entry.label.empty()) names.insert(entry.label);
  if (std::set<std::string>(known.begin(), known.end()) == names) return known;
  std::vector<std::string> classes(names.begin(), names.end());
  std::ranges::sort(classes, natural_less);
  return classes;
}

/// "cats" of "cats/" and of "cats.zip".
std::string set_name(const fs::path& folder) {
  std::error_code ignored;
  fs::path whole = fs::absolute(folder, ignored).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();
  return fs::is_directory(folder, ignored) ? whole.filename().string() : whole.stem().string();
}

void check_class_names(const std::vector<std::string>& classes, const std::string& folder) {
  for (const std::string& stored : classes) {
    if (is_utf8(stored)) continue;
    fail(ErrorKind::data, folder, ": the name of the class '", valid_utf8(stored),
         "' is not UTF-8; rename its folder");
  }
}

/// The pictures of a folder, on their way to a set.
struct Reading {
  std::string name;  ///< of the folder, for messages
  const FolderOptions& options;
  Extent size;
  const PictureLayout& layout;
  std::vector<ReadPicture> pictures{};
  std::vector<uint64_t> hashes{};  ///< of their paths
  Findings findings{};
  bool all_grey = true, all_pairs_grey = true;

  int64_t channels() const { return options.channels != 0 ? options.channels : all_grey ? 1 : 3; }
  int64_t pair_channels() const { return options.pairs.empty() ? 0 : all_pairs_grey ? 1 : 3; }
};

/// The pictures of another folder, by their paths without the endings.
class Pairs {
 public:
  explicit Pairs(const fs::path& folder) {
    if (folder.empty()) return;
    files_ = open_picture_files(folder);
    for (const std::string& path : files_->pictures) paths_.emplace(key(path), path);
  }
  bool wanted() const { return files_ != nullptr; }
  /// Without pixels where there is none. Throws what decode_picture throws.
  Image find(const std::string& path, Ground ground) const {
    const auto found = paths_.find(key(path));
    if (found == paths_.end()) return {};
    return without_false_colour(decode_picture(files_->read(found->second),
                                               files_->where(found->second), kMaxPicturePixels,
                                               ground)
                                    .image);
  }

 private:
  static std::string key(const std::string& path) {
    return fs::path(path).replace_extension().generic_string();
  }
  std::unique_ptr<PictureFiles> files_;
  std::map<std::string, std::string> paths_;
};

/// The folder of a frame.
std::string clip_of(const std::string& path) {
  return concat("/", fs::path(path).parent_path().generic_string());
}

/// The frames of each clip one after the other, as people count.
void order_clips(int64_t least, PictureLayout& layout) {
  for (PictureEntry& entry : layout.entries) entry.label.clear();
  std::erase_if(layout.notes,
                [](const std::string& note) { return note.find("classes are") == 0; });
  std::map<std::string, int64_t> frames;
  for (const PictureEntry& entry : layout.entries) ++frames[clip_of(entry.path)];
  std::vector<std::string> brief;
  for (const auto& [clip, count] : frames)
    if (count < least) brief.push_back(clip.substr(1));
  std::erase_if(layout.entries,
                [&](const PictureEntry& entry) { return frames.at(clip_of(entry.path)) < least; });
  if (!brief.empty())
    layout.notes.push_back(concat("left out ", counted(brief.size(), "clip"), " of fewer than ",
                                  least, " frames: ", first_names(brief)));
  std::ranges::stable_sort(layout.entries, [](const PictureEntry& a, const PictureEntry& b) {
    const std::string first = clip_of(a.path), second = clip_of(b.path);
    return first != second ? first < second : natural_less(a.path, b.path);
  });
}

/// Throws Error{data} where a frame is not of the size of the one before in its clip.
void check_frame(const Image& image, const std::string& path, std::string& clip,
                 std::pair<int64_t, int64_t>& size) {
  const std::pair found{image.width, image.height};
  if (std::exchange(clip, clip_of(path)) == clip_of(path) && size != found) {
    fail(ErrorKind::data, path, ": expected frames of one size, of ", size_text(size),
         " as the one before, found ", size_text(found));
  }
  size = found;
}

/// Do both show the same of what they are made of, once they are cropped to one shape? Sizes may be
/// rounded.
bool same_shape(const Image& a, const Image& b) {
  const int64_t most = std::max(std::max(a.width, a.height), std::max(b.width, b.height));
  return std::abs(a.width * b.height - a.height * b.width) <= most;
}

/// Each picture is brought to its final size at once: memory holds no originals.
void read_pictures(Reading& reading, const PictureFiles& files,
                   const std::vector<std::string>& classes) {
  const FolderOptions& options = reading.options;
  const Extent& size = reading.size;
  std::map<std::string, int64_t> label_of;
  for (size_t i = 0; i < classes.size(); ++i) label_of[classes[i]] = static_cast<int64_t>(i);
  const Pairs pairs(options.pairs);
  std::string clip;
  std::pair<int64_t, int64_t> frame;
  for (const PictureEntry& entry : reading.layout.entries) {
    Picture found;
    Image pair;
    try {
      found = decode_picture(files.read(entry.path), files.where(entry.path), kMaxPicturePixels,
                             options.ground);
      pair = pairs.find(entry.path, options.ground);
    } catch (const Error& error) {
      if (options.frames > 0) throw;  // a clip is whole
      reading.findings.failures.push_back(error.what());
      continue;
    }
    if (pairs.wanted() && pair.pixels.empty()) {
      reading.findings.unpaired.push_back(entry.path);
      continue;
    }
    if (pairs.wanted() && !same_shape(found.image, pair))
      fail(ErrorKind::data, "data.pair: ", entry.path, ": expected both of a pair of one shape, ",
           "found ", found.image.width, "x", found.image.height, " in ", reading.name, " and ",
           pair.width, "x", pair.height, " in ", options.pairs.string());
    reading.all_pairs_grey = reading.all_pairs_grey && pair.channels != 3;
    note_picture(found, entry.path, reading.findings);
    if (options.frames > 0) check_frame(found.image, entry.path, clip, frame);
    Image image = without_false_colour(std::move(found.image));
    if (options.channels == 1 && image.channels == 3) image = to_grey(image);
    reading.all_grey = reading.all_grey && image.channels == 1;
    const int64_t channels = reading.channels() + reading.pair_channels();
    const auto pixels = static_cast<uint64_t>(size.width * size.height * channels);
    if ((reading.pictures.size() + 1) * pixels > kMaxSetBytes)
      fail(ErrorKind::data, reading.name, ": ", reading.layout.entries.size(), " pictures of ",
           size.width, " x ", size.height,
           " need more than the limit of 8 GiB of memory; choose a smaller size");
    const uint64_t hash = path_hash(options.frames > 0 ? clip : entry.path);
    const bool test = reading.layout.splits
                          ? entry.split == "test"
                          : static_cast<double>(hash >> 11) * 0x1p-53 < options.test_share;
    reading.pictures.push_back(
        {.image = resize_to_fit(image, size.width, size.height),
         .test = test,
         .label = entry.label.empty() ? -1 : label_of[entry.label],
         .pair = pairs.wanted() ? resize_to_fit(pair, size.width, size.height) : Image(),
         .caption = entry.caption,
         .clip = options.frames > 0 ? clip : ""});
    reading.hashes.push_back(hash);
  }
}

/// Both splits have a picture. Throws where there are too few.
void check_and_split(Reading& reading, const std::string& unreadable) {
  auto& pictures = reading.pictures;
  const auto& unpaired = reading.findings.unpaired;
  if (!unpaired.empty() && pictures.size() < 2)
    fail(ErrorKind::data, "data.pair: ", reading.options.pairs.string(),
         ": expected pictures of the same names as in ", reading.name, ", found none for ",
         counted(unpaired.size(), "picture"), ": ", first_names(unpaired));
  if (pictures.size() < 2 && reading.options.frames > 0)
    fail(ErrorKind::data, reading.name, ": expected at least 2 clips, folders or animations of ",
         reading.options.frames, " frames or more (data.past and data.ahead), found none; ",
         reading.layout.notes.empty() ? "" : reading.layout.notes.back());
  if (pictures.size() < 2)
    fail(ErrorKind::data, reading.name, ": expected at least 2 readable pictures (", kEndings,
         "; right in the folder, or in one sub-folder a class), found ", pictures.size(),
         unreadable.empty() ? "" : "; ", unreadable,
         reading.layout.others.empty() ? "" : "; " + skipped_text(reading.layout));
  const int64_t tests = std::ranges::count(pictures, true, &ReadPicture::test);
  const int64_t trains = static_cast<int64_t>(pictures.size()) - tests;
  if (reading.layout.splits && (tests == 0 || trains == 0))
    fail(ErrorKind::data, reading.name, ": expected at least 1 readable picture for ",
         tests == 0 ? "testing" : "training", ", found 0; ", unreadable);
  const auto& hashes = reading.hashes;
  if (reading.options.frames > 0 &&
      std::ranges::all_of(hashes, [&](uint64_t hash) { return hash == hashes[0]; }))
    fail(ErrorKind::data, reading.name,
         ": expected at least 2 clips, folders of frames or animations, found one of ",
         counted(pictures.size(), "picture"));
  // All of its clip, too.
  const auto move = [&](uint64_t hash, bool test) {
    for (size_t i = 0; i < hashes.size(); ++i)
      if (hashes[i] == hash) pictures[i].test = test;
  };
  if (tests == 0) move(*std::ranges::min_element(hashes), true);
  if (trains == 0) move(*std::ranges::max_element(hashes), false);
}

}  // namespace

LabelledImages read_sample_folder(const fs::path& folder, const SampleShape& shape) {
  const auto files = open_picture_files(folder);
  const PictureLayout layout = arrange_pictures(*files, folder.string());
  if (layout.entries.empty())
    fail(ErrorKind::data, folder.string(), ": expected pictures (", kEndings, "), found ",
         counted(layout.others.size(), "other file"), pictures_not_read(layout.others));
  const auto kind = [](int64_t width, int64_t height, int64_t channels) {
    return concat(width, "x", height, channels == 1 ? " grey" : " colour");
  };
  LabelledImages set{.count = static_cast<int64_t>(layout.entries.size()),
                     .channels = shape.channels,
                     .height = shape.height,
                     .width = shape.width,
                     .pixels = {},
                     .labels = {}};
  for (const PictureEntry& entry : layout.entries) {
    const std::string name = files->where(entry.path);
    Picture found = decode_picture(files->read(entry.path), name, kMaxPicturePixels);
    const Image image = without_false_colour(std::move(found.image));
    if (image.width != shape.width || image.height != shape.height ||
        image.channels > shape.channels) {
      fail(ErrorKind::data, name, ": expected every picture to be ",
           kind(shape.width, shape.height, shape.channels), " like the data set, found ",
           kind(image.width, image.height, image.channels),
           found.samples > 1 ? concat(", a sheet of ", found.samples, " samples") : "",
           "; pictures are measured as they are (`genai sample --separate` writes single ones)");
    }
    append_planes(image, shape.channels, set.pixels);
    if (entry.label.empty()) continue;
    const auto known = std::ranges::find(shape.classes, entry.label);
    if (known == shape.classes.end())
      fail(ErrorKind::data, name, ": its folder '", entry.label, "' is no class of the data set");
    set.labels.push_back(known - shape.classes.begin());
  }
  return set;
}

ImageSet read_image_folder(const fs::path& folder, const FolderOptions& options) {
  check(options);
  const auto files = options.frames > 0 ? open_clip_files(folder) : open_picture_files(folder);
  PictureLayout layout = arrange_pictures(*files, folder.string());
  if (options.frames > 0) order_clips(options.frames, layout);
  ImageSet set{.name = set_name(folder), .classes = order_classes(layout.entries, options.classes)};
  check_class_names(set.classes, folder.string());
  Extent size = options.size;
  if (!size.given()) {
    const auto [width, height] = most_frequent_size(*files, layout.entries);
    size = std::min({kDefaultSize, width, height});
  }
  Reading reading{.name = folder.string(), .options = options, .size = size, .layout = layout};
  read_pictures(reading, *files, set.classes);
  const std::string unreadable = unreadable_text(reading.findings);
  check_and_split(reading, unreadable);

  set.notes = layout.notes;
  if (!unreadable.empty()) set.notes.push_back(unreadable);
  if (!layout.others.empty()) set.notes.push_back(skipped_text(layout));
  if (const auto& unpaired = reading.findings.unpaired; !unpaired.empty())
    set.notes.push_back(concat("left out ", counted(unpaired.size(), "picture"),
                               " without a pair: ", first_names(unpaired)));
  note_sizes(reading.findings, size, set.notes);
  note_transparency(reading.findings, options.ground, set.notes);
  note_odd_kinds(reading.findings, set.notes);
  const int64_t channels = reading.channels();
  set.train = pack(reading.pictures, false, size, channels, reading.pair_channels());
  set.test = pack(reading.pictures, true, size, channels, reading.pair_channels());
  note_unseen_classes(set, set.notes);
  if (reading.pictures.size() < kSmallSet)
    set.notes.push_back(concat("only ", reading.pictures.size(),
                               " pictures: a model will learn them by "
                               "heart rather than what they share"));
  std::string identity = "genai image folder 1\n";
  for (const std::string& label : set.classes) identity += label + "\n";
  set.fingerprint = sha256(identity + bytes_hash(set.train) + bytes_hash(set.test) +
                           given_hash(set.train) + given_hash(set.test));
  return set;
}

}  // namespace genai
