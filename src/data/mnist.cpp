#include "genai/data/mnist.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "genai/base/download.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/gzip.h"
#include "genai/base/hash.h"
#include "genai/data/idx.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> folders_of(const IdxSource& source, const fs::path& data_dir) {
  std::vector<fs::path> folders = {data_dir / source.name, data_dir};
  for (const fs::path& folder : source.other_folders) folders.push_back(data_dir / folder);
  return folders;
}

constexpr uint64_t kPackingSlack = 1 << 20;  // gzip makes no file larger than that

/// The unpacked content. Throws Error{data}.
std::string unpacked(const fs::path& path, uint64_t most) {
  std::string content = read_file(path, most + kPackingSlack);
  return is_gzip(content) ? gunzip(content, most, path.string()) : content;
}

/// The places where the file may lie.
std::vector<fs::path> candidates(const IdxFile& file, const std::vector<fs::path>& folders) {
  std::string dotted = file.name;
  if (const size_t dash = dotted.rfind("-idx"); dash != std::string::npos) dotted[dash] = '.';
  std::vector<fs::path> found;
  for (const fs::path& folder : folders)
    for (const std::string& name : {file.name + ".gz", file.name, dotted + ".gz", dotted}) {
      std::error_code ignored;
      if (fs::is_regular_file(folder / name, ignored)) found.push_back(folder / name);
    }
  return found;
}

std::string listed(const std::vector<fs::path>& paths) {
  std::string text;
  for (const fs::path& path : paths) text += (text.empty() ? "" : ", ") + path.string();
  return text;
}

[[noreturn]] void fail_missing(const IdxSource& source, const fs::path& data_dir,
                               const IdxFile& missing, const std::string& why) {
  fail(ErrorKind::data, source.name, ": ", missing.name, ".gz is not in ",
       listed(folders_of(source, data_dir)), why, ".\nPut ", source.train_images.name, ", ",
       source.train_labels.name, ", ", source.test_images.name, " and ", source.test_labels.name,
       " (.gz or unpacked) into ", (data_dir / source.name).string(), ", or ", source.advice);
}

fs::path fetch(const IdxSource& source, const IdxFile& file, const fs::path& data_dir,
               const FetchOptions& options) {
  Download request{{}, file.packed_sha256, file.packed_bytes};
  for (const std::string& mirror : source.mirrors)
    request.urls.push_back(mirror + file.name + ".gz");
  const fs::path destination = data_dir / source.name / (file.name + ".gz");
  try {
    download(request, destination, [&](uint64_t done, uint64_t total) {
      if (options.progress) options.progress(destination.filename().string(), done, total);
    });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;  // a full disk, an interruption
    const std::string why = error.what();
    fail_missing(source, data_dir, file,
                 " and could not be fetched: " + why.substr(0, why.find('\n')));
  }
  return destination;
}

std::string fingerprint_of(const IdxSource& source) {
  return sha256(concat(source.train_images.sha256, source.train_labels.sha256,
                       source.test_images.sha256, source.test_labels.sha256));
}

/// Is it a file of another set that is known?
bool is_of_another(const std::string& hash, const IdxSource& source) {
  for (const IdxSource& other : idx_sources()) {
    if (other.name == source.name) continue;
    for (const IdxFile* file :
         {&other.train_images, &other.train_labels, &other.test_images, &other.test_labels})
      if (file->sha256 == hash) return true;
  }
  return false;
}

/// The first of the file's places with its content, and the content; an empty path where there is
/// none. Throws Error{data} when what lies there is damaged or unknown.
std::pair<fs::path, std::string> find_verified(const IdxFile& file, const IdxSource& source,
                                               const std::vector<fs::path>& folders) {
  const std::string advice =
      concat("\nDelete it and run `genai data fetch ", source.name, "`; files of another set or a ",
             "subset go into a folder of their own: data.source FOLDER");
  std::string problem;
  for (const fs::path& path : candidates(file, folders)) {
    try {
      std::string content = unpacked(path, file.bytes);
      const std::string found = sha256(content);
      if (found == file.sha256) return {path, std::move(content)};
      if (!problem.empty() || is_of_another(found, source)) continue;
      problem = concat(path.string(), " is not the original ", source.name,
                       " file: expected content of ", file.bytes, " bytes with SHA-256 ",
                       file.sha256, ", found ", content.size(), " bytes with ", found, advice);
    } catch (const Error& error) {
      if (problem.empty()) problem = error.what() + advice;
    }
  }
  if (!problem.empty()) throw Error(ErrorKind::data, problem);
  return {};
}

// ---- IDX files of any set

constexpr uint64_t kMaxIdx = uint64_t{4} << 30;

/// Image files, without .gz, right in the folder.
std::set<fs::path> idx_images_in(const fs::path& folder) {
  std::set<fs::path> found;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    fs::path path = entry.path();
    if (path.extension() == ".gz") path.replace_extension();
    const std::string name = path.filename().string();
    if (name.find("images") != std::string::npos && name.find("idx3") != std::string::npos &&
        !name.starts_with("."))
      found.insert(path);
  }
  return found;
}

/// Of the folder, or of its raw/, or of all raw/ in its sub-folders.
std::set<fs::path> find_idx_images(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return {};
  for (const fs::path& place : {folder, folder / "raw"})
    if (auto found = idx_images_in(place); !found.empty()) return found;
  std::set<fs::path> all;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored))
    if (entry.is_directory(ignored)) all.merge(idx_images_in(entry.path() / "raw"));
  return all;
}

