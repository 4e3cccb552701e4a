// Scalars for TensorBoard, encoded by hand: TFRecord framing (tensorflow/core/lib/io/record_writer)
// around Event messages (tensorflow/core/util/event.proto).
#pragma once
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>

namespace genai {

/// Writes `FOLDER/events.out.tfevents.0.genai`. The file is begun anew each time: after a resume
/// the caller replays the metrics it keeps, so that no step is there twice.
class EventWriter {
 public:
  /// Throws ErrorKind::failure when the file cannot be created.
  explicit EventWriter(const std::filesystem::path& folder);

  /// `wall_time`: seconds since 1970. Throws ErrorKind::failure when the disk is full.
  void add_scalar(std::string_view tag, double value, int64_t step, double wall_time);

  /// Hands everything to the operating system. Throws like add_scalar; the destructor does the
  /// same silently.
  void flush();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  void write_event(std::string_view event);

  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace genai
