// Where the pictures of a data set lie: below a folder, or in a ZIP.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace genai {

/// Does its ending say that it is a picture?
bool is_picture_name(const std::filesystem::path& path);

class PictureFiles {
 public:
  virtual ~PictureFiles() = default;

  /// The bytes of one file, or the first `most` of them. Throws Error{data}: it cannot be read, is
  /// damaged (in a ZIP), or has more than 512 MiB.
  virtual std::string read(const std::string& path, uint64_t most = UINT64_MAX) const = 0;
  /// Its name for messages.
  virtual std::string where(const std::string& path) const = 0;

  std::vector<std::string> pictures;  ///< relative paths, '/' between the parts, in bytewise order
  std::vector<std::string> others;    ///< files that are no pictures, alike
  std::vector<std::string> notes;     ///< links that were not followed
};

/// Every .png, .jpg, .jpeg, .webp and .bmp (any case) below the folder, or in the ZIP, `path`.
/// Names that begin with a dot and __MACOSX are passed over. Links to folders count as folders, at
/// most three on a path and none to a folder that it lies in. Throws Error{data}: neither folder
/// nor ZIP, a folder that cannot be listed, a damaged or encrypted ZIP, one of more than a million
/// files or 64 GiB unpacked.
std::unique_ptr<PictureFiles> open_picture_files(const std::filesystem::path& path);

/// The same, with each animation (.gif, .apng) as a folder of its frames: "a.gif/0007.png". Throws
/// what decode_frames does.
std::unique_ptr<PictureFiles> open_clip_files(const std::filesystem::path& path);

}  // namespace genai
