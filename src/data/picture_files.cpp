#include "genai/data/picture_files.h"

#include <zip.h>

#include <algorithm>
#include <map>
#include <utility>

#include "genai/base/animation.h"
#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/picture.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxPictureFile = uint64_t{512} << 20;

bool is_hidden(const std::string& name) {
  return name.starts_with(".") || name == "__MACOSX";
}

class FolderFiles : public PictureFiles {
 public:
  explicit FolderFiles(const fs::path& folder) : folder_(folder) {
    try {
      std::vector<fs::path> above{fs::canonical(folder)};
      list(folder, "", above, 0);
    } catch (const fs::filesystem_error& error) {
      fail(ErrorKind::data, error.path1().string(), ": cannot be listed: ", error.code().message());
    }
    std::ranges::sort(pictures);
    std::ranges::sort(others);
    std::ranges::sort(notes);
  }

  std::string read(const std::string& path, uint64_t most) const override {
    if (most > kMaxPictureFile) return read_file(folder_ / path, kMaxPictureFile);
    return read_start(folder_ / path, most);
  }
  std::string where(const std::string& path) const override { return (folder_ / path).string(); }

 private:
  /// @param above  where the folder lies in truth, with those that it lies in
  /// @param links  among these
  void list(const fs::path& folder, const fs::path& relative, std::vector<fs::path>& above,
            int links) {
    constexpr int kMostLinks = 3;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      const fs::path name = entry.path().filename();
      if (is_hidden(name.string())) continue;
      const std::string path = (relative / name).generic_string();
      std::error_code ignored;  // a dangling link, say: then it is just another file
      if (entry.is_directory(ignored)) {
        const bool link = entry.is_symlink(ignored);
        const fs::path real = link ? fs::canonical(entry.path()) : above.back() / name;
        if (link && (links == kMostLinks || std::ranges::find(above, real) != above.end())) {
          notes.push_back("did not follow the link " + path);
          continue;
        }
        above.push_back(real);
        list(entry.path(), relative / name, above, links + (link ? 1 : 0));
        above.pop_back();
      } else if (entry.is_regular_file(ignored) && is_picture_name(name)) {
        pictures.push_back(path);
      } else {
        others.push_back(path);
      }
    }
  }

  fs::path folder_;
};

class ZipFiles : public PictureFiles {
 public:
  explicit ZipFiles(const fs::path& path) : name_(path.string()) {
    int code = 0;
    zip_.reset(zip_open(name_.c_str(), ZIP_RDONLY, &code));
    if (!zip_) {
      zip_error_t error;
      zip_error_init_with_code(&error, code);
      const std::string why = zip_error_strerror(&error);
      zip_error_fini(&error);
      damaged(why);
    }
    constexpr zip_int64_t kMostFiles = 1'000'000;
    constexpr uint64_t kMostBytes = uint64_t{64} << 30;
    const zip_int64_t count = zip_get_num_entries(zip_.get(), 0);
    if (count > kMostFiles)
      damaged(concat("expected at most ", kMostFiles, " files, found ", count));
    uint64_t bytes = 0;
    for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(count); ++i) {
      const char* text = zip_get_name(zip_.get(), i, 0);
      if (!text) damaged(zip_strerror(zip_.get()));
      const std::string file = text;
      if (file.empty() || file.back() == '/') continue;  // a folder
      const fs::path parts = file;
      if (std::any_of(parts.begin(), parts.end(),
                      [](const fs::path& part) { return is_hidden(part.string()); }))
        continue;
      zip_stat_t stat;
      if (zip_stat_index(zip_.get(), i, 0, &stat) != 0 || !(stat.valid & ZIP_STAT_SIZE))
        damaged("no size of " + file);
      if (stat.size > kMostBytes || (bytes += stat.size) > kMostBytes)
        damaged("more than 64 GiB unpacked");
      (is_picture_name(parts) ? pictures : others).push_back(file);
    }
    std::ranges::sort(pictures);
    std::ranges::sort(others);
    if (std::ranges::adjacent_find(pictures) != pictures.end())
      damaged("it holds '" + *std::ranges::adjacent_find(pictures) + "' twice");
  }

  std::string read(const std::string& path, uint64_t most) const override {
    zip_stat_t stat;
    const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(
        zip_fopen(zip_.get(), path.c_str(), 0), zip_fclose);
    if (!file || zip_stat(zip_.get(), path.c_str(), 0, &stat) != 0)
      fail(ErrorKind::data, where(path), ": ", zip_strerror(zip_.get()));
    if (stat.size > kMaxPictureFile)
      fail(ErrorKind::data, where(path), ": expected at most ", kMaxPictureFile, " bytes, found ",
           stat.size);
    // One byte more than there should be: only a read past the end checks the sum.
    const bool whole = most >= stat.size;
    std::string bytes(whole ? stat.size + 1 : most, '\0');
    size_t found = 0;
    while (found < bytes.size()) {
      const zip_int64_t n = zip_fread(file.get(), bytes.data() + found, bytes.size() - found);
      if (n < 0)
        fail(ErrorKind::data, where(path), ": ", zip_file_strerror(file.get()),
             "; get or make the ZIP again");
      if (n == 0) break;
      found += static_cast<size_t>(n);
    }
    if (whole && found != stat.size)
      fail(ErrorKind::data, where(path), ": expected ", stat.size, " bytes, found ", found);
    bytes.resize(found);
    return bytes;
  }
  std::string where(const std::string& path) const override { return name_ + ": " + path; }

 private:
  [[noreturn]] void damaged(const std::string& why) const {
    fail(ErrorKind::data, "cannot read ZIP ", name_, ": ", why, "; get or make the file again");
  }

  std::string name_;
  std::unique_ptr<zip_t, void (*)(zip_t*)> zip_{nullptr, zip_discard};
};

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension)
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
  return extension;
}

