#include "genai/data/image_folder.h"

#include <algorithm>
#include <map>
#include <utility>

#include "genai/base/error.h"
#include "genai/base/hash.h"
#include "genai/base/picture.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxPicturePixels = int64_t{1} << 26;
constexpr uint64_t kMaxSetBytes = uint64_t{8} << 30;
constexpr int64_t kDefaultSize = 64, kMaxSize = 4096;
constexpr size_t kSmallSet = 100, kNamed = 3;

struct Entry {
  std::string path;          // relative, '/' between the parts
  std::string split;         // "train", "test" or "" (to be decided)
  std::string label;         // "" without labels
};

struct Listing {
  std::vector<Entry> pictures;
  std::vector<std::string> others;   // relative paths of files that are no pictures
};

struct Picture {
  Image image;               // size x size
  bool test;
  int64_t label;             // -1 without labels
};

bool is_picture_name(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension)
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg" || extension == ".bmp";
}

void list(const fs::path& folder, const fs::path& relative, Listing& listing) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const fs::path name = entry.path().filename();
    if (name.string().starts_with(".")) continue;
    std::error_code ignored;   // a dangling link, say: then it is just another file
    if (entry.is_directory(ignored)) {
      if (!entry.is_symlink(ignored)) list(entry.path(), relative / name, listing);
    } else if (entry.is_regular_file(ignored) && is_picture_name(name)) {
      listing.pictures.push_back({(relative / name).generic_string(), "", ""});
    } else {
      listing.others.push_back((relative / name).generic_string());
    }
  }
}

/// Cuts the first folder off `path`; "" when it has none.
std::string cut_folder(std::string& path) {
  const size_t slash = path.find('/');
  if (slash == std::string::npos) return "";
  std::string folder = path.substr(0, slash);
  path.erase(0, slash + 1);
  return folder;
}

/// "1 picture", "2 pictures".
std::string counted(size_t count, const std::string& noun) {
  return concat(count, " ", noun, count == 1 ? "" : "s");
}

/// Sorts, then finds split and label of every picture.
void arrange(Listing& listing, const std::string& name) {
  std::vector<Entry>& pictures = listing.pictures;
  std::ranges::sort(pictures, {}, &Entry::path);
  std::ranges::sort(listing.others);
  const auto below = [&](const std::string& folder) {
    return std::ranges::any_of(pictures,
                               [&](const Entry& e) { return e.path.starts_with(folder + "/"); });
  };
  const bool has_splits = below("train") && below("test");
  size_t loose = 0, outside = 0;
  for (Entry& entry : pictures) {
    std::string rest = entry.path;
    if (has_splits) {
      entry.split = cut_folder(rest);
      outside += entry.split != "train" && entry.split != "test";
    }
    entry.label = cut_folder(rest);
    loose += entry.label.empty();
  }
  if (outside > 0)
    fail(ErrorKind::data, name, ": found ", counted(outside, "picture"),
         " beside the folders train and test; move them into one of the two or out of the folder");
  if (loose > 0 && loose < pictures.size())
    fail(ErrorKind::data, name, ": found ", counted(loose, "picture"), " beside sub-folders with ",
         counted(pictures.size() - loose, "picture"),
         "; expected none in sub-folders (no labels) or all of them (their classes)");
}

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

/// "a, b, c" of the first three, "a, b, c, ..." of more.
std::string first_names(const std::vector<std::string>& names, const char* separator) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kNamed); ++i)
    text += (i > 0 ? separator : "") + names[i];
  return names.size() > kNamed ? text + separator + "..." : text;
}

/// Colour in planes; grey is repeated.
void append_planes(const Image& image, int64_t channels, std::vector<uint8_t>& out) {
  const size_t plane = static_cast<size_t>(image.width * image.height);
  const auto step = static_cast<size_t>(image.channels);
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c)
    for (size_t p = 0; p < plane; ++p) out.push_back(image.pixels[p * step + (step == 1 ? 0 : c)]);
}

LabelledImages pack(std::vector<Picture>& pictures, bool test, int64_t size, int64_t channels) {
  LabelledImages split;
  split.channels = channels;
  split.height = split.width = size;
  split.count = std::ranges::count(pictures, test, &Picture::test);
  split.pixels.reserve(static_cast<size_t>(split.count * channels * size * size));
  for (Picture& picture : pictures) {
    if (picture.test != test) continue;
    if (picture.label >= 0) split.labels.push_back(picture.label);
    append_planes(std::exchange(picture.image, {}), channels, split.pixels);
  }
  return split;
}

std::string bytes_hash(const LabelledImages& split) {
  const auto* pixels = reinterpret_cast<const char*>(split.pixels.data());
  const auto* labels = reinterpret_cast<const char*>(split.labels.data());
  return concat(split.count, " ", split.channels, " ", split.height, " ",
                sha256({pixels, split.pixels.size()}), " ",
                sha256({labels, split.labels.size() * sizeof(int64_t)}), "\n");
}

void check(const FolderOptions& options) {
  if (options.size < 0 || options.size > kMaxSize)
    fail(ErrorKind::usage, "image folder: expected a size from 1 to ", kMaxSize,
         ", or 0 for automatic, found ", options.size);
  if (options.channels != 0 && options.channels != 1 && options.channels != 3)
    fail(ErrorKind::usage, "image folder: expected 1 or 3 channels, or 0 for automatic, found ",
         options.channels);
  if (!(options.test_share > 0 && options.test_share < 1))
    fail(ErrorKind::usage, "image folder: expected a test share between 0 and 1, found ",
         options.test_share);
}

