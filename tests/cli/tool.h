// Runs the built tool as a user would: a process with arguments, environment and streams.
#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/temp_folder.h"
#include "genai/base/hash.h"
#include "genai/base/json.h"
#include "genai/base/png.h"

namespace genai {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

struct Outcome {
  int code = 0;  ///< exit code; minus the signal that ended it
  std::string out, err;
  double seconds = 0;
};

struct ToolOptions {
  fs::path folder{};                                 ///< working folder
  std::map<std::string, std::string> environment{};  ///< set beside the inherited
  std::vector<std::string> removed{};                ///< not inherited
  std::vector<int> closed{};                         ///< standard streams closed at the start
  std::string in_file = "/dev/null";                 ///< standard input
  std::string out_file{};                            ///< standard output, instead of a pipe
  bool reader_gone = false;                          ///< nobody reads standard output
  bool folder_removed = false;                       ///< the working folder, once it is in it
  bool terminal = false;      ///< output and messages go to a terminal, see hang_up()
  bool controlling = true;    ///< the terminal is the one that SIGHUP comes from
  int64_t largest_file = -1;  ///< RLIMIT_FSIZE in bytes
  double timeout = 60;        ///< seconds until it is killed
};

/// One running tool; killed when it goes out of scope.
class Tool {
 public:
  using Clock = std::chrono::steady_clock;

  Tool(const Arguments& arguments, ToolOptions options)
      : options_(std::move(options)), shown_(join(arguments)) {
    std::vector<std::string> words{GENAI_TOOL}, variables = environment();
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv = pointers(words), envp = pointers(variables);
    int out[2], err[2];
    if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) ::abort();
    const int terminal = options_.terminal ? open_terminal() : -1;
    pid_ = ::fork();
    if (pid_ < 0) ::abort();
    if (pid_ == 0) child(argv.data(), envp.data(), out[1], err[1], terminal);
    ::close(out[1]);
    ::close(err[1]);
    streams_[0] = out[0];
    streams_[1] = err[0];
    if (options_.reader_gone) close_stream(0);
    if (options_.terminal) {
      close_stream(0);
      streams_[0] = terminal;
    }
  }
  Tool(const Tool&) = delete;
  Tool& operator=(const Tool&) = delete;
  ~Tool() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    close_stream(0);
    close_stream(1);
  }

  pid_t pid() const { return pid_; }
  void send(int signal) const { ::kill(pid_, signal); }

  /// Reads what the terminal shows, without waiting: it takes no more than a few pages.
  void look_at_terminal() const {
    pollfd polled{streams_[0], POLLIN, 0};
    char piece[65536];
    while (::poll(&polled, 1, 0) > 0 && ::read(streams_[0], piece, sizeof piece) > 0) {
    }
  }
  /// The terminal is closed: its window, or the line to it.
  void hang_up() { close_stream(0); }

  /// Has it ended? (wait() tells how.)
  bool ended() const {
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
    return info.si_pid == pid_;
  }

  Outcome wait() {
    const auto deadline = start_ + std::chrono::duration<double>(options_.timeout);
    std::string texts[2];
    bool killed = false;
    while (streams_[0] >= 0 || streams_[1] >= 0) {
      pollfd polled[2] = {{streams_[0], POLLIN, 0}, {streams_[1], POLLIN, 0}};
      ::poll(polled, 2, 50);
      for (int i = 0; i < 2; ++i) {
        if (streams_[i] < 0 || polled[i].revents == 0) continue;
        char piece[65536];
        const ssize_t n = ::read(streams_[i], piece, sizeof piece);
        if (n > 0) texts[i].append(piece, static_cast<size_t>(n));
        if (n <= 0) close_stream(i);
      }
      if (!killed && Clock::now() > deadline) killed = kill_late();
    }
    while (!killed && !ended()) {
      if (Clock::now() > deadline) killed = kill_late();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return {.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
            .out = std::move(texts[0]),
            .err = std::move(texts[1]),
            .seconds = std::chrono::duration<double>(Clock::now() - start_).count()};
  }

 private:
  static std::string join(const Arguments& arguments) {
    std::string text = "genai";
    for (const std::string& argument : arguments) text += " " + argument;
    return text;
  }

  static std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> result;
    for (std::string& word : words) result.push_back(word.data());
    result.push_back(nullptr);
    return result;
  }

  /// No test uses the network, the user's data or the user's runs.
  std::vector<std::string> environment() const {
    std::map<std::string, std::string> all;
    for (char** variable = environ; *variable; ++variable) {
      const std::string text = *variable;
      const size_t sign = text.find('=');
      if (sign != std::string::npos) all[text.substr(0, sign)] = text.substr(sign + 1);
    }
    for (const char* name :
         {"GENAI_RUNS", "GENAI_DATA", "NO_COLOR", "COLUMNS", "no_proxy", "NO_PROXY"}) {
      all.erase(name);
    }
    for (const char* name : {"http_proxy", "https_proxy", "HTTPS_PROXY"}) {
      all[name] = "http://127.0.0.1:9";
    }
    all["OMP_NUM_THREADS"] = "1";
    all["GENAI_CACHE"] = "cache";  // in the working folder of the test
    for (const auto& [name, value] : options_.environment) all[name] = value;
    for (const std::string& name : options_.removed) all.erase(name);
    std::vector<std::string> variables;
    for (const auto& [name, value] : all) variables.push_back(name + "=" + value);
    return variables;
  }

  /// Its master side.
  static int open_terminal() {
    const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0 || ::grantpt(terminal) != 0 || ::unlockpt(terminal) != 0) ::abort();
    return terminal;
  }

  [[noreturn]] void child(char** argv, char** envp, int out, int err, int terminal) const {
    if (!options_.folder.empty() && ::chdir(options_.folder.c_str()) != 0) ::_exit(99);
    if (options_.folder_removed && ::rmdir(options_.folder.c_str()) != 0) ::_exit(99);
    if (terminal >= 0) {
      ::setsid();  // without a controlling terminal
      char name[64];
      if (::ptsname_r(terminal, name, sizeof name) != 0) ::_exit(99);
      out = err = ::open(name, O_RDWR | (options_.controlling ? 0 : O_NOCTTY));
    }
    if (!options_.out_file.empty()) out = ::open(options_.out_file.c_str(), O_WRONLY);
    const int in = ::open(options_.in_file.c_str(), O_RDONLY);
    if (in < 0 || ::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) ::_exit(99);
    if (in > 2) ::close(in);
    for (const int stream : options_.closed) ::close(stream);
    if (options_.largest_file >= 0) {
      const auto bytes = static_cast<rlim_t>(options_.largest_file);
      const rlimit limit{bytes, bytes};
      ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ::execve(argv[0], argv, envp);
    ::_exit(99);
  }

  bool kill_late() {
    ADD_FAILURE() << "killed after " << options_.timeout << " s: " << shown_;
    ::kill(pid_, SIGKILL);
    return true;
  }

  void close_stream(int i) {
    if (streams_[i] >= 0) ::close(std::exchange(streams_[i], -1));
  }

  ToolOptions options_;
  std::string shown_;
  pid_t pid_ = -1;
  int streams_[2] = {-1, -1};
  Clock::time_point start_ = Clock::now();
};