/// Animations among others' files as folders of their frames: "a.gif/0007.png".
class ClipFiles : public PictureFiles {
 public:
  explicit ClipFiles(std::unique_ptr<PictureFiles> files) : files_(std::move(files)) {
    pictures = files_->pictures;
    notes = files_->notes;
    for (const std::string& path : files_->others) {
      const std::string end = lower_extension(path);
      if (end != ".gif" && end != ".apng") {
        others.push_back(path);
        continue;
      }
      const size_t count = frames_of(path).size();
      for (size_t frame = 0; frame < count; ++frame) {
        std::string number = concat(frame);
        number.insert(0, 4 - std::min<size_t>(4, number.size()), '0');
        const std::string name = concat(path, "/", number, ".png");
        places_[name] = {path, frame};
        pictures.push_back(name);
      }
    }
    std::ranges::sort(pictures);
  }

  std::string read(const std::string& path, uint64_t most) const override {
    const auto found = places_.find(path);
    if (found == places_.end()) return files_->read(path, most);
    const auto& [animation, frame] = found->second;
    return encode_png(frames_of(animation)[frame]).substr(0, most);
  }
  std::string where(const std::string& path) const override { return files_->where(path); }

 private:
  /// The frames of one animation at a time are kept: they are read one after the other.
  const std::vector<Image>& frames_of(const std::string& path) const {
    if (std::exchange(open_, path) != path)
      frames_ = decode_frames(files_->read(path), files_->where(path));
    return frames_;
  }

  std::unique_ptr<PictureFiles> files_;
  std::map<std::string, std::pair<std::string, size_t>> places_;
  mutable std::string open_;
  mutable std::vector<Image> frames_;
};

}  // namespace

bool is_picture_name(const fs::path& path) {
  const std::string extension = lower_extension(path);
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg" ||
         extension == ".webp" || extension == ".bmp";
}

std::unique_ptr<PictureFiles> open_picture_files(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return std::make_unique<FolderFiles>(path);
  if (fs::is_regular_file(path, ignored)) {
    const std::string start = read_start(path, 4);
    if (start == "PK\3\4" || start == "PK\5\6") return std::make_unique<ZipFiles>(path);
  }
  fail(ErrorKind::data, path.string(), ": expected a folder or ZIP of pictures, found ",
       fs::exists(path, ignored) ? "a file" : "nothing of that name");
}

std::unique_ptr<PictureFiles> open_clip_files(const fs::path& path) {
  return std::make_unique<ClipFiles>(open_picture_files(path));
}

}  // namespace genai
