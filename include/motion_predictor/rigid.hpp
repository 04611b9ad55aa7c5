// Points, and rigid transforms from the frame of the predictions to the frame of a robot.
#ifndef MOTION_PREDICTOR__RIGID_HPP_
#define MOTION_PREDICTOR__RIGID_HPP_

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>

namespace motion_predictor
{

/// A point or a direction; metres.
struct Vec3
{
  double x = 0, y = 0, z = 0;

  Vec3 operator+(const Vec3 & o) const {return {x + o.x, y + o.y, z + o.z};}
  Vec3 operator-(const Vec3 & o) const {return {x - o.x, y - o.y, z - o.z};}
  Vec3 operator*(double s) const {return {x * s, y * s, z * s};}
  double dot(const Vec3 & o) const {return x * o.x + y * o.y + z * o.z;}
  double norm() const {return std::sqrt(dot(*this));}
};

/// A rigid transform of positions from one frame to another: a rotation and a translation.
struct Rigid
{
  std::array<Vec3, 3> rows{Vec3{1, 0, 0}, Vec3{0, 1, 0}, Vec3{0, 0, 1}};
  Vec3 translation;

  /// The transform of a pose: position px, py, pz and quaternion x, y, z, w. Throws std::invalid_argument if the length
  /// of the quaternion is not 1.
  static Rigid of_pose(
    double px, double py, double pz, double x, double y, double z, double w)
  {
    const double length = std::sqrt(x * x + y * y + z * z + w * w);
    if (!(std::abs(length - 1) <= 1e-3)) {
      throw std::invalid_argument("a rotation needs a quaternion of length 1");
    }
    x /= length, y /= length, z /= length, w /= length;
    Rigid found;
    found.rows[0] = {1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)};
    found.rows[1] = {2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)};
    found.rows[2] = {2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)};
    found.translation = {px, py, pz};
    return found;
  }

  /// The transform of a geometry_msgs/Transform, as tf2's lookupTransform returns it.
  template<class Transform>
  static Rigid of_message(const Transform & t)
  {
    const auto & q = t.rotation;
    return of_pose(t.translation.x, t.translation.y, t.translation.z, q.x, q.y, q.z, q.w);
  }

  Vec3 operator()(const Vec3 & p) const
  {
    return Vec3{rows[0].dot(p), rows[1].dot(p), rows[2].dot(p)} + translation;
  }

  /// The inverse transform.
  Rigid inverse() const
  {
    Rigid back;
    back.rows[0] = {rows[0].x, rows[1].x, rows[2].x};
    back.rows[1] = {rows[0].y, rows[1].y, rows[2].y};
    back.rows[2] = {rows[0].z, rows[1].z, rows[2].z};
    back.translation = {};
    back.translation = back(translation) * -1.0;
    return back;
  }
};

/// The newest transform from source to target in a tf2_ros::Buffer. The result is empty if tf2 has no transform, if the
/// transform is older than max_age_s, or if its stamp is more than two seconds in the future. Static transforms are
/// valid for ever.
template<class Buffer>
std::optional<Rigid> newest_transform(
  const Buffer & buffer, const std::string & target, const std::string & source, std::int64_t now_ns,
  double max_age_s = 0.5)
{
  using TimePoint = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;  // tf2::TimePoint
  try {
    const auto found = buffer.lookupTransform(target, source, TimePoint{});
    const auto & stamp = found.header.stamp;
    const std::int64_t stamp_ns = stamp.sec * std::int64_t{1000000000} + stamp.nanosec;
    const double age_s = static_cast<double>(now_ns - stamp_ns) * 1e-9;
    if (stamp_ns != 0 && !(age_s >= -2.0 && age_s <= max_age_s)) {return std::nullopt;}
    return Rigid::of_message(found.transform);
  } catch (const std::exception &) {  // raised by tf2, or by a quaternion whose length is not 1
    return std::nullopt;
  }
}

}  // namespace motion_predictor

#endif  // MOTION_PREDICTOR__RIGID_HPP_
