// A folder of pictures as a data set.
#pragma once
#include <cstdint>
#include <filesystem>

#include "genai/data/image_set.h"

namespace genai {

struct FolderOptions {
  int64_t size = 0;          ///< side in pixels; 0: shorter side of the first picture, at most 64
  int64_t channels = 0;      ///< 1 or 3; 0: 1 if all pictures are grey, else 3
  double test_share = 0.1;   ///< about this share goes to the test split, 0 < share < 1
};

/// Reads every .png, .jpg, .jpeg and .bmp (any case) below `folder`, in bytewise order of relative
/// paths; hidden names and links to folders are skipped.
///
/// Labels: pictures right in the folder have none; in sub-folders, the name of the first sub-folder
/// is the class, classes sorted by name. Splits: sub-folders train and test if there are both (each
/// laid out as above), else a picture goes to test by a hash of its relative path, so that it stays
/// where it is when others are added (of a small set, one picture is moved if a split is empty).
/// Size: resize_to_fit, that is, the middle is cropped to a square, then scaled to size x size, up
/// or down. A picture with r = g = b everywhere counts as grey.
///
/// Pictures that cannot be read are left out; notes say how many, which and why, what other files
/// were skipped, and whether the set is small. Throws Error{usage} for options out of range,
/// Error{data} when fewer than two pictures can be read, a given split is empty, pictures lie
/// beside the class folders, or the pixels would take more than 8 GiB.
ImageSet read_image_folder(const std::filesystem::path& folder, const FolderOptions& options = {});

/// What a picture must be to be measured beside a data set.
struct SampleShape {
  int64_t channels, height, width;
  std::vector<std::string> classes;   ///< names that sub-folders may have
};

/// Generated pictures: every one below `folder`, in bytewise order of relative paths, pixels as they
/// are. Nothing is resized or left out, because that would change what is measured. Labels: the
/// class named by the first sub-folder, if there are any. A colour file with r = g = b counts as
/// grey. Throws Error{data} naming the first picture of another size, of colour where grey is
/// expected (or the reverse), in a sub-folder that is no class, or that cannot be read.
LabelledImages read_sample_folder(const std::filesystem::path& folder, const SampleShape& shape);

}  // namespace genai
