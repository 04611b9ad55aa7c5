// Somebody who is there but not predicted: only their greatest possible distance is known.
#ifndef MOTION_PREDICTOR__REACHABLE_HPP_
#define MOTION_PREDICTOR__REACHABLE_HPP_

#include <algorithm>
#include <cmath>

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

/// Radius around place_of() that holds all joints of a person at time_s from now, predicted or not; metres.
inline double reach_in(const Latest & latest, const msg::PredictedMotion & person, double time_s)
{
  const double grows = latest.message().max_speed;
  return static_cast<double>(person.reach) + grows * (latest.age_s() + time_s);
}

/// The distance between a capsule and everything that a person can reach, with the thickest limb added; negative:
/// overlap.
inline double reachable_distance(
  const Latest & latest, const msg::PredictedMotion & person, const Limbs & limbs, double time_s,
  const Capsule & capsule, const Rigid * to_robot = nullptr)
{
  double flesh = 0;
  for (const Limb & limb : limbs) {flesh = std::max(flesh, limb.radius);}
  const double axis = std::sqrt(point_to_segment(place_of(person, to_robot), capsule.start, capsule.end));
  return axis - capsule.radius - (reach_in(latest, person, time_s) + flesh);
}

}  // namespace motion_predictor

#endif  // MOTION_PREDICTOR__REACHABLE_HPP_
