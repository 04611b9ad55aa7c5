// Represents limbs as capsules: joints are points, and a robot touches the flesh around the joints.
#ifndef MOTION_PREDICTOR__LIMBS_HPP_
#define MOTION_PREDICTOR__LIMBS_HPP_

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "motion_predictor/limbs_that_ship.hpp"
#include "motion_predictor/msg/predicted_motion_array.hpp"

namespace motion_predictor
{

/// A capsule between two joints; a ball if both joints are the same.
struct Limb
{
  std::string name;
  std::size_t first = 0, second = 0;
  double radius = 0;  // metres
};

using Limbs = std::vector<Limb>;

/// Parses limbs from text in the format of the files in config/flesh. Each line has one limb:
/// `name: [joint, joint, radius]`. Throws std::invalid_argument if the text has no limb, or names a joint that the
/// predictions lack.
inline Limbs parse_limbs(const std::string & text, const std::vector<std::string> & joint_names)
{
  const auto trimmed = [](std::string part) {
      const auto from = part.find_first_not_of(" \t'\""), to = part.find_last_not_of(" \t'\"\r");
      return from == std::string::npos ? std::string() : part.substr(from, to - from + 1);
    };
  const auto index = [&](const std::string & joint) {
      const auto found = std::find(joint_names.begin(), joint_names.end(), joint);
      if (found == joint_names.end()) {
        throw std::invalid_argument("the limbs need a joint that is not predicted: " + joint);
      }
      return static_cast<std::size_t>(found - joint_names.begin());
    };
  Limbs limbs;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line); ) {
    line = line.substr(0, line.find('#'));
    const auto colon = line.find(':'), open = line.find('['), close = line.find(']');
    if (open == std::string::npos) {continue;}
    const auto comma = line.find(',', open), second = line.find(',', comma + 1);
    if (colon > open || close == std::string::npos || comma > close || second > close) {
      throw std::invalid_argument("a limb must have the form name: [joint, joint, radius], got: " + line);
    }
    Limb limb;
    limb.name = trimmed(line.substr(0, colon));
    limb.first = index(trimmed(line.substr(open + 1, comma - open - 1)));
    limb.second = index(trimmed(line.substr(comma + 1, second - comma - 1)));
    std::istringstream number(line.substr(second + 1, close - second - 1));
    number.imbue(std::locale::classic());
    if (!(number >> limb.radius) || !(limb.radius > 0)) {
      throw std::invalid_argument("a limb needs a radius in metres, got: " + line);
    }
    limbs.push_back(limb);
  }
  if (limbs.empty()) {throw std::invalid_argument("the text of the limbs is empty");}
  return limbs;
}

/// Reads limbs from a file in the format of the files in config/flesh. Throws std::invalid_argument if the file cannot
/// be read, or for the reasons that parse_limbs() states.
inline Limbs read_limbs(const std::string & path, const std::vector<std::string> & joint_names)
{
  std::ifstream file(path);
  if (!file) {throw std::invalid_argument("cannot read the limbs " + path);}
  std::ostringstream text;
  text << file.rdbuf();
  return parse_limbs(text.str(), joint_names);
}

/// The limbs that this package has for the layout of a message. Throws std::invalid_argument if this layout has no
/// limbs.
inline Limbs limbs_of(const msg::PredictedMotionArray & message)
{
  for (const auto & [layout, text] : limbs_that_ship) {
    if (layout == message.layout) {return parse_limbs(text, message.joint_names);}
  }
  throw std::invalid_argument("there are no limbs for the layout '" + message.layout + "': write a file like those in config/flesh");
}

}  // namespace motion_predictor

#endif  // MOTION_PREDICTOR__LIMBS_HPP_
