// Somebody who is there but not predicted: all that is known is how far they can have got.
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

/// All joints of a person are within so many metres of place_of() in time_s from now, predicted or not.
inline double reach_in(const Latest & latest, const msg::PredictedMotion & person, double time_s)
{
  const double grows = latest.message().max_speed;
  return static_cast<double>(person.reach) + grows * (latest.age_s() + time_s);
}

/// The distance of all that a person can reach, with the thickest limb about it, from a capsule; negative: overlap.
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
