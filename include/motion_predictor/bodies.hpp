// People at the times and in the frame that a planner asks for, as limbs with flesh.
#ifndef MOTION_PREDICTOR__BODIES_HPP_
#define MOTION_PREDICTOR__BODIES_HPP_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <vector>

#include "motion_predictor/latest.hpp"
#include "motion_predictor/limbs.hpp"
#include "motion_predictor/rigid.hpp"

namespace motion_predictor
{

/// The times at which a span is described, in seconds from now: both ends and the published frames between.
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

/// A place between two frames.
struct Between
{
  std::size_t left = 0, right = 0;
  float share = 0;
};

/// Where a time from now lies between frames. Before the first the first step is followed back, at most to the
/// observation. Throws std::out_of_range for what is not predicted.
inline Between between(const Latest & latest, double time_s)
{
  const auto & times = latest.message().times;
  const double after = time_s + latest.age_s();
  if (times.empty() || after < -1e-6 || after > times.back() + 1e-6) {
    throw std::out_of_range("a time was asked for that is not predicted");
  }
  if (times.size() == 1) {return {};}
  const auto above = std::lower_bound(times.begin(), times.end(), after, [](float a, double b) {return a < b;});
  const auto place = static_cast<std::size_t>(above - times.begin());
  const std::size_t right = std::clamp<std::size_t>(place, 1, times.size() - 1), left = right - 1;
  const double step = static_cast<double>(times[right]) - times[left];
  return {left, right, static_cast<float>((after - times[left]) / step)};
}

/// N versions of one person at T times.
struct Bodies
{
  std::size_t samples = 0, joints = 0;
  std::vector<double> times;  // seconds from now
  std::vector<float> x, y, z;  // metres: joint j of sample n at time t is [(n * T + t) * J + j]
  std::vector<float> radii;  // of the limbs: limb c at time t is [t * C + c]
  Limbs limbs;

  Vec3 joint(std::size_t n, std::size_t t, std::size_t j) const
  {
    const std::size_t at = (n * times.size() + t) * joints + j;
    return {x[at], y[at], z[at]};
  }
  double radius(std::size_t t, std::size_t c) const {return radii[t * limbs.size() + c];}

  /// Every sample of a person as a body of its own.
  static Bodies of_samples(
    const Latest & latest, const msg::PredictedMotion & person, const Limbs & limbs, const std::vector<double> & times,
    const Rigid * to_robot = nullptr)
  {
    if (person.samples.empty()) {
      throw std::invalid_argument("the predictions come without samples: set the predictor's publish_samples");
    }
    return of(latest, person.samples, latest.message().num_samples, limbs, times, to_robot);
  }

  /// The mean, each limb thicker by the larger radius of its two joints: what lies between two points that are each in
  /// their ball lies in it.
  static Bodies of_mean(
    const Latest & latest, const msg::PredictedMotion & person, const Limbs & limbs, const std::vector<double> & times,
    const Rigid * to_robot = nullptr)
  {
    Bodies found = of(latest, person.mean, 1, limbs, times, to_robot);
    for (std::size_t t = 0; t < times.size(); ++t) {
      const Between at = between(latest, times[t]);
      const float share = std::clamp(at.share, 0.0f, 1.0f);
      const auto radius = [&](std::size_t j) {
          const float left = person.radius[at.left * found.joints + j];
          return left + share * (person.radius[at.right * found.joints + j] - left);
        };
      for (std::size_t c = 0; c < limbs.size(); ++c) {
        const float larger = std::max(radius(limbs[c].first), radius(limbs[c].second));
        if (!std::isfinite(larger)) {
          throw std::invalid_argument("the predictor is not calibrated: its radius is not known");
        }
        found.radii[t * limbs.size() + c] += larger;
      }
    }
    return found;
  }

private:
  static Bodies of(
    const Latest & latest, const std::vector<float> & numbers, std::size_t samples, const Limbs & limbs,
    const std::vector<double> & times, const Rigid * to_robot)
  {
    const std::size_t F = latest.message().num_frames, J = latest.message().num_joints, T = times.size();
    Bodies found;
    found.samples = samples, found.joints = J, found.times = times, found.limbs = limbs;
    found.x.resize(samples * T * J), found.y.resize(samples * T * J), found.z.resize(samples * T * J);
    std::vector<Between> places(T);
    for (std::size_t t = 0; t < T; ++t) {
      places[t] = between(latest, times[t]);
      for (const Limb & limb : limbs) {found.radii.push_back(static_cast<float>(limb.radius));}
    }
    for (std::size_t n = 0, at = 0; n < samples; ++n) {
      for (std::size_t t = 0; t < T; ++t) {
        const float * left = numbers.data() + (n * F + places[t].left) * J * 3;
        const float * right = numbers.data() + (n * F + places[t].right) * J * 3;
        const float share = places[t].share;
        for (std::size_t j = 0; j < J; ++j, ++at) {
          float p[3];
          for (int a = 0; a < 3; ++a) {
            const float from = left[3 * j + a], to = right[3 * j + a];
            p[a] = share == 1 ? to : from + share * (to - from);
          }
          if (to_robot) {
            const Vec3 moved = (*to_robot)({p[0], p[1], p[2]});
            p[0] = static_cast<float>(moved.x), p[1] = static_cast<float>(moved.y), p[2] = static_cast<float>(moved.z);
          }
          found.x[at] = p[0], found.y[at] = p[1], found.z[at] = p[2];
        }
      }
    }
    return found;
  }
};

}  // namespace motion_predictor

#endif  // MOTION_PREDICTOR__BODIES_HPP_
