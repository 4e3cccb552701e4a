// A model that is told the class, and pictures of which it knows none.
#include "cli/tool.h"

namespace genai {
namespace {

class Conditional : public Cli {
 protected:
  Conditional() {
    Arguments arguments = training({"--steps", "20", "--binarize", "threshold"});
    arguments[2] = "vae-class";
    const Outcome trained = genai(arguments);
    EXPECT_EQ(trained.code, 0) << trained.err;
    int number = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder / "pics")) {
      if (!entry.is_regular_file()) continue;
      copy(entry, concat("flat/", ++number, ".png"));
      copy(entry, concat("others/", number % 3, "/", number, ".png"));
    }
  }

  void copy(const fs::path& from, const std::string& to) const {
    fs::create_directories((folder / to).parent_path());
    fs::copy_file(from, folder / to);
  }

  /// The metric whose name begins so.
  static double value(const Json& result, const std::string& name) {
    for (const Json& metric : result["metrics"]) {
      if (metric["name"].get<std::string>().starts_with(name)) return metric["value"];
    }
    ADD_FAILURE() << name << " is not in " << result["metrics"];
    return 0;
  }
};

TEST_F(Conditional, EvaluatesDataWithItsClassesAndWithout) {
  const auto evaluate = [&](const std::string& data) {
    return json_of({"evaluate", "last", "--only", "likelihood", "--draws", "50", "--data", data});
  };
  const Json known = evaluate("pics");
  EXPECT_GT(value(known, "nll_iw50@pics-test13/threshold/bernoulli"), 0);
  EXPECT_EQ(known.dump().find("unlabelled"), std::string::npos);
  EXPECT_FALSE(known.contains("notes"));
  for (const char* data : {"flat", "others"}) {  // no classes, and three of other names
    const Json unknown = evaluate(data);
    const std::string protocol = concat("@", data, "-test");
    const double nll = value(unknown, "nll_iw50" + protocol);
    EXPECT_TRUE(std::isfinite(nll));
    EXPECT_NEAR(nll, value(known, "nll_iw50"), 30) << data;
    EXPECT_NE(unknown.dump().find("/bernoulli/unlabelled"), std::string::npos);
    EXPECT_NE(unknown.dump().find("has not the classes of the model"), std::string::npos);
  }
}

TEST_F(Conditional, ScoresThemToo) {
  const Json known = json_of({"score", "last"});
  EXPECT_NE(value(known, "log_likelihood_iw10@pics-test13/threshold"), 0);
  EXPECT_EQ(known.dump().find("unlabelled"), std::string::npos);
  for (const char* data : {"flat", "others"}) {
    const Json unknown = json_of({"score", "last", data});
    EXPECT_NE(unknown.dump().find("/threshold/unlabelled"), std::string::npos) << data;
  }
  // Beside a set without classes both are scored without: the same pictures are not told apart.
  for (const Arguments& sets :
       {Arguments{"flat", "--against", "pics"}, Arguments{"pics", "--against", "flat"}}) {
    Arguments arguments{"score", "last"};
    arguments.insert(arguments.end(), sets.begin(), sets.end());
    const Json both = json_of(arguments);
    EXPECT_NEAR(value(both, "auroc_log_likelihood_iw10@"), 0.5, 0.2);
    EXPECT_NE(both.dump().find("/unlabelled"), std::string::npos);
    EXPECT_NE(both.dump().find("'flat-test"), std::string::npos);
  }
  const Outcome shown = genai({"score", "last", "flat"});
  EXPECT_NE(shown.out.find("note: 'flat-test"), std::string::npos) << shown.out;
  const Outcome single = genai({"score", "last", "flat/3.png"});
  EXPECT_EQ(single.code, 0) << single.err;
  EXPECT_NE(single.out.find("of 13 test images have less"), std::string::npos) << single.out;
}

/// A model that is told a smaller version of each image.
class ToldAGrid : public Cli {
 protected:
  ToldAGrid() {
    const Outcome trained = genai(training({"--steps", "20", "--condition", "low"}));
    EXPECT_EQ(trained.code, 0) << trained.err;
  }
};

TEST_F(ToldAGrid, TakesItFromTestItemsOrAPicture) {
  const auto sample = [&](const Arguments& more) {
    Arguments arguments{"sample", "last", "-n", "3"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome made = genai(arguments);
    EXPECT_EQ(made.code, 0) << made.err;
    return (folder / made.out.substr(0, made.out.find('\n'))).string();
  };
  const std::string each = sample({}), second = sample({"--condition", "test:1"});
  EXPECT_NE(each, second);
  fs::path picture;
  for (const auto& entry : fs::recursive_directory_iterator(folder / "pics")) {
    if (entry.is_regular_file()) picture = entry;
  }
  const std::string own = sample({"--condition", picture.string()});
  EXPECT_NE(own.find(picture.stem().string()), std::string::npos);
  // The same by its name.
  EXPECT_EQ(slurp(sample({"--condition", "low=" + picture.string(), "--out", "named.png"})),
            slurp(own));
  const auto told = [&](const std::string& file) {
    return json_of({"inspect", file})["text"]["genai"]["request"]["condition"];
  };
  EXPECT_EQ(told(each)["test"], -1);
  EXPECT_EQ(told(second)["test"], 1);
  EXPECT_EQ(told(own)["sha256"].get<std::string>().size(), 64u);
  // What was told test items is made again; a user's picture is in no file of ours.
  const Outcome checked = genai({"check", "last"});
  EXPECT_EQ(checked.code, 0) << checked.out << checked.err;
  EXPECT_NE(checked.out.find("it was told a picture that it does not hold"), std::string::npos)
      << checked.out;
}

TEST_F(ToldAGrid, WrongConditionsAreNamed) {
  const auto refuse = [&](int code, const Arguments& condition, const std::string& part) {
    Arguments arguments{"sample", "last", "--condition"};
    arguments.insert(arguments.end(), condition.begin(), condition.end());
    expect_error(code, arguments, {part});
  };
  refuse(2, {"test:13"}, "expected a test item from 0 to 12, found 13");
  refuse(2, {"test:-1"}, "expected test:N");
  refuse(2, {"test:1", "--condition", "a.png"}, "a test item gives all conditions");
  refuse(2, {"test:1", "--prompt", "words"}, "a test item has a caption of its own");
  refuse(3, {"nothing.png"}, "nothing.png");
  refuse(2, {"sketch=a.png"}, "this model is told low, not sketch");
  put(folder / "text.png", "no picture");
  refuse(3, {"text.png"}, "text.png");
  expect_error(2, {"sample", "last", "--class", "1"}, {"not trained with classes"});
  for (const auto& [name, part] : {std::pair("lov",
                                             "'lov' is none; expected class, pair, past, caption, "
                                             "grey, sketch, low (or low-N), masked"),
                                   {"grey", "grey is of images in colour"},
                                   {"low-5", "expected a factor from 2 on that divides 12x12"}}) {
    expect_error(2, training({"--condition", name}), {part});
  }
  expect_error(2, {"train", "--model", "classifier", "--data", "pics", "--condition", "low"},
               {"--condition: is an option of vae, diffusion, gan"});
}

}  // namespace
}  // namespace genai