bool is_test_file(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.find("t10k") != std::string::npos || name.find("test") != std::string::npos;
}

fs::path labels_beside(const fs::path& images) {
  std::string name = images.filename().string();
  name.replace(name.find("images"), 6, "labels");
  name.replace(name.find("idx3"), 4, "idx1");
  return images.parent_path() / name;
}

/// The file, or it with .gz.
std::string read_idx_file(const fs::path& path) {
  std::error_code ignored;
  const fs::path packed = path.string() + ".gz";
  if (!fs::exists(path, ignored) && fs::exists(packed, ignored)) return unpacked(packed, kMaxIdx);
  return unpacked(path, kMaxIdx);
}

}  // namespace

ImageSet load_idx_set(const IdxSource& source, const fs::path& data_dir,
                      const FetchOptions& options) {
  const std::vector<fs::path> folders = folders_of(source, data_dir);
  const auto load = [&](const IdxFile& images, const IdxFile& labels) {
    fs::path paths[2];
    std::string contents[2];
    int i = 0;
    for (const IdxFile* file : {&images, &labels}) {
      std::tie(paths[i], contents[i]) = find_verified(*file, source, folders);
      if (paths[i].empty()) {
        if (!options.download) fail_missing(source, data_dir, *file, "");
        paths[i] = fetch(source, *file, data_dir, options);
        contents[i] = unpacked(paths[i], file->bytes);  // its sum was verified
      }
      ++i;
    }
    return read_idx(contents[0], contents[1], paths[0].string(), paths[1].string(),
                    static_cast<int64_t>(source.classes.size()));
  };
  ImageSet set;
  set.name = source.name;
  set.classes = source.classes;
  set.train = load(source.train_images, source.train_labels);
  set.test = load(source.test_images, source.test_labels);
  set.fingerprint = fingerprint_of(source);
  return set;
}

bool has_idx_files(const fs::path& folder) {
  return !find_idx_images(folder).empty();
}

ImageSet load_idx_folder(const fs::path& folder) {
  const std::set<fs::path> images = find_idx_images(folder);
  std::vector<fs::path> tests, trains;
  for (const fs::path& path : images) (is_test_file(path) ? tests : trains).push_back(path);
  if (trains.size() != 1 || tests.size() != 1) {
    std::string names;
    for (const fs::path& path : images)
      names += (names.empty() ? "" : ", ") + path.lexically_relative(folder).string();
    fail(ErrorKind::data, folder.string(), ": expected IDX files of one set, images for training ",
         "and for testing (t10k or test), found ", names, "; name the folder of one set");
  }
  constexpr int64_t kLabels = 256;
  ImageSet set;
  std::string hashes;
  int64_t largest = 0;
  const auto load = [&](const fs::path& path) {
    const fs::path labels = labels_beside(path);
    const std::string pixels = read_idx_file(path), classes = read_idx_file(labels);
    hashes += sha256(pixels) + sha256(classes);
    LabelledImages split = read_idx(pixels, classes, path.string(), labels.string(), kLabels);
    largest = std::max(largest, *std::max_element(split.labels.begin(), split.labels.end()));
    return split;
  };
  set.train = load(trains[0]);
  set.test = load(tests[0]);
  if (set.train.width != set.test.width || set.train.height != set.test.height)
    fail(ErrorKind::data, folder.string(), ": expected test images of ", set.train.width, " x ",
         set.train.height, " as for training, found ", set.test.width, " x ", set.test.height);
  for (int64_t label = 0; label <= largest; ++label) set.classes.push_back(concat(label));
  fs::path whole = fs::absolute(trains[0]).lexically_normal().parent_path();
  if (whole.filename() == "raw") whole = whole.parent_path();
  set.name = whole.filename().string();
  set.fingerprint = sha256(hashes);
  for (const IdxSource& source : idx_sources()) {
    if (set.fingerprint != fingerprint_of(source)) continue;
    set.name = source.name;
    set.classes = source.classes;
  }
  return set;
}

// The packed sums of Fashion-MNIST belong to the files of the project's own server (and its GitHub
// repository); Debian's package holds the same deflate streams without names and times in their
// gzip headers.
const std::vector<IdxSource>& idx_sources() {
  static const std::vector<IdxSource> all = {
      {"mnist",
       "handwritten digits, 28x28 grey, 60,000 + 10,000",
       {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
       {"https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/"},
       {"MNIST/raw"},
       {"train-images-idx3-ubyte", 47040016,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", 9912422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"},
       {"train-labels-idx1-ubyte", 60008,
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", 28881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"},
       {"t10k-images-idx3-ubyte", 7840016,
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", 1648877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"},
       {"t10k-labels-idx1-ubyte", 10008,
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", 4542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"},
       "use `--data digits` (built in) or `--data fashion-mnist`"},
      {"fashion-mnist",
       "clothes, 28x28 grey, 60,000 + 10,000",
       {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot"},
       {"https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"},
       {"/usr/share/datasets/fashion-mnist", "FashionMNIST/raw"},
       {"train-images-idx3-ubyte", 47040016,
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888", 26421880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"},
       {"train-labels-idx1-ubyte", 60008,
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9", 29515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"},
       {"t10k-images-idx3-ubyte", 7840016,
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b", 4422102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"},
       {"t10k-labels-idx1-ubyte", 10008,
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34", 5148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"},
       "install Debian's package dataset-fashion-mnist, or use `--data digits` (built in)"}};
  return all;
}

}  // namespace genai
