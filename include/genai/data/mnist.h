// MNIST (LeCun, Cortes, Burges 1998) and Fashion-MNIST (Xiao, Rasul, Vollgraf 2017): 60,000
// training and 10,000 test images, 28x28, grey, ten classes, in four IDX files.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "genai/data/image_set.h"

namespace genai {

/// One file of a set. What counts is the SHA-256 of the unpacked content; how it was packed does
/// not matter, except for a download.
struct IdxFile {
  std::string name;    ///< "train-images-idx3-ubyte", without .gz
  uint64_t bytes = 0;  ///< of the unpacked content
  std::string sha256;  ///< of the unpacked content
  uint64_t packed_bytes = 0;
  std::string packed_sha256;  ///< of NAME.gz as the mirrors have it
};

struct IdxSource {
  std::string name;   ///< "mnist": its folder below the data folder
  std::string about;  ///< "handwritten digits, 28x28 grey, 60,000 + 10,000"
  std::vector<std::string> classes;
  std::vector<std::string> mirrors;  ///< base URLs, ending in "/"
  std::vector<std::filesystem::path>
      other_folders;  ///< also looked in; relative: to the data folder
  IdxFile train_images, train_labels, test_images, test_labels;
  std::string advice;  ///< what to do without files and without network
};

struct FetchOptions {
  bool download = true;  ///< may fetch missing files
  /// Told about a running download: file, bytes done, bytes in all.
  std::function<void(const std::string& file, uint64_t done, uint64_t total)> progress;
};

/// Loads the four files of `source`, each NAME.gz or NAME (also with a dot before "idx", as some
/// tools unpack it), from data_dir/source.name, data_dir or the other folders, whichever has the
/// right content first: sets give their files equal names. A missing file is downloaded as NAME.gz
/// into data_dir/source.name when allowed. Throws Error{data}: a file without the expected content
/// (damaged, a subset, another set), a missing file, a failed download; the message says what to
/// do.
ImageSet load_idx_set(const IdxSource& source, const std::filesystem::path& data_dir,
                      const FetchOptions& options = {});

/// IDX files of any set, as KMNIST and EMNIST come and torchvision unpacks them: *train-images*,
/// *train-labels* and the same of t10k or test, packed or not, in the folder, its raw/ or */raw/.
/// Classes are the labels from 0 to the largest; what holds the files of a known set is that set.
bool has_idx_files(const std::filesystem::path& folder);
/// Throws Error{data}: files of several sets, a missing or a damaged one.
ImageSet load_idx_folder(const std::filesystem::path& folder);

/// All sets that are known by their hashes.
const std::vector<IdxSource>& idx_sources();

}  // namespace genai
