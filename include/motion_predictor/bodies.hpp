// Represents people as limbs with flesh, at the times and in the frame that a planner asks for.
#ifndef MOTION_PREDICTOR__BODIES_HPP_
#define MOTION_PREDICTOR__BODIES_HPP_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include "motion_predictor/capsule.hpp"
#include "motion_predictor/latest.hpp"
#include "motion_predictor/limbs.hpp"
#include "motion_predictor/rigid.hpp"

namespace motion_predictor
{

/// The times that represent a time span, in seconds from now: both ends and all published frames in between.
inline std::vector<double> instants(const Latest & latest, double start_s, double end_s)
{
  std::vector<double> times{start_s};
  for (float time : latest.message().times) {
    const double from_now = static_cast<double>(time) - latest.age_s();
    if (from_now > start_s && from_now < end_s) {times.push_back(from_now);}
  }
  if (end_s > start_s) {times.push_back(end_s);}
  return times;
}

/// A time between two frames. A share of 0 means the time of the left frame, 1 the time of the right frame.
struct Between
{
  std::size_t left = 0, right = 0;
  double share = 0;
};

/// Finds the two frames between which a time lies. time_s is in seconds from now. Times between the observation and the
/// first frame are extrapolated. Throws std::out_of_range for times before the observation or after the last frame.
inline Between between(const Latest & latest, double time_s)
{
  const auto & times = latest.message().times;
  const double after = time_s + latest.age_s();
  if (times.empty() || after < -1e-6 || after > times.back() + 1e-6) {
    throw std::out_of_range("the prediction does not reach the time that was asked for");
  }
  if (times.size() == 1) {return {};}
  const auto above = std::lower_bound(times.begin(), times.end(), after, [](float a, double b) {return a < b;});
  const auto place = static_cast<std::size_t>(above - times.begin());
  const std::size_t right = std::clamp<std::size_t>(place, 1, times.size() - 1), left = right - 1;
  const double step = static_cast<double>(times[right]) - times[left];
  const double share = (after - times[left]) / step, whole = std::round(share);
  // The caller subtracted the age of the prediction, and `after` adds this age again, with a rounding error. This error
  // must not turn the time of a frame into a time between frames.
  return {left, right, std::abs(share - whole) < 1e-9 ? whole : share};
}

/// Interpolates one number, such as a coordinate, between two frames. In each frame this number is
/// numbers[frame * stride + place].
inline double mixed(const float * numbers, std::size_t stride, std::size_t place, const Between & at)
{
  const double left = numbers[at.left * stride + place], right = numbers[at.right * stride + place];
  return at.share == 1 ? right : left + at.share * (right - left);
}

/// The position of one joint in a future (F, J, 3), interpolated between two frames; metres. With to_robot, the
/// position is transformed to the frame of the robot.
inline Vec3 joint_at(
  const float * future, std::size_t joints, std::size_t joint, const Between & at, const Rigid * to_robot = nullptr)
{
  const Vec3 p{mixed(future, joints * 3, joint * 3, at), mixed(future, joints * 3, joint * 3 + 1, at),
    mixed(future, joints * 3, joint * 3 + 2, at)};
  return to_robot ? (*to_robot)(p) : p;
}

/// The positions of all joints at the time time_s, in one sample of a person; metres. time_s is in seconds from now.
/// Throws std::out_of_range if the time is not predicted, or if the message has no sample of this number.
inline std::vector<Vec3> sample_at(
  const Latest & latest, const msg::PredictedMotion & person, std::size_t sample, double time_s,
  const Rigid * to_robot = nullptr)
{
  const std::size_t F = latest.message().num_frames, J = latest.message().num_joints;
  if (person.samples.size() < (sample + 1) * F * J * 3) {throw std::out_of_range("there is no such sample");}
  const Between at = between(latest, time_s);
  std::vector<Vec3> found;
  for (std::size_t j = 0; j < J; ++j) {
    found.push_back(joint_at(person.samples.data() + sample * F * J * 3, J, j, at, to_robot));
  }
  return found;
}

/// The mean positions of all joints of a person at the time time_s; metres. time_s is in seconds from now. Throws
/// std::out_of_range if the time or the person is not predicted.
inline std::vector<Vec3> mean_at(
  const Latest & latest, const msg::PredictedMotion & person, double time_s, const Rigid * to_robot = nullptr)
{
  if (!is_predicted(person)) {throw std::out_of_range("there is no prediction of this person");}
  const Between at = between(latest, time_s);
  std::vector<Vec3> found;
  for (std::size_t j = 0; j < latest.message().num_joints; ++j) {
    found.push_back(joint_at(person.mean.data(), latest.message().num_joints, j, at, to_robot));
  }
  return found;
}

/// The radius of the ball around the mean position of a joint (a point) at the time time_s; metres. time_s is in
/// seconds from now. The radius is NaN if the predictor is not calibrated. Throws std::out_of_range if the time or the
/// person is not predicted.
inline double radius_at(
  const Latest & latest, const msg::PredictedMotion & person, std::size_t joint, double time_s)
{
  if (!is_predicted(person)) {throw std::out_of_range("there is no prediction of this person");}
  Between at = between(latest, time_s);
  at.share = std::clamp(at.share, 0.0, 1.0);
  return mixed(person.radius.data(), latest.message().num_joints, joint, at);
}

/// N futures of one person (all samples, or only the mean) at T times, in the frame of the predictions. Positions of
/// published frames are not copied: this object keeps the message alive and reads from it.
struct Bodies
{
  std::size_t samples = 0, joints = 0;
  std::vector<double> times;  // seconds from now
  std::vector<double> radii;  // radii of the C limbs: limb c at time t has radii[t * C + c]
  Limbs limbs;
  std::optional<Rigid> to_robot;  // transform from the frame of the predictions to the frame of the robot

