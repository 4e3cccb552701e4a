// The floors of the house: a file includes its own floor and those below, never above.
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>
#include <utility>

#include "base/temp_folder.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

const std::map<std::string, int> kFloors{
    {"base", 0},     {"core", 1},       {"data", 1},        {"kernels", 1},    {"model", 2},
    {"nn", 2},       {"decode", 2},     {"sampling", 2},    {"models", 3},     {"run", 4},
    {"training", 5}, {"generation", 5}, {"compression", 5}, {"evaluation", 6}, {"report", 6},
    {"interop", 6},  {"app", 7},        {"tools", 8}};

struct Include {
  std::string path;
  bool quoted;
};

std::vector<Include> includes_of(const std::string& text) {
  static const std::regex line(R"((?:^|\n)[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"])");
  std::vector<Include> found;
  for (std::sregex_iterator it(text.begin(), text.end(), line), end; it != end; ++it) {
    found.push_back({(*it)[2], (*it)[1] == "\""});
  }
  return found;
}

/// "nn" of "genai/nn/x.h"; empty for others' headers.
std::string area_of(const std::string& include) {
  static const std::regex ours(R"(genai/([^/]+)/.+)");
  std::smatch match;
  return std::regex_match(include, match, ours) ? match[1].str() : "";
}

/// What is wrong with an include in a file of `area`, or empty.
std::string problem(const std::string& area, const Include& include) {
  const std::string other = area_of(include.path);
  if (other.empty()) {
    const bool torch = std::regex_search(include.path, std::regex("^(torch|ATen|c10|caffe2)/"));
    if (area == "base" && torch) return "base is built without LibTorch";
    const bool beside = area == "tools" || include.path.ends_with("-inl.h");
    if (include.quoted && !beside) return "only tools/genai includes files beside it";
    return "";
  }
  if (!kFloors.count(other)) return "'" + other + "' is on no floor";
  if (kFloors.at(other) > kFloors.at(area)) return "'" + other + "' is above '" + area + "'";
  return "";
}

TEST(Floors, TheCheckSeesWhatIsWrong) {
  const auto found = includes_of(
      "#pragma once\n#include <map>\n  #  include \"genai/run/folder.h\"\n// #include <x>\nint a;");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[1].path, "genai/run/folder.h");
  EXPECT_TRUE(found[1].quoted);
  EXPECT_EQ(problem("training", found[1]), "");
  EXPECT_EQ(problem("run", found[1]), "");
  EXPECT_NE(problem("models", found[1]), "");
  EXPECT_EQ(problem("data", {"genai/core/draw.h", true}), "");
  EXPECT_NE(problem("core", {"genai/model/model.h", true}), "");
  EXPECT_NE(problem("base", {"torch/torch.h", false}), "");
  EXPECT_NE(problem("base", {"ATen/ATen.h", false}), "");
  EXPECT_EQ(problem("core", {"ATen/ATen.h", false}), "");
  EXPECT_NE(problem("nn", {"helper.h", true}), "");
  EXPECT_EQ(problem("kernels", {"loops-inl.h", true}), "");
  EXPECT_EQ(problem("tools", {"command.h", true}), "");
  EXPECT_NE(problem("tools", {"genai/attic/x.h", true}), "");
}

using Areas = std::map<std::string, std::set<std::string>>;  // each with those it includes

/// Areas that include each other in a circle, and those above them: what is left when areas that
/// include none of the rest are taken away, again and again.
Areas circles(Areas areas) {
  for (bool changed = true; std::exchange(changed, false);) {
    for (auto it = areas.begin(); it != areas.end();) {
      if (!it->second.empty()) {
        ++it;
        continue;
      }
      for (auto& [name, below] : areas) below.erase(it->first);
      it = areas.erase(it);
      changed = true;
    }
  }
  return areas;
}

TEST(Floors, CirclesAreSeen) {
  EXPECT_TRUE(circles({{"a", {"b", "c"}}, {"b", {"c"}}, {"c", {}}}).empty());
  EXPECT_EQ(circles({{"a", {"b"}}, {"b", {"c"}}, {"c", {"b"}}, {"d", {}}}).size(), 3u);
}

TEST(Floors, EveryFileIncludesItsOwnFloorAndThoseBelow) {
  const fs::path root = GENAI_SOURCE_DIR;
  std::map<std::string, int> files;
  Areas areas;
  const auto check = [&](const fs::path& folder, const std::string& area) {
    ASSERT_TRUE(kFloors.count(area)) << folder << " is on no floor";
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".h" && extension != ".cpp") continue;
      ++files[area];
      for (const Include& include : includes_of(slurp(entry.path()))) {
        EXPECT_EQ(problem(area, include), "") << entry.path() << " includes " << include.path;
        const std::string other = area_of(include.path);
        if (other.empty()) continue;
        EXPECT_TRUE(fs::exists(root / "include" / include.path)) << include.path;
        if (other != area) areas[area].insert(other);
        areas[other];
      }
    }
  };
  for (const char* half : {"include/genai", "src"}) {
    for (const auto& entry : fs::directory_iterator(root / half)) {
      if (entry.is_directory()) check(entry.path(), entry.path().filename().string());
    }
  }
  check(root / "tools" / "genai", "tools");
  for (const char* area :
       {"base", "core", "data", "model", "models", "run", "training", "generation", "tools"}) {
    EXPECT_GT(files[area], 0) << area;
  }
  for (const auto& [area, below] : circles(areas)) {
    ADD_FAILURE() << area << " is in a circle of areas, or above one: it includes "
                  << *below.begin();
  }
}

TEST(Floors, SpdlogStaysInOneFile) {  // its fmt clashes with the one in LibTorch's headers
  int found = 0;
  for (const char* folder : {"include", "src", "tools"}) {
    for (const auto& entry :
         fs::recursive_directory_iterator(fs::path(GENAI_SOURCE_DIR) / folder)) {
      if (!entry.is_regular_file()) continue;
      for (const Include& include : includes_of(slurp(entry.path()))) {
        if (include.path.rfind("spdlog/", 0) != 0 && include.path.rfind("fmt/", 0) != 0) continue;
        EXPECT_EQ(entry.path().filename(), "log.cpp");
        ++found;
      }
    }
  }
  EXPECT_GT(found, 0);
}

}  // namespace
}  // namespace genai