/// All that lies below `folder`, arranged.
Listing list_pictures(const fs::path& folder) {
  std::error_code ignored;
  const std::string name = folder.string();
  if (!fs::is_directory(folder, ignored))
    fail(ErrorKind::data, name, ": expected a folder of pictures, found ",
         fs::exists(folder, ignored) ? "a file" : "nothing of that name");
  Listing listing;
  try {
    list(folder, "", listing);
  } catch (const fs::filesystem_error& error) {
    fail(ErrorKind::data, error.path1().string(), ": cannot be listed: ", error.code().message());
  }
  arrange(listing, name);
  return listing;
}

}  // namespace

LabelledImages read_sample_folder(const fs::path& folder, const SampleShape& shape) {
  const Listing listing = list_pictures(folder);
  if (listing.pictures.empty())
    fail(ErrorKind::data, folder.string(), ": expected pictures (.png, .jpg, .jpeg, .bmp), found ",
         counted(listing.others.size(), "other file"));
  const auto kind = [](int64_t width, int64_t height, int64_t channels) {
    return concat(width, "x", height, channels == 1 ? " grey" : " colour");
  };
  LabelledImages set{.count = static_cast<int64_t>(listing.pictures.size()),
                     .channels = shape.channels,
                     .height = shape.height,
                     .width = shape.width,
                     .pixels = {},
                     .labels = {}};
  for (const Entry& entry : listing.pictures) {
    const std::string name = (folder / entry.path).string();
    const Image image = without_false_colour(read_picture(name, kMaxPicturePixels));
    if (image.width != shape.width || image.height != shape.height ||
        image.channels > shape.channels) {
      fail(ErrorKind::data, name, ": expected every picture to be ",
           kind(shape.width, shape.height, shape.channels), " like the data set, found ",
           kind(image.width, image.height, image.channels),
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
  std::error_code ignored;
  fs::path whole = fs::absolute(folder, ignored).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();   // "cats/"
  const std::string name = folder.string();
  const Listing listing = list_pictures(folder);

  ImageSet set;
  set.name = whole.filename().string();
  std::map<std::string, int64_t> label_of;
  for (const Entry& entry : listing.pictures)
    if (!entry.label.empty()) label_of[entry.label] = 0;
  for (auto& [label, index] : label_of) {
    index = static_cast<int64_t>(set.classes.size());
    set.classes.push_back(label);
  }

  // Read. Each picture is brought to its final size at once: memory holds no originals.
  int64_t size = options.size;
  bool all_grey = true;
  std::vector<Picture> pictures;
  std::vector<uint64_t> hashes;
  std::vector<std::string> failures;
  for (const Entry& entry : listing.pictures) {
    Image image;
    try {
      image = without_false_colour(read_picture(folder / entry.path, kMaxPicturePixels));
    } catch (const Error& error) {
      failures.push_back(error.what());
      continue;
    }
    if (size == 0) size = std::min({kDefaultSize, image.width, image.height});
    if (options.channels == 1 && image.channels == 3) image = to_grey(image);
    all_grey = all_grey && image.channels == 1;
    const int64_t channels = options.channels != 0 ? options.channels : all_grey ? 1 : 3;
    if ((pictures.size() + 1) * size * size * channels > kMaxSetBytes)
      fail(ErrorKind::data, name, ": ", listing.pictures.size(), " pictures of ", size, " x ", size,
           " need more than the limit of 8 GiB of memory; choose a smaller size");
    const int64_t label = entry.label.empty() ? -1 : label_of[entry.label];
    const uint64_t hash = path_hash(entry.path);
    const bool test = entry.split.empty()
                          ? static_cast<double>(hash >> 11) * 0x1p-53 < options.test_share
                          : entry.split == "test";
    pictures.push_back({resize_to_fit(image, size, size), test, label});
    hashes.push_back(hash);
  }

  std::string unreadable, skipped;
  if (!failures.empty())
    unreadable = concat("could not read ", counted(failures.size(), "picture"), ": ",
                        first_names(failures, "; "));
  if (!listing.others.empty())
    skipped = concat("skipped ", counted(listing.others.size(), "other file"), ": ",
                     first_names(listing.others, ", "));
  if (pictures.size() < 2)
    fail(ErrorKind::data, name, ": expected at least 2 readable pictures (.png, .jpg, .jpeg, .bmp; "
         "right in the folder, or in one sub-folder a class), found ", pictures.size(),
         unreadable.empty() ? "" : "; ", unreadable, skipped.empty() ? "" : "; ", skipped);

  const bool given_splits = !listing.pictures.front().split.empty();
  const int64_t tests = std::ranges::count(pictures, true, &Picture::test);
  const int64_t trains = static_cast<int64_t>(pictures.size()) - tests;
  if (given_splits && (tests == 0 || trains == 0))
    fail(ErrorKind::data, name, "/", tests == 0 ? "test" : "train",
         ": expected at least 1 readable picture, found 0; ", unreadable);
  if (tests == 0) pictures[std::ranges::min_element(hashes) - hashes.begin()].test = true;
  if (trains == 0) pictures[std::ranges::max_element(hashes) - hashes.begin()].test = false;

  if (!unreadable.empty()) set.notes.push_back(unreadable);
  if (!skipped.empty()) set.notes.push_back(skipped);
  if (pictures.size() < kSmallSet)
    set.notes.push_back(concat("only ", pictures.size(), " pictures: a model will learn them by "
                               "heart rather than what they share"));
  const int64_t channels = options.channels != 0 ? options.channels : all_grey ? 1 : 3;
  set.train = pack(pictures, false, size, channels);
  set.test = pack(pictures, true, size, channels);
  std::string identity = "genai image folder 1\n";
  for (const std::string& label : set.classes) identity += label + "\n";
  set.fingerprint = sha256(identity + bytes_hash(set.train) + bytes_hash(set.test));
  return set;
}

}  // namespace genai
