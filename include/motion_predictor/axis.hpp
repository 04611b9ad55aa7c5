// The axis of a robot's capsule in single precision, for fast bounds on many distances.
#ifndef MOTION_PREDICTOR__AXIS_HPP_
#define MOTION_PREDICTOR__AXIS_HPP_

#include <algorithm>

#include "motion_predictor/rigid.hpp"

namespace motion_predictor
{

/// The axis of a fat capsule. A fat capsule is so thick that one capsule of the robot stays
/// inside it during a whole time span.
struct Axis
{
  Vec3 start, end;
  float ax, ay, az, ux, uy, uz, length;
  float radius = 0, inner = 0;  // radii: fat capsule; thin capsule that is always inside

  Axis(const Vec3 & from, const Vec3 & to)
  : start(from), end(to)
  {
    const Vec3 along = to - from;
    const double far = along.norm();
    const Vec3 unit = along * (1 / std::max(far, 1e-12));
    ax = static_cast<float>(from.x), ay = static_cast<float>(from.y), az = static_cast<float>(from.z);
    ux = static_cast<float>(unit.x), uy = static_cast<float>(unit.y), uz = static_cast<float>(unit.z);
    length = static_cast<float>(far);
  }

  /// The squared distance of a point from the axis.
  float square(float x, float y, float z) const
  {
    const float px = x - ax, py = y - ay, pz = z - az;
    const float way = px * ux + py * uy + pz * uz;
    const float start = way < 0 ? 0 : way, share = start < length ? start : length;
    const float dx = px - share * ux, dy = py - share * uy, dz = pz - share * uz;
    return dx * dx + dy * dy + dz * dz;
  }
};

}  // namespace motion_predictor

#endif  // MOTION_PREDICTOR__AXIS_HPP_
