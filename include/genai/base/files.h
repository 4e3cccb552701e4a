// Files: bounded reading, atomic and synced writing, safe names, a lock between processes.
// Every write is complete (short writes and EINTR are handled) and on the disk when it returns.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace genai {

/// The whole file. Throws ErrorKind::data when it is missing, unreadable, a folder, a pipe or
/// device (at once, without waiting for a writer), or larger than `max_bytes`.
std::string read_file(const std::filesystem::path& path, uint64_t max_bytes);

/// As read_file, but pipes are read to their end, and "-" is standard input: for small inputs that
/// the user names and that are read once.
std::string read_input(const std::filesystem::path& path, uint64_t max_bytes);

/// Replaces `path` atomically: writes `.NAME.tmp-PID` beside it, fsync, rename, fsync of folder.
/// Readers see the old bytes or the new ones, never a part. A symbolic link is replaced, not
/// followed; devices and pipes are refused. Mode 0644 less the umask. Throws ErrorKind::failure;
/// the old file is then untouched (unless only the folder's fsync failed), the temporary one gone.
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// What a path leads to over links, whether it is there or not. Throws ErrorKind::failure for a
/// circle.
std::filesystem::path output_target(const std::filesystem::path& path);

/// Writes what the user asked for to where the user said: links are followed to the file they name,
/// which is replaced as write_file does; devices, pipes and open files of this process
/// (/dev/stdout) are written to. Throws ErrorKind::failure.
void write_output(const std::filesystem::path& path, std::string_view bytes);

/// Does the user's "-" or path (/dev/stdout) mean standard output?
bool is_standard_output(const std::filesystem::path& path);

/// Throws ErrorKind::failure when a folder of ours holds a link at any depth: before writing into
/// it, so that nothing lands elsewhere.
void refuse_links(const std::filesystem::path& folder);

/// Plain write and fsync, for files in a temporary folder that is renamed as a whole later (the
/// caller removes the folder on failure). Throws ErrorKind::failure.
void write_new_file_synced(const std::filesystem::path& path, std::string_view bytes);

/// fsync of a folder: the names in it survive a power loss. Throws ErrorKind::failure.
void sync_folder(const std::filesystem::path& path);

/// A file or folder name from any bytes: lower-case letters, digits, '-', '_' and '.' only, never
/// starting with '.' or '-', 1 to 80 characters. Each run of other characters becomes one '-';
/// "unnamed" when nothing is left.
std::string sanitize_name(std::string_view text);

/// Exclusive between processes (flock), for as long as the object lives. The file holds the pid of
/// its owner and stays behind; the lock of a process that died is free.
class FileLock {
 public:
  /// Waits for the holder only when asked to. Throws ErrorKind::failure naming `what` ("run 8") and
  /// the holder's pid when the lock is taken, or when the file cannot be written.
  static FileLock acquire(const std::filesystem::path& path, const std::string& what,
                          bool wait = false);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

  /// Is the file still where it was locked? Not when its folder was moved or deleted.
  bool in_place() const;

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  void release() noexcept;

  int descriptor_;  // -1: moved from
  std::filesystem::path path_;
};

}  // namespace genai
