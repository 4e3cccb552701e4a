// A folder of pictures as a data set.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "genai/base/extent.h"
#include "genai/base/png.h"
#include "genai/data/image_set.h"

namespace genai {

struct FolderOptions {
  Extent size{};                       ///< in pixels; not given: a square, see below
  int64_t channels = 0;                ///< 1 or 3; 0: 1 if all pictures are grey, else 3
  double test_share = 0.1;             ///< about this share goes to the test split, 0 < share < 1
  Ground ground = Ground::white;       ///< behind what is transparent
  std::vector<std::string> classes{};  ///< an order that the same classes are to have
  std::filesystem::path pairs{};       ///< another folder or ZIP; empty: none
  int64_t frames = 0;  ///< above 0 each folder that holds pictures is a clip of so many or more
};

/// Reads the pictures of a folder or ZIP (data/picture_files.h); splits and classes are those of
/// data/picture_layout.h, classes sorted as people count.
///
/// Without given splits a picture goes to test by a hash of its relative path, so that it stays
/// where it is when others are added (of a small set, one picture is moved if a split is empty).
/// Size: resize_to_fit, that is, the middle is cropped to the shape, then scaled, up or down; by
/// itself a square of the shorter side of the most frequent size, at most 64. A picture with
/// r = g = b everywhere counts as grey.
///
/// With pairs, each picture has the one there of the same relative path (whatever its ending),
/// brought to the same size; pictures without one are left out.
///
/// Clips are their frames in the order of natural_less; they go to a split whole and have no
/// classes; those of fewer frames are left out. Throws Error{data} for frames of different sizes in
/// a clip or one that cannot be read.
///
/// Pictures that cannot be read are left out. The notes say what was decided and what was left out,
/// and why: splits, other sizes, transparency, 12-bit values in 16 bits, classes without training
/// pictures, a small set. Throws Error{usage} for options out of range, Error{data} when fewer than
/// two pictures can be read, a given split is empty, the pixels would take more than 8 GiB, or as
/// open_picture_files and arrange_pictures do.
ImageSet read_image_folder(const std::filesystem::path& folder, const FolderOptions& options = {});

/// What a picture must be to be measured beside a data set.
struct SampleShape {
  int64_t channels, height, width;
  std::vector<std::string> classes;  ///< names that sub-folders may have
};

/// Generated pictures: every one below `folder`, in bytewise order of relative paths, pixels as
/// they are. Nothing is resized or left out, because that would change what is measured. Labels:
/// the class named by the first sub-folder, if there are any. A colour file with r = g = b counts
/// as grey. Throws Error{data} naming the first picture of another size, of colour where grey is
/// expected (or the reverse), in a sub-folder that is no class, or that cannot be read.
LabelledImages read_sample_folder(const std::filesystem::path& folder, const SampleShape& shape);

}  // namespace genai
