// Distances to people who are present but not predicted, from how far they can have moved.
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

/// The place where a person was last seen, metres. With to_robot, the place is in the frame of the robot.
inline Vec3 place_of(const msg::PredictedMotion & person, const Rigid * to_robot = nullptr)
{
  const Vec3 place{person.place[0], person.place[1], person.place[2]};
  return to_robot ? (*to_robot)(place) : place;
}

/// The time from the last observation of a person to header.stamp, seconds.
inline double lost_s(const Latest & latest, const msg::PredictedMotion & person)
{
  const auto since = nanoseconds(latest.message().header.stamp) - nanoseconds(person.last_seen);
  return std::max(0.0, static_cast<double>(since) * 1e-9);
}

/// How far a person can have moved from the last observation until time_s (seconds from now); metres.
inline double walked_in(const Latest & latest, const msg::PredictedMotion & person, double time_s)
{
  return latest.unpredicted_m_per_s() * (lost_s(latest, person) + latest.age_s() + time_s);
}

/// Radius of the ball around place_of() that holds all joints of a person at time_s (seconds from now); metres.
/// reach_in() also works for people who are predicted.
inline double reach_in(const Latest & latest, const msg::PredictedMotion & person, double time_s)
{
  const double grown = static_cast<double>(latest.message().max_speed) * lost_s(latest, person);
  return std::max(0.0, static_cast<double>(person.reach) - grown) + walked_in(latest, person, time_s);
}

/// The distance between a capsule and the space that a person's limbs can reach; negative for an overlap. If the last
/// pose has all joints, each joint can be anywhere in a ball around its last position. If the last pose lacks joints,
/// one ball holds all joints.
inline double reachable_distance(
  const Latest & latest, const msg::PredictedMotion & person, const Limbs & limbs, double time_s,
  const Capsule & capsule, const Rigid * to_robot = nullptr)
{
  const auto & pose = person.last_pose;
  float sum = 0;  // the sum is finite if all numbers are finite
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
