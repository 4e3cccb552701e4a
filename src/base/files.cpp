#include "genai/base/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <utility>

#include "genai/base/error.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

std::string error_text(int code) {
  return std::generic_category().message(code);
}

const char* advice(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return "free some space, then try again";
    case EFBIG:
      return "raise the limit on file sizes (ulimit -f)";
    case EACCES:
    case EPERM:
    case EROFS:
      return "choose a folder that you may write to";
    case ENOENT:
    case ENOTDIR:
      return "check that the folder exists";
    case ENAMETOOLONG:
      return "choose a shorter name";
    default:
      return "check the disk and the path";
  }
}

[[noreturn]] void cannot_write(const fs::path& path, size_t bytes, int code) {
  fail(ErrorKind::failure, "cannot write ", path, " (", bytes, " bytes): ", error_text(code), "; ",
       advice(code));
}

/// The kernel would see a shorter path, and so would the reader of the message.
void refuse_nul(const fs::path& path, ErrorKind kind) {
  if (path.native().find('\0') != std::string::npos)
    fail(kind, "cannot use a path that holds a NUL byte (after ", fs::path(path.c_str()),
         "); choose another name");
}

/// Closes on every way out; close() reports what the kernel says.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool close() {
    const int result = ::close(std::exchange(fd_, -1));
    return result == 0 || errno == EINTR;  // on Linux it is closed after EINTR too
  }

 private:
  int fd_;
};

