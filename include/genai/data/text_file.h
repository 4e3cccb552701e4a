// Texts as people bring them: in files and folders, packed, from other systems.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace genai {

/// What a text says, without the marks of the system it comes from: gzip is unpacked, UTF-16
/// becomes UTF-8, a byte order mark goes, the line ends "\r\n" and "\r" become "\n". What holds
/// zero bytes and is no UTF-16 is no text and stays as it is. UTF-16 is told by its mark, or by
/// zeros in every second place.
/// @param name   for errors
/// @param notes  what was done, a line each; null: nobody asks
/// Throws Error{data}: damaged gzip or UTF-16, UTF-32, more than 1 GiB.
std::string plain_text(std::string bytes, const std::string& name,
                       std::vector<std::string>* notes = nullptr);

struct TextParts {
  std::string text;
  std::string validation;  ///< empty: not apart
};

/// plain_text of a file; of a folder, those of all text files in it and below, in the order of
/// their paths, each ended by a line end. Where their names part them (train.txt and val.txt,
/// "wiki.train.tokens", folders train/ and test/, in any case), those for training are the text; of
/// both val and test, val is for validation, and what is neither is left out. What is hidden or no
/// text is left out. Notes tell all that.
/// @param raw  the bytes of a file as they are
/// Throws Error{data} where nothing can be read, for an empty text and one of more than 1 GiB.
TextParts read_text_parts(const std::filesystem::path& path, bool raw = false,
                          std::vector<std::string>* notes = nullptr);

/// Both parts as one.
std::string read_text(const std::filesystem::path& path, bool raw = false,
                      std::vector<std::string>* notes = nullptr);

/// Does the folder hold texts, no fewer than other files, and no pictures?
bool is_text_folder(const std::filesystem::path& folder);

}  // namespace genai