/// Asks every few milliseconds until `condition` holds; false after `seconds`.
inline bool wait_until(const std::function<bool()>& condition, double seconds = 30) {
  const auto deadline = Tool::Clock::now() + std::chrono::duration<double>(seconds);
  while (!condition()) {
    if (Tool::Clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

/// Names in a folder, sorted.
inline std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); it != fs::directory_iterator();
       it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Paths of half-written and half-removed files below a folder.
inline std::vector<std::string> leftovers(const fs::path& folder) {
  std::vector<std::string> found;
  if (!fs::exists(folder)) return found;  // killed before anything was made
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.find(".tmp-") != std::string::npos || name.find(".trash-") != std::string::npos) {
      found.push_back(entry.path().string());
    }
  }
  return found;
}

inline void flip_bit(const fs::path& path, size_t byte, int bit = 0) {
  std::string bytes = slurp(path);
  bytes.at(byte) = static_cast<char>(bytes.at(byte) ^ (1 << bit));
  put(path, bytes);
}

inline Png read_png(const fs::path& path) {
  return decode_png(slurp(path), path.string());
}

/// A working folder with a small set of pictures in pics/: two classes, 12x12, grey.
class Cli : public testing::Test {
 protected:
  Cli() { make_pictures("pics", 120); }

  void make_pictures(const std::string& name, int count) const {
    for (const char* kind : {"bars", "rings"}) fs::create_directories(folder / name / kind);
    for (int i = 0; i < count; ++i) {
      const bool bars = i % 2 == 0;
      const int n = i / 2;
      Image image{.width = 12, .height = 12, .channels = 1, .pixels = {}};
      for (int y = 0; y < 12; ++y) {
        for (int x = 0; x < 12; ++x) {
          const bool light =
              bars ? (x + n) % 6 < 3 : (x - 6) * (x - 6) + (y - 6) * (y - 6) < 6 + n % 25;
          image.pixels.push_back(light ? 230 : 15);
        }
      }
      char file[32];
      std::snprintf(file, sizeof file, "%s/%03d.png", bars ? "bars" : "rings", i);
      put(folder / name / file, encode_png(image));
    }
  }

