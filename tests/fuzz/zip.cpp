// ZIPs of pictures; an input that is none is the files in one.
#include <algorithm>

#include "fuzz.h"
#include "genai/data/picture_files.h"
#include "scratch.h"
#include "zip_repair.h"

using namespace genai;

namespace {

void read_one(std::string_view bytes) {
  const std::filesystem::path path = scratch() / "fuzz.zip";
  put(path, bytes);
  std::unique_ptr<PictureFiles> files;
  if (!reads([&] { files = open_picture_files(path); })) return;
  promise(std::ranges::is_sorted(files->pictures), "pictures are in the order of their names");
  for (const auto* names : {&files->pictures, &files->others}) {
    for (const std::string& name : *names) {
      std::string whole;
      const bool good = reads([&] { whole = files->read(name); });
      reads([&] {
        const std::string start = files->read(name, 16);
        promise(start.size() <= 16, "no more is read than was asked for");
        promise(!good || whole.starts_with(start), "a file starts as all of it does");
      });
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = view(data, size);
  read_one(bytes.starts_with("PK") ? std::string(bytes) : zip_of(bytes));
  return 0;
}