/// open() with EINTR handled; -1 and errno on failure.
int open_file(const fs::path& path, int flags) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool sync_descriptor(int fd) {
  int result = 0;
  do {
    result = ::fsync(fd);  // repeated only after EINTR: another failure may have dropped the pages
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

/// Writes `bytes` to `path`; messages speak of `shown`.
void write_synced(const fs::path& path, const fs::path& shown, std::string_view bytes, int flags) {
  Descriptor file(open_file(path, O_WRONLY | O_CREAT | O_TRUNC | flags));
  if (file.get() < 0 || !write_all(file.get(), bytes) || !sync_descriptor(file.get()) ||
      !file.close())
    cannot_write(shown, bytes.size(), errno);
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

/// The pid written in a lock file, 0 when there is none.
long read_pid(int fd) {
  char text[32] = {};
  const ssize_t n = ::pread(fd, text, sizeof text - 1, 0);
  return n > 0 ? std::max(0L, std::strtol(text, nullptr, 10)) : 0;
}

/// The pid of the process that holds the lock now. Right after it took the lock the file may still
/// be empty or show an owner that died, hence a few looks.
long holder_pid(int fd) {
  long pid = 0;
  for (int look = 0; look < 100; ++look) {
    pid = read_pid(fd);
    if (pid > 0 && (::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM)) return pid;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return pid;
}

const char* kind_of_file(mode_t mode) {
  return S_ISDIR(mode)    ? "folder"
         : S_ISFIFO(mode) ? "pipe"
         : S_ISSOCK(mode) ? "socket"
         : S_ISREG(mode)  ? "file"
                          : "device";
}

struct stat status_of(const Descriptor& file, const fs::path& path) {
  struct stat info {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0)
    fail(ErrorKind::data, "cannot read ", path, ": ", error_text(errno), "; check the path");
  return info;
}

std::string read_all(const Descriptor& file, const fs::path& path, uint64_t max_bytes,
                     const struct stat& info) {
  const auto too_large = [&](const std::string& found) {
    fail(ErrorKind::data, "cannot read ", path, ": expected at most ", max_bytes, " bytes, found ",
         found, "; is it the right file?");
  };
  std::string bytes;
  if (S_ISREG(info.st_mode)) {
    const auto size = static_cast<uint64_t>(info.st_size);
    if (size > max_bytes) too_large(std::to_string(size));
    bytes.reserve(size);
  }
  std::string piece(64 * 1024, '\0');  // the size may change, and pipes have none
  for (;;) {
    const ssize_t n = ::read(file.get(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      fail(ErrorKind::data, "cannot read ", path, ": ", error_text(errno), "; check the path");
    if (n == 0) return bytes;
    if (static_cast<uint64_t>(n) > max_bytes - bytes.size()) too_large("more");
    bytes.append(piece, 0, static_cast<size_t>(n));
  }
}

/// N of a path that is the open file N of this process: /dev/stdout leads to /proc/self/fd/1; else
/// -1.
int own_descriptor(const fs::path& path) {
  std::error_code error;
  const fs::path folder = fs::canonical(folder_of(path), error);
  if (error || folder != concat("/proc/", ::getpid(), "/fd")) return -1;
  const std::string name = path.filename().string();
  int number = -1;
  const auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), number);
  return code == std::errc() && end == name.data() + name.size() ? number : -1;
}

/// What a path leads to over links: a path that is none, or an open file of this process.
struct Followed {
  fs::path path;
  int descriptor = -1;
};

Followed followed(const fs::path& path) {
  Followed found{path, own_descriptor(path)};
  std::error_code error;
  for (int links = 0; found.descriptor < 0 && fs::is_symlink(found.path, error); ++links) {
    constexpr int kMostLinks = 40;  // as the kernel
    const fs::path next = fs::read_symlink(found.path, error);
    if (error || links == kMostLinks) {
      fail(ErrorKind::failure, "cannot follow the link ", path, ": ",
           error ? error.message() : "it leads in a circle");
    }
    found.path = folder_of(found.path) / next;
    found.descriptor = own_descriptor(found.path);
  }
  return found;
}

/// Into what is open already, or what is no file: bytes that are read at once at the other end.
void stream_to(Descriptor target, const fs::path& path, std::string_view bytes) {
  if (target.get() < 0 || !write_all(target.get(), bytes) || !target.close())
    cannot_write(path, bytes.size(), errno);
}

}  // namespace

fs::path output_target(const fs::path& path) {
  return followed(path).path;
}

std::string read_file(const fs::path& path, uint64_t max_bytes) {
  refuse_nul(path, ErrorKind::data);
  // Without O_NONBLOCK opening a pipe waits for its writer.
  Descriptor file(open_file(path, O_RDONLY | O_NONBLOCK));
  const struct stat info = status_of(file, path);
  if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) {
    fail(ErrorKind::data, "cannot read ", path, ": expected a file, found a ",
         kind_of_file(info.st_mode), "; copy it into a file first");
  }
  return read_all(file, path, max_bytes, info);
}

std::string read_input(const fs::path& path, uint64_t max_bytes) {
  refuse_nul(path, ErrorKind::data);
  Descriptor file(path == "-" ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                              : open_file(path, O_RDONLY));
  const struct stat info = status_of(file, path);
  return read_all(file, path, max_bytes, info);
}

void write_file(const fs::path& path, std::string_view bytes) {
  refuse_nul(path, ErrorKind::failure);
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
    fail(ErrorKind::failure, "cannot write ", path, ": expected a file, found a ",
         kind_of_file(info.st_mode), "; choose another name");
  const fs::path temporary =
      folder_of(path) / concat(".", path.filename().string(), ".tmp-", ::getpid());
  try {
    write_synced(temporary, path, bytes, O_NOFOLLOW);
    if (::rename(temporary.c_str(), path.c_str()) != 0) cannot_write(path, bytes.size(), errno);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(folder_of(path));
}

void write_output(const fs::path& path, std::string_view bytes) {
  refuse_nul(path, ErrorKind::failure);
  const auto [target, descriptor] = followed(path);
  if (descriptor >= 0) {
    return stream_to(Descriptor(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0)), path, bytes);
  }
  struct stat info {};
  const bool streamed =
      ::stat(target.c_str(), &info) == 0 && (S_ISCHR(info.st_mode) || S_ISFIFO(info.st_mode));
  if (streamed) return stream_to(Descriptor(open_file(target, O_WRONLY)), path, bytes);
  write_file(target, bytes);
}

bool is_standard_output(const fs::path& path) {
  return path == "-" || followed(path).descriptor == STDOUT_FILENO;
}

void refuse_links(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (!entry.is_symlink(error)) continue;
    fail(ErrorKind::failure, entry.path(),
         " is a link; nothing is written into a folder that holds ",
         "links, since they may lead anywhere: remove it, or put what it points to in its place");
  }
}

void write_new_file_synced(const fs::path& path, std::string_view bytes) {
  refuse_nul(path, ErrorKind::failure);
  write_synced(path, path, bytes, 0);
}

void sync_folder(const fs::path& path) {
  Descriptor folder(open_file(path, O_RDONLY | O_DIRECTORY));
  // Some file systems cannot sync a folder and say EINVAL; there is nothing more to do there.
  if (folder.get() < 0 || (!sync_descriptor(folder.get()) && errno != EINVAL) || !folder.close())
    fail(ErrorKind::failure, "cannot sync folder ", path, ": ", error_text(errno), "; ",
         advice(errno));
}

std::string sanitize_name(std::string_view text) {
  std::string name;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
    if (!kept) c = '-';
    if (name.empty() && (c == '-' || c == '.')) continue;
    if (c == '-' && name.back() == '-') continue;
    name += c;
    if (name.size() == 80) break;
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() ? "unnamed" : name;
}

FileLock FileLock::acquire(const fs::path& path, const std::string& what, bool wait) {
  FileLock lock(open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW));
  lock.path_ = path;
  const int fd = lock.descriptor_;
  if (fd < 0)
    fail(ErrorKind::failure, "cannot lock ", what, " (", path, "): ", error_text(errno), "; ",
         advice(errno));
  int result = 0;
  do {
    result = ::flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB));
  } while (result != 0 && errno == EINTR);
  if (result != 0) {
    const int code = errno;
    const long pid = code == EWOULDBLOCK ? holder_pid(fd) : 0;
    ::close(std::exchange(lock.descriptor_, -1));  // not release(): the text is another's
    if (code != EWOULDBLOCK)
      fail(ErrorKind::failure, "cannot lock ", what, " (", path, "): ", error_text(code));
    fail(ErrorKind::failure, what, " is in use by process ",
         pid > 0 ? std::to_string(pid) : "unknown", " (lock ", path,
         "): wait until it ends, or stop it");
  }
  const std::string pid = concat(::getpid(), "\n");
  if (::ftruncate(fd, 0) != 0 || !write_all(fd, pid))
    fail(ErrorKind::failure, "cannot lock ", what, " (", path, "): ", error_text(errno), "; ",
         advice(errno));
  return lock;
}

bool FileLock::in_place() const {
  struct stat held {
  }, found{};
  return ::fstat(descriptor_, &held) == 0 && ::lstat(path_.c_str(), &found) == 0 &&
         held.st_dev == found.st_dev && held.st_ino == found.st_ino;
}

FileLock::FileLock(FileLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  if (this != &other) {
    release();
    descriptor_ = std::exchange(other.descriptor_, -1);
    path_ = std::move(other.path_);
  }
  return *this;
}

FileLock::~FileLock() {
  release();
}

void FileLock::release() noexcept {
  if (descriptor_ < 0) return;
  // The next owner writes its pid anyway; an empty file only says sooner that nobody is there.
  [[maybe_unused]] const int result = ::ftruncate(descriptor_, 0);
  ::close(std::exchange(descriptor_, -1));
}

}  // namespace genai