  ToolOptions here() const { return {.folder = folder.path()}; }

  Outcome genai(const Arguments& arguments) const { return genai(arguments, here()); }
  Outcome genai(const Arguments& arguments, const ToolOptions& options) const {
    return Tool(arguments, options).wait();
  }

  /// `train` of a tiny network on pics/, with these options.
  static Arguments training(const Arguments& options) {
    Arguments all{"train", "--model",  "vae", "--encoder.hidden", "16", "--decoder.hidden",
                  "16",    "--latent", "4",   "--threads",        "1",  "--batch",
                  "20",    "--data",   "pics"};
    all.insert(all.end(), options.begin(), options.end());
    return all;
  }

  /// A trained run; its path relative to the working folder.
  std::string train(const Arguments& options) const {
    const Outcome trained = genai(training(options));
    EXPECT_EQ(trained.code, 0) << trained.err;
    return trained.out.substr(0, trained.out.find('\n'));
  }

  /// Expects that exit code, an error of a few lines holding all the parts, and no result.
  Outcome expect_error(int code, const Arguments& arguments,
                       const std::vector<std::string>& parts = {}) const {
    return expect_error(code, arguments, parts, here());
  }
  Outcome expect_error(int code, const Arguments& arguments, const std::vector<std::string>& parts,
                       const ToolOptions& options) const {
    std::string shown;
    for (const std::string& argument : arguments) shown += " " + argument;
    const Outcome outcome = genai(arguments, options);
    EXPECT_EQ(outcome.code, code) << shown << "\n" << outcome.err;
    EXPECT_NE(outcome.err.find("error: "), std::string::npos) << shown << "\n" << outcome.err;
    const bool heard = options.out_file.empty() && !options.reader_gone;
    if (!heard || std::find(arguments.begin(), arguments.end(), "--json") == arguments.end()) {
      EXPECT_EQ(outcome.out, "") << shown;
    } else {
      EXPECT_EQ(parse_json(outcome.out, shown, ErrorKind::data)["exit_code"], code) << shown;
    }
    EXPECT_EQ(outcome.err.find("terminate called"), std::string::npos) << outcome.err;
    for (const std::string& part : parts) {
      EXPECT_NE(outcome.err.find(part), std::string::npos) << shown << "\n"
                                                           << outcome.err << "lacks: " << part;
    }
    return outcome;
  }

  Json json_of(const Arguments& arguments) const {
    Arguments all = arguments;
    all.push_back("--json");
    const Outcome outcome = genai(all);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return parse_json(outcome.out, "standard output", ErrorKind::data);
  }

  /// SHA-256 of the weights of a checkpoint, by default the newest; all its files are verified.
  std::string weights(const std::string& run, const std::string& step = "") const {
    const std::vector<std::string> all = checkpoints(run);
    const fs::path saved = folder / (run + "/checkpoints/" +
                                     (!step.empty() ? step
                                      : all.empty() ? ""
                                                    : all.back()));
    const std::string name = (saved / "manifest.json").string();
    const Json files = open_sealed_json(slurp(name), name).at("files");
    for (const auto& [file, entry] : files.items()) {
      EXPECT_EQ(entry.at("sha256"), sha256_file(saved / file)) << saved / file;
    }
    return files.at("model.safetensors").at("sha256");
  }

  /// "step-0000010", ..., oldest first.
  std::vector<std::string> checkpoints(const std::string& run) const {
    std::vector<std::string> names = names_in(folder / (run + "/checkpoints"));
    std::erase_if(names, [](const std::string& name) { return !name.starts_with("step-"); });
    return names;
  }

  TempFolder folder;
};

}  // namespace genai
