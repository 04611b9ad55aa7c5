// People who are there but not predicted. Only where they can have got to at most is known.
#ifndef MOTION_PREDICTOR__REACHABLE_HPP_
#define MOTION_PREDICTOR__REACHABLE_HPP_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "motion_predictor/capsule.hpp"
#include "motion_predictor/latest.hpp"
#include "motion_predictor/limbs.hpp"
#include "motion_predictor/rigid.hpp"

namespace motion_predictor
{

/// Where a person was last seen, in another frame if a transform is given; metres.
inline Vec3 place_of(const msg::PredictedMotion & person, const Rigid * to_robot = nullptr)
{
  const Vec3 place{person.place[0], person.place[1], person.place[2]};
  return to_robot ? (*to_robot)(place) : place;
}

/// How long before header.stamp a person was last seen; seconds.
inline double lost_s(const Latest & latest, const msg::PredictedMotion & person)
{
  const auto since = nanoseconds(latest.message().header.stamp) - nanoseconds(person.last_seen);
  return std::max(0.0, static_cast<double>(since) * 1e-9);
}

/// How far a person can have moved since they were last seen, at time_s from now; metres.
inline double walked_in(const Latest & latest, const msg::PredictedMotion & person, double time_s)
{
  return latest.unpredicted_m_per_s() * (lost_s(latest, person) + latest.age_s() + time_s);
}

/// Radius around place_of() that holds all joints of a person at time_s from now, predicted or not; metres.
inline double reach_in(const Latest & latest, const msg::PredictedMotion & person, double time_s)
{
  const double grown = static_cast<double>(latest.message().max_speed) * lost_s(latest, person);
  return std::max(0.0, static_cast<double>(person.reach) - grown) + walked_in(latest, person, time_s);
}

/// The distance between a capsule and everything that a person can reach, with flesh added; negative: overlap. If the
/// last pose has all joints, each is in a ball about its place there. Otherwise all are in one ball.
inline double reachable_distance(
  const Latest & latest, const msg::PredictedMotion & person, const Limbs & limbs, double time_s,
  const Capsule & capsule, const Rigid * to_robot = nullptr)
{
  const auto & pose = person.last_pose;
  float sum = 0;  // of finite numbers it is finite
  for (float number : pose) {sum += number;}
  const bool whole = pose.size() == latest.message().joint_names.size() * 3 && std::isfinite(sum);
  const auto joint = [&](std::size_t j) {
      const Vec3 p{pose[j * 3], pose[j * 3 + 1], pose[j * 3 + 2]};
      return to_robot ? (*to_robot)(p) : p;
    };
  double flesh = 0, nearest = std::numeric_limits<double>::infinity();
  for (const Limb & limb : limbs) {
    flesh = std::max(flesh, limb.radius);
    if (!whole) {continue;}
    const double axes = segment_to_segment(joint(limb.first), joint(limb.second), capsule.start, capsule.end);
    nearest = std::min(nearest, axes - limb.radius);
  }
  if (whole) {return nearest - capsule.radius - walked_in(latest, person, time_s);}
  const double axis = std::sqrt(point_to_segment(place_of(person, to_robot), capsule.start, capsule.end));
  return axis - capsule.radius - (reach_in(latest, person, time_s) + flesh);
}

}  // namespace motion_predictor

#endif  // MOTION_PREDICTOR__REACHABLE_HPP_
