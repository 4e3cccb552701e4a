#include "genai/base/download.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <system_error>
#include <thread>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/hash.h"
#include "genai/base/signals.h"

namespace genai {
namespace {

namespace fs = std::filesystem;
using Progress = std::function<void(uint64_t done, uint64_t total)>;
using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

[[noreturn]] void cannot_write(const fs::path& path, int code) {
  fail(ErrorKind::failure, "cannot write ", path, ": ", std::generic_category().message(code),
       "; check the folder and the free space");
}

void check_stopped(const fs::path& destination) {
  if (const int signal = stop_signal(); signal != 0)
    fail(ErrorKind::failure, "download of ", destination, " stopped by signal ", signal);
}

/// One file at a time per folder, between processes: two would write into the same .part.
class FolderLock {
 public:
  explicit FolderLock(const fs::path& destination) {
    const fs::path folder = destination.parent_path();
    fd_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd_ < 0) cannot_write(folder, errno);
    // Errors other than "taken" mean a file system without locks: go on without.
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0 && (errno == EWOULDBLOCK || errno == EINTR)) {
      waited_ = true;
      if (stop_signal() != 0) break;  // the caller asks again
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock() { ::close(fd_); }
  bool waited() const { return waited_; }

 private:
  int fd_ = -1;
  bool waited_ = false;
};

struct Transfer {
  std::FILE* file;
  uint64_t max_bytes;
  const Progress* progress;
  uint64_t received = 0;
  bool too_large = false;
  int write_error = 0;
  std::exception_ptr thrown;  // by progress; it must not fly through libcurl
};

size_t on_data(char* bytes, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (size > transfer.max_bytes - transfer.received) {
    transfer.too_large = true;
    return 0;
  }
  if (std::fwrite(bytes, 1, size, transfer.file) != size) {
    transfer.write_error = errno;
    return 0;
  }
  transfer.received += size;
  return size;
}

int on_progress(void* user, curl_off_t total, curl_off_t, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (stop_signal() != 0) return 1;
  try {
    if (*transfer.progress) (*transfer.progress)(transfer.received, static_cast<uint64_t>(total));
  } catch (...) {
    transfer.thrown = std::current_exception();
    return 1;
  }
  return 0;
}

/// Receives one URL into `part`. Returns what is wrong with the mirror, empty when nothing is;
/// throws when the reason is on our side.
std::string receive(const std::string& url, const Download& what, const fs::path& part,
                    const Progress& progress) {
  File file(std::fopen(part.c_str(), "wbe"), std::fclose);
  if (!file) cannot_write(part, errno);
  Transfer transfer{file.get(), what.max_bytes, &progress, 0, false, 0, nullptr};

  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
  if (!curl) fail(ErrorKind::failure, "libcurl cannot start; check its installation");
  CURL* c = curl.get();
  char message[CURL_ERROR_SIZE] = {};
  curl_easy_setopt(c, CURLOPT_URL, url.c_str());
  curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https,http,file");
  curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "https,http");
  curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(c, CURLOPT_MAXREDIRS, 5L);
  curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 10L);
  curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1024L);  // bytes a second
  curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, 30L);
  curl_easy_setopt(c, CURLOPT_USERAGENT, "genai");
  curl_easy_setopt(c, CURLOPT_ERRORBUFFER, message);
  curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
  curl_easy_setopt(c, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(c, CURLOPT_XFERINFODATA, &transfer);
  const CURLcode result = curl_easy_perform(c);

  if (transfer.thrown) std::rethrow_exception(transfer.thrown);
  if (transfer.write_error != 0) cannot_write(part, transfer.write_error);
  if (transfer.too_large) return concat("larger than the expected ", what.max_bytes, " bytes");
  if (result == CURLE_HTTP_RETURNED_ERROR) {
    long code = 0;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &code);
    return concat("HTTP ", code);
  }
  if (result != CURLE_OK) return message[0] != '\0' ? message : curl_easy_strerror(result);
  if (std::fflush(file.get()) != 0 || ::fsync(::fileno(file.get())) != 0 ||
      std::fclose(file.release()) != 0)
    cannot_write(part, errno);
  if (const std::string found = sha256_file(part); found != what.sha256)
    return concat("wrong content, ", transfer.received, " bytes with SHA-256 ", found.substr(0, 12),
                  "..., expected ", what.sha256.substr(0, 12), "...");
  return "";
}

/// "https://host" of a URL with a host, else the URL.
std::string short_form(const std::string& url) {
  const size_t host = url.find("://");
  const size_t end = host == std::string::npos ? host : url.find('/', host + 3);
  return end == std::string::npos || end == host + 3 ? url : url.substr(0, end);
}

}  // namespace

void download(const Download& what, const fs::path& destination, const Progress& progress) {
  if (what.urls.empty() || what.sha256.size() != 64)
    fail(ErrorKind::usage, "cannot download ", destination, ": expected a mirror and a SHA-256");
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK)
    fail(ErrorKind::failure, "libcurl cannot start: ", curl_easy_strerror(started));

  const fs::path target = fs::absolute(destination);
  std::error_code code;
  fs::create_directories(target.parent_path(), code);
  if (code) cannot_write(target.parent_path(), code.value());
  const FolderLock lock(target);
  check_stopped(destination);
  if (lock.waited() && fs::is_regular_file(target, code) && sha256_file(target) == what.sha256)
    return;

  fs::path part = target;
  part += ".part";
  try {
    std::string reasons;
    for (const std::string& url : what.urls) {
      const std::string reason = receive(url, what, part, progress);
      if (reason.empty()) {
        if (std::rename(part.c_str(), target.c_str()) != 0) cannot_write(target, errno);
        sync_folder(target.parent_path());
        return;
      }
      check_stopped(destination);
      reasons += concat(reasons.empty() ? "" : "; ", short_form(url), ": ", reason);
    }
    fail(ErrorKind::data, "cannot download ", destination.filename(), ": ", reasons,
         "\nget it another way and put it at ", destination);
  } catch (...) {
    fs::remove(part, code);
    throw;
  }
}

}  // namespace genai