  double radius(std::size_t t, std::size_t c) const {return radii[t * limbs.size() + c];}

  /// The joints (J, 3) of sample n at time number t. Joints between published frames are rounded to float.
  const float * pose(std::size_t n, std::size_t t) const
  {
    const Row & row = rows_[t];
    return (row.is_published ? numbers_ : between_.data()) + row.offset + n * row.stride;
  }

  /// One joint of sample n at time number t, without rounding to float.
  Vec3 joint(std::size_t n, std::size_t t, std::size_t j) const
  {
    if (!rows_[t].is_published) {return joint_at(numbers_ + n * frames_ * joints * 3, joints, j, rows_[t].at);}
    const float * p = pose(n, t) + j * 3;
    return {p[0], p[1], p[2]};
  }

  /// The robot, transformed to the frame of the predictions.
  Robot seen_from_here(const Robot & robot) const {return to_robot ? robot.moved(to_robot->inverse()) : robot;}

  /// Makes one body from each sample of a person. Throws std::invalid_argument if the message has no samples.
  static Bodies of_samples(
    const Latest & latest, const msg::PredictedMotion & person, const Limbs & limbs, const std::vector<double> & times,
    const Rigid * to_robot = nullptr)
  {
    if (person.samples.empty()) {
      throw std::invalid_argument("the predictions come without samples: set the predictor's publish_samples");
    }
    return of(latest, person.samples, latest.message().num_samples, limbs, times, to_robot);
  }

  /// Makes one body from a person's mean future. Each limb is thickened by the larger radius of its two joints. Thus if
  /// both joints lie inside their balls, the line between the joints lies inside the limb. Throws std::invalid_argument
  /// if the radius is unknown (not calibrated).
  static Bodies of_mean(
    const Latest & latest, const msg::PredictedMotion & person, const Limbs & limbs, const std::vector<double> & times,
    const Rigid * to_robot = nullptr)
  {
    Bodies found = of(latest, person.mean, 1, limbs, times, to_robot);
    for (std::size_t t = 0; t < times.size(); ++t) {
      for (std::size_t c = 0; c < limbs.size(); ++c) {
        const double first = radius_at(latest, person, limbs[c].first, times[t]);
        const double second = radius_at(latest, person, limbs[c].second, times[t]);
        if (!std::isfinite(first) || !std::isfinite(second)) {
          throw std::invalid_argument("the radius is unknown, because the checkpoint of the predictor is not calibrated");
        }
        found.radii[t * limbs.size() + c] += std::max(first, second);
      }
    }
    return found;
  }

private:
  /// Where in memory the poses at one time are.
  struct Row
  {
    Between at;
    bool is_published = false;  // true: poses are in the message; false: interpolated poses are in between_
    std::size_t offset = 0, stride = 0;  // offset of the first sample; step from one sample to the next
  };

  static Bodies of(
    const Latest & latest, const std::vector<float> & numbers, std::size_t samples, const Limbs & limbs,
    const std::vector<double> & times, const Rigid * to_robot)
  {
    Bodies found;
    found.samples = samples, found.joints = latest.message().num_joints, found.times = times, found.limbs = limbs;
    found.message_ = latest.shared(), found.numbers_ = numbers.data(), found.frames_ = latest.message().num_frames;
    if (to_robot) {found.to_robot = *to_robot;}
    for (double time : times) {
      found.add(between(latest, time));
      for (const Limb & limb : limbs) {found.radii.push_back(limb.radius);}
    }
    return found;
  }

  /// Add the poses of all samples at one time.
  void add(const Between & at)
  {
    const std::size_t size = joints * 3, stride = frames_ * size;
    if (at.share == 0 || at.share == 1) {
      rows_.push_back({at, true, (at.share == 1 ? at.right : at.left) * size, stride});
      return;
    }
    rows_.push_back({at, false, between_.size(), size});
    for (std::size_t n = 0; n < samples; ++n) {
      for (std::size_t i = 0; i < size; ++i) {
        between_.push_back(static_cast<float>(mixed(numbers_ + n * stride, size, i, at)));
      }
    }
  }

  std::shared_ptr<const Message> message_;  // owns the array numbers_
  const float * numbers_ = nullptr;
  std::size_t frames_ = 0;
  std::vector<Row> rows_;  // one row per time
  std::vector<float> between_;  // interpolated poses
};

}  // namespace motion_predictor

#endif  // MOTION_PREDICTOR__BODIES_HPP_
